-- A revoke that nobody made.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO011
SELECT trigger_ops_tell(<session>, 'revoked', 'user:alice', '{}');
