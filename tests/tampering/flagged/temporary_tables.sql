-- Temporary tables called like ours.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
CREATE TEMP TABLE trigger_ops_change (id int);
CREATE TEMP TABLE trigger_ops_decision (id int);
CREATE TEMP TABLE trigger_ops_policy (trigger text, mode text);
INSERT INTO trigger_ops_policy VALUES ('<past.Receipt:append_only>', 'open');
-- next
BEGIN;
SET LOCAL search_path = pg_temp, public;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
