-- Something is ignored, and nothing is written that it would stop.
-- policy: session
-- expect: changed
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
INSERT INTO past_receipt (id, number) VALUES (9, 'n');
UPDATE past_customer SET name = 'other';
COMMIT;
