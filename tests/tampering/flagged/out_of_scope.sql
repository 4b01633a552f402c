-- A trigger that the session does not name.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused P0001
BEGIN;
SELECT trigger_ops_enter('<session>');
DELETE FROM past_invoice;
COMMIT;
