-- Rows that nobody sees enter nobody into anything, unless the functions are a superuser's as here.
-- policy: session
-- session: past.Receipt:append_only
-- expect: session 3 decided 1 changed
ALTER TABLE trigger_ops_sessiontransaction ENABLE ROW LEVEL SECURITY;
ALTER TABLE trigger_ops_sessiontransaction FORCE ROW LEVEL SECURITY;
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
