-- Reset by RETURNING, before the witness looks.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x' WHERE id = 1 RETURNING set_config('pgtrigger.ignore', '', true);
COMMIT;
