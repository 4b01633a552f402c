-- The same where it takes two people.
-- policy: four_eyes
-- expect: refused TO001
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
DELETE FROM past_receipt;
