-- A policy by hand, as a role that owns nothing.
-- policy: session
-- role: app
-- expect: refused 42501
INSERT INTO trigger_ops_policy (trigger, uri, mode) VALUES ('<past.Receipt:append_only>', 'past.Receipt:append_only', 'open');
