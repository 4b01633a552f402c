-- The same as a role that owns nothing.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
