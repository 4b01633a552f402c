-- The same of policies.
-- policy: session
-- expect: refused TO001
CREATE TABLE forged () INHERITS (trigger_ops_policy);
INSERT INTO forged (trigger, uri, mode) VALUES ('<past.Receipt:append_only>', 'past.Receipt:append_only', 'open');
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
