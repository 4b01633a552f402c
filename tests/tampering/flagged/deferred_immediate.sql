-- SET CONSTRAINTS IMMEDIATE inside the setting, which is gone before COMMIT.
-- policy: record
-- expect: decisions 1 changed
BEGIN;
INSERT INTO awkward_posting (id, booking, amount) VALUES (2, 2, 5);
SELECT set_config('pgtrigger.ignore', '{<awkward.Posting:check_balance>}', true);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT set_config('pgtrigger.ignore', '', true);
COMMIT;
