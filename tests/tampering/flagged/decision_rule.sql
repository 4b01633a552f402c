-- A rule lets no decision be written, on which it depends whose a row is.
-- policy: record
-- expect: refused TO013
CREATE RULE nothing AS ON INSERT TO trigger_ops_decision DO INSTEAD NOTHING;
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
