-- More triggers than were asked for.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO013
UPDATE trigger_ops_session SET triggers = '["<past.Receipt:append_only>", "<past.Invoice:protect_deletes>"]';
