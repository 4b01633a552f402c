-- A partition by itself.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<awkward.Measurement:protect_deletes>}', true);
DELETE FROM awkward_measurement_2024;
COMMIT;
