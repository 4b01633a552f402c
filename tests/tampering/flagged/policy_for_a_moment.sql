-- A policy that is open for the length of a transaction.
-- policy: session
-- expect: guard 2 changed
BEGIN;
INSERT INTO trigger_ops_policy (trigger, uri, mode) VALUES ('<past.Receipt:append_only>', 'past.Receipt:append_only', 'open');
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
DELETE FROM trigger_ops_policy;
COMMIT;
