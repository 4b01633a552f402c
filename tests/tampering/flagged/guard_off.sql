-- A flush of what says that the guard is on.
-- policy: record
-- expect: refused TO013
TRUNCATE trigger_ops_guard, trigger_ops_policy;
