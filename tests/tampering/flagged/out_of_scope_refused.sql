-- The same where only a session may.
-- policy: session
-- session: past.Receipt:append_only
-- expect: refused TO001
BEGIN;
SELECT trigger_ops_enter('<session>');
SELECT set_config('pgtrigger.ignore', '{<past.Invoice:protect_deletes>}', true);
DELETE FROM past_invoice;
COMMIT;
