-- A count of rows that is reset again and again.
-- policy: record
-- session: past.Receipt:append_only
-- rows: 2
-- expect: refused TO007
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = '1' WHERE id = 1;
SELECT set_config('trigger_ops.rows', pg_current_xact_id()::text || ',<session>,0', true);
UPDATE past_receipt SET number = '2' WHERE id = 2;
SELECT set_config('trigger_ops.rows', pg_current_xact_id()::text || ',<session>,-9', true);
UPDATE past_receipt SET number = '3' WHERE id = 3;
COMMIT;
