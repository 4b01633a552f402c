-- Makes witnesses ordinary triggers, which fire all the same unless the role is replica.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
ALTER TABLE past_receipt ENABLE TRIGGER ALL;
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
