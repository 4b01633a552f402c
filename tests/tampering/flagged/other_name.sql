-- A trigger under a name that nobody else has.
-- policy: four_eyes
-- expect: refused TO011
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:harmless"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb,
  'reason', 'because', 'surface', 'shell', 'opener', 'user:eve', 'needs', 1, 'lasts', '1 hour', 'idle', '1 hour', 'longest', '1 hour',
  'waits', '1 hour', 'most_rows', 5, 'most_extensions', 0));
