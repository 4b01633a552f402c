-- A session that a role opened for itself.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused TO003
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
