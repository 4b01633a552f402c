-- Set before COMMIT, for a trigger that looks only then.
-- policy: record
-- expect: decisions 1 changed
BEGIN;
INSERT INTO awkward_posting (id, booking, amount) VALUES (2, 2, 5);
SELECT set_config('pgtrigger.ignore', '{<awkward.Posting:check_balance>}', true);
COMMIT;
