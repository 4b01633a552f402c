-- A session that is entered before COMMIT: its decision without a row is a finding of its report.
-- policy: session
-- session: awkward.Posting:check_balance
-- expect: decided 1 changed
BEGIN;
INSERT INTO awkward_posting (id, booking, amount) VALUES (2, 2, 5);
SELECT trigger_ops_enter('<session>');
COMMIT;
