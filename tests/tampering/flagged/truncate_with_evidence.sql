-- Emptied in one statement with what would say so.
-- policy: record
-- expect: refused TO013
TRUNCATE trigger_ops_change, past_receipt CASCADE;
