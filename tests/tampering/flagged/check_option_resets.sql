-- Reset by the WITH CHECK OPTION of a view of one's own.
-- policy: record
-- role: app
-- expect: unattributed 1 decisions 1 changed
CREATE TEMP VIEW mine AS SELECT * FROM past_receipt
    WHERE id = 1 AND set_config('pgtrigger.ignore', CASE number WHEN 'x' THEN '' ELSE '{<past.Receipt:append_only>}' END, false) IS NOT NULL
    WITH CHECK OPTION;
-- next
UPDATE mine SET number = 'x';
