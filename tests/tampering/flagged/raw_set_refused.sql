-- The same where only a session may.
-- policy: session
-- expect: refused TO001
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
UPDATE past_receipt SET number = 'x';
