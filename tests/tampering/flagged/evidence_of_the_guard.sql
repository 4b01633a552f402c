-- What says who opened a policy, by hand and as its owner.
-- policy: record
-- expect: refused TO013
BEGIN;
UPDATE trigger_ops_guard SET policy = 'open';
DELETE FROM trigger_ops_guardchange;
COMMIT;
