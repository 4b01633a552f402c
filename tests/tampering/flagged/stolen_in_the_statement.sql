-- Names another session while the statement runs, so that its rows be that one's.
-- policy: record
-- session: past.Receipt:append_only
-- expect: unattributed 1 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x' WHERE id = 1 RETURNING set_config('trigger_ops.session', '<session>', true);
COMMIT;
