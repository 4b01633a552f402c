-- A replica that is none any more when its statement ends.
-- policy: session
-- expect: unattributed 1 changed
SET session_replication_role = replica;
-- next
UPDATE past_receipt SET number = 'x' WHERE id = 1 RETURNING set_config('session_replication_role', 'origin', false);
