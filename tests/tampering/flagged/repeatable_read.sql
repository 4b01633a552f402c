-- Joins a transaction that would not see the end.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO004
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT trigger_ops_enter('<session>', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
