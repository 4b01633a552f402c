-- MERGE.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
MERGE INTO past_receipt r USING (VALUES (1), (2), (3)) v (id) ON r.id = v.id
    WHEN MATCHED AND v.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET number = 'x';
COMMIT;
