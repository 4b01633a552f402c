-- The same beside something that is ignored and harmless.
-- policy: session
-- expect: unattributed 1 changed
SET pgtrigger.ignore = '{harmless}';
SET session_replication_role = replica;
-- next
UPDATE past_receipt SET number = 'x' WHERE id = 1 RETURNING set_config('session_replication_role', 'origin', false), set_config('pgtrigger.ignore', '', false);
