-- A table that inherits from that of sessions, and has no rules: an active session that nobody approved.
-- policy: four_eyes
-- expect: refused TO002
CREATE TABLE forged () INHERITS (trigger_ops_session);
INSERT INTO forged (id, state, uris, triggers, reason, surface, opener, role, needs, lasts, idle, longest, waits, most_rows, most_extensions, activated, expires)
VALUES (99, 'active', '["past.Receipt:append_only"]', '["<past.Receipt:append_only>"]', 'because', 'shell', 'user:eve', session_user, 9, '1 h', '1 h', '1 h', '1 h', 9, 0, now(), now() + interval '1 h');
-- next
BEGIN;
SELECT trigger_ops_enter('99');
UPDATE past_receipt SET number = 'x';
COMMIT;
