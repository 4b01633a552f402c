-- The same connection, when the session is left.
-- policy: session
-- session: past.Receipt:append_only
-- expect: session 3 decided 1 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
SELECT trigger_ops_enter('');
UPDATE past_customer SET name = 'other';
COMMIT;
-- next
UPDATE past_customer SET name = 'third';
