-- Asks the gate, outside any trigger: on record, and good for nothing.
-- policy: record
-- role: app
-- expect: decisions 1
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
SELECT trigger_ops_gate('<past.Receipt:append_only>');
SELECT set_config('pgtrigger.ignore', '', true);
COMMIT;
