-- A session without an end.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO016
UPDATE trigger_ops_session SET expires = NULL, activated = NULL, extensions = 1;
