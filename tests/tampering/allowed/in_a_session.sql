-- What a session is for.
-- policy: session
-- session: past.Receipt:append_only
-- expect: session 3 decided 1 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
