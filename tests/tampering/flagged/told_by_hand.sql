-- An approval that nobody gave.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO011
SELECT trigger_ops_tell(<session>, 'approved', 'user:bob', '{}');
