-- Evidence by hand, as a role that owns nothing.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused 42501
INSERT INTO trigger_ops_sessiontransaction (session_id, transaction, pid, role, application, address)
VALUES (<session>, pg_current_xact_id()::text::bigint, 1, 'x', '', '');
