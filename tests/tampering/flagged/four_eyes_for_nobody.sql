-- A session that asks for no approval where it takes one.
-- policy: four_eyes
-- expect: refused TO002
SELECT trigger_ops_open(jsonb_build_object('uris', '["past.Receipt:append_only"]'::jsonb, 'triggers', '["<past.Receipt:append_only>"]'::jsonb, 'reason', 'because',
    'surface', 'shell', 'opener', 'user:eve', 'needs', 0, 'lasts', '1 hour', 'idle', '1 hour', 'longest', '1 hour', 'waits', '1 hour',
    'most_rows', 5, 'most_extensions', 0));
-- next
BEGIN;
SELECT trigger_ops_enter(max(id)::text) FROM trigger_ops_session;
UPDATE past_receipt SET number = 'x';
COMMIT;
