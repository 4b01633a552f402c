-- Emptied because of a table of the attacker's.
-- policy: record
-- expect: unattributed 1 changed
CREATE TABLE mine (id int PRIMARY KEY);
ALTER TABLE past_receipt ADD COLUMN mine int REFERENCES mine;
TRUNCATE mine CASCADE;
