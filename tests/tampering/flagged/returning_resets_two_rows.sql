-- Reset by RETURNING: the second row meets its trigger.
-- policy: record
-- expect: refused P0001
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x' RETURNING set_config('pgtrigger.ignore', '', true);
COMMIT;
