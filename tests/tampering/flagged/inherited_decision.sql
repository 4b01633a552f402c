-- The same of decisions: a trigger that the session does not name.
-- policy: session
-- session: past.Customer:read_only_email
-- expect: refused P0001
CREATE TABLE forged () INHERITS (trigger_ops_decision);
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
INSERT INTO forged (id, transaction, trigger, session_id) VALUES (1, pg_current_xact_id()::text::bigint, '<past.Receipt:append_only>', <session>);
UPDATE past_receipt SET number = 'x';
COMMIT;
