-- A rule that is gone again when the transaction ends.
-- policy: record
-- expect: refused TO013
BEGIN;
CREATE RULE nothing AS ON INSERT TO trigger_ops_decision DO INSTEAD NOTHING;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
DROP RULE nothing ON trigger_ops_decision;
COMMIT;
