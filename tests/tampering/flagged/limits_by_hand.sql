-- A session of ten years, once the limit allows it.
-- policy: record
-- expect: guard 1
UPDATE trigger_ops_guard SET longest = '10 years';
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb, 'reason', 'because',
    'surface', 'shell', 'opener', 'user:eve', 'needs', 0, 'lasts', '9 years', 'idle', '9 years', 'longest', '9 years', 'waits', '1 hour',
    'most_rows', 5, 'most_extensions', 0));
