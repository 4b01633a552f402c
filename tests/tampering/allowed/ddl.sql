-- What migrations do.
-- policy: session
-- expect: changed
ALTER TABLE past_receipt ADD COLUMN note text NOT NULL DEFAULT '';
CREATE INDEX receipt_note ON past_receipt (note);
ALTER TABLE past_receipt ALTER COLUMN number TYPE varchar(32);
ALTER TABLE past_receipt ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
ALTER TABLE past_receipt VALIDATE CONSTRAINT positive;
ALTER TABLE past_receipt DROP COLUMN note;
INSERT INTO past_receipt (id, number) VALUES (9, 'n');
