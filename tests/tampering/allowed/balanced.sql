-- What a trigger at COMMIT has nothing against.
-- policy: session
-- role: app
-- expect: changed
BEGIN;
INSERT INTO awkward_posting (id, booking, amount) VALUES (2, 2, 5);
INSERT INTO awkward_posting (id, booking, amount) VALUES (3, 2, -5);
COMMIT;
