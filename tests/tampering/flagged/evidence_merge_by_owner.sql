-- The same, by MERGE.
-- policy: record
-- expect: refused TO013
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
MERGE INTO trigger_ops_change c USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE;
COMMIT;
