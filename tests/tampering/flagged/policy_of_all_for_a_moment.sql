-- The default of all of them, as a replica besides.
-- policy: session
-- expect: guard 2 changed
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE trigger_ops_guard SET policy = 'open';
SET LOCAL session_replication_role = origin;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
UPDATE trigger_ops_guard SET policy = 'session';
COMMIT;
