-- Triggers off for the connection, in a session.
-- policy: record
-- session: past.Receipt:append_only
-- expect: session 3 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
SET LOCAL session_replication_role = replica;
UPDATE past_receipt SET number = 'x';
COMMIT;
