-- What did not happen.
-- policy: record
-- expect: nothing
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
ROLLBACK;
