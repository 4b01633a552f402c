-- A policy whose change is not to be on record.
-- policy: session
-- expect: refused TO013
CREATE RULE nothing AS ON INSERT TO trigger_ops_guardchange DO INSTEAD NOTHING;
-- next
UPDATE trigger_ops_guard SET policy = 'open';
