-- The same, and the setting: on record twice, in the session and as nobody's.
-- policy: record
-- session: past.Receipt:append_only
-- expect: session 1 decisions 1 changed
BEGIN;
SELECT trigger_ops_enter('<session>');
SELECT set_config('pgtrigger.ignore', '{<past.Invoice:protect_deletes>}', true);
DELETE FROM past_invoice;
COMMIT;
