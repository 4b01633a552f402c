-- A pooler that cleans up.
-- policy: session
-- expect: changed
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
DISCARD ALL;
-- next
UPDATE past_customer SET name = 'other';
