-- Evidence by hand, as a role that owns nothing.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused 42501
INSERT INTO trigger_ops_acknowledgement (transaction, actor, reason) VALUES (1, 'user:eve', 'x');
