-- More rows than a session may write.
-- policy: record
-- session: past.Receipt:append_only
-- rows: 2
-- expect: refused TO007
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
