-- A count of rows below nothing, so that the row has a number that no list begins with.
-- policy: record
-- session: past.Receipt:append_only
-- expect: session 2 decided 1 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
SELECT set_config('trigger_ops.rows', pg_current_xact_id()::text || ',<session>,-1000', true);
UPDATE past_receipt SET number = 'x' WHERE id = 1;
SELECT set_config('trigger_ops.rows', pg_current_xact_id()::text || ',<session>,-1', true);
UPDATE past_receipt SET number = 'x' WHERE id = 2;
COMMIT;
