-- Active without a yes.
-- policy: record
-- expect: refused TO015
INSERT INTO trigger_ops_session (uris, triggers, reason, surface, opener, needs, lasts, idle, longest, waits, most_rows, most_extensions)
VALUES ('["a"]', '["<past.Receipt:append_only>"]', 'because', 'shell', 'user:eve', 1, '1 hour', '1 hour', '1 hour', '1 hour', 5, 0);
UPDATE trigger_ops_session SET state = 'active';
