-- Rows that go with others.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
CREATE TABLE mine (id int PRIMARY KEY);
INSERT INTO mine VALUES (1);
ALTER TABLE past_receipt DISABLE TRIGGER <past.Receipt:append_only>;
ALTER TABLE past_receipt ADD COLUMN mine int DEFAULT 1 REFERENCES mine ON DELETE CASCADE;
ALTER TABLE past_receipt ENABLE TRIGGER <past.Receipt:append_only>;
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
DELETE FROM mine;
COMMIT;
