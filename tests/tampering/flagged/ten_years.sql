-- A session of years, by a document of one's own.
-- policy: record
-- expect: refused TO011
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb,
  'reason', 'because', 'surface', 'shell', 'opener', 'user:eve', 'needs', 1, 'lasts', '10 years', 'idle', '1 hour', 'longest', '10 years',
  'waits', '1 hour', 'most_rows', 5, 'most_extensions', 0));
