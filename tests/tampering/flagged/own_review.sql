-- The opener says yes.
-- policy: record
-- expect: refused TO012
INSERT INTO trigger_ops_session (uris, triggers, reason, surface, opener, needs, lasts, idle, longest, waits, most_rows, most_extensions)
VALUES ('["a"]', '["<past.Receipt:append_only>"]', 'because', 'shell', 'user:eve', 1, '1 hour', '1 hour', '1 hour', '1 hour', 5, 0);
SELECT trigger_ops_review(max(id), ' User:EVE ', '', 'approve', '') FROM trigger_ops_session;
