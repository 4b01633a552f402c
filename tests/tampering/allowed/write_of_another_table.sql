-- In a session, a table that nobody watches.
-- policy: record
-- session: past.Receipt:append_only
-- expect: nothing
CREATE TABLE mine (id int);
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
INSERT INTO mine VALUES (1);
COMMIT;
