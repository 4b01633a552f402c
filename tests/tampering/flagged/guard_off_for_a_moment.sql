-- Without its row the guard has no policy but to record.
-- policy: session
-- expect: guard 2 unattributed 3 decisions 1 changed
BEGIN;
CREATE TEMP TABLE kept AS SELECT * FROM trigger_ops_guard;
DELETE FROM trigger_ops_guard;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
INSERT INTO trigger_ops_guard SELECT * FROM kept;
COMMIT;
