-- The same.
-- policy: record
-- expect: refused TO013
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
DELETE FROM trigger_ops_decision;
COMMIT;
