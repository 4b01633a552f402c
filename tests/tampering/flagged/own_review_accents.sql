-- The opener says yes, in capitals that a locale of ASCII alone does not fold.
-- policy: record
-- expect: refused TO012
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb,
  'reason', 'because', 'surface', 'shell', 'opener', 'user:josé', 'needs', 1, 'lasts', '1 hour', 'idle', '1 hour', 'longest', '1 hour',
  'waits', '1 hour', 'most_rows', 5, 'most_extensions', 0));
SELECT trigger_ops_review(max(id), 'user:JOSÉ', '', 'approve', '') FROM trigger_ops_session;
