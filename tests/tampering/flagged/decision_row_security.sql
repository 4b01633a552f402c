-- A policy that shows no decision to anybody but superusers, whose functions these are here.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
ALTER TABLE trigger_ops_decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE trigger_ops_decision FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON trigger_ops_decision FOR INSERT WITH CHECK (true);
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
