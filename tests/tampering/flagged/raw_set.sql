-- The setting of pgtrigger.ignore(), by hand.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
UPDATE past_receipt SET number = 'x';
