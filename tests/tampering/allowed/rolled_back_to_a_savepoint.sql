-- What did not happen.
-- policy: record
-- expect: changed
BEGIN;
SAVEPOINT s;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
ROLLBACK TO s;
INSERT INTO past_receipt (id, number) VALUES (9, 'n');
COMMIT;
