-- A row of a partition that moves to another: a DELETE and an INSERT.
-- policy: record
-- role: app
-- expect: unattributed 2 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<awkward.Measurement:protect_deletes>}', true);
UPDATE awkward_measurement SET taken_on = '2025-01-01' WHERE id = 1;
COMMIT;
