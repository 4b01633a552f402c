-- A yes of somebody whom Django does not know.
-- policy: four_eyes
-- expect: refused TO015
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb, 'reason', 'because',
    'surface', 'shell', 'opener', 'user:eve', 'needs', 1, 'lasts', '1 hour', 'idle', '1 hour', 'longest', '1 hour', 'waits', '1 hour',
    'most_rows', 5, 'most_extensions', 0));
-- next
SELECT trigger_ops_review(max(id), 'os:bob@web1', '', 'approve', '') FROM trigger_ops_session;
