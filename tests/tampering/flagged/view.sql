-- Through a view.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
CREATE TEMP VIEW mine AS SELECT * FROM past_receipt;
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE mine SET number = 'x';
COMMIT;
