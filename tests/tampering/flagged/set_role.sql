-- As another role.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
BEGIN;
SET LOCAL ROLE <role>;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
