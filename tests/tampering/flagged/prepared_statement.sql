-- A statement that was prepared before.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
PREPARE mine AS UPDATE past_receipt SET number = 'x';
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
EXECUTE mine;
COMMIT;
