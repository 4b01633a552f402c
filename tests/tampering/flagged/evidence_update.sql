-- Evidence by hand, as a role that owns nothing.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused 42501
UPDATE trigger_ops_change SET session_id = 1;
