-- The same as a role that may not.
-- policy: session
-- role: app
-- expect: refused 42501
SET session_replication_role = replica;
-- next
UPDATE past_receipt SET number = 'x';
