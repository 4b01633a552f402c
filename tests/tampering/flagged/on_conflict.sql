-- INSERT that updates.
-- policy: record
-- role: app
-- expect: unattributed 1 decisions 1 changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
INSERT INTO past_receipt (id, number) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET number = 'x';
COMMIT;
