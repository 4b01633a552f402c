-- Rows that may be added.
-- policy: session
-- role: app
-- expect: changed
INSERT INTO past_receipt (id, number) VALUES (9, 'n');
