-- Leaves the session by RETURNING.
-- policy: session
-- session: past.Receipt:append_only
-- expect: session 1 decided 1 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x' WHERE id = 1 RETURNING set_config('trigger_ops.session', '', true);
COMMIT;
