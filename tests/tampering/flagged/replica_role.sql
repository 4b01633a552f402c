-- Triggers off for the connection.
-- policy: session
-- expect: unattributed 3 changed
SET session_replication_role = replica;
-- next
UPDATE past_receipt SET number = 'x';
