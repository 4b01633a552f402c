-- A session of years: months count for 30 days where times are compared, and for what the calendar says where they are added.
-- policy: record
-- expect: refused TO011
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb,
  'reason', 'because', 'surface', 'shell', 'opener', 'user:eve', 'needs', 0, 'lasts', '12000 mons -360000 days 1 hour',
  'idle', '12000 mons -360000 days 10 minutes', 'longest', '12000 mons -360000 days 4 hours',
  'waits', '12000 mons -360000 days 1 hour', 'most_rows', 5, 'most_extensions', 0));
