-- A rule lets nobody be seen to enter a session.
-- policy: session
-- session: past.Receipt:append_only
-- expect: refused TO013
CREATE RULE nothing AS ON INSERT TO trigger_ops_sessiontransaction DO INSTEAD NOTHING;
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
