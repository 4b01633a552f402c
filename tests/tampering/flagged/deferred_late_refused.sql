-- The same where only a session may.
-- policy: session
-- expect: refused TO001
BEGIN;
INSERT INTO awkward_posting (id, booking, amount) VALUES (2, 2, 5);
SELECT set_config('pgtrigger.ignore', '{<awkward.Posting:check_balance>}', true);
COMMIT;
