-- Evidence by hand, as a role that owns nothing.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused 42501
INSERT INTO trigger_ops_change (transaction, schema, "table", op, cause) VALUES (1, 'public', 't', 'UPDATE', 'ignore');
