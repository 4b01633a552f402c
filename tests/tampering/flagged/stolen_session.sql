-- The number of a session that this transaction has not entered.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused P0001
SET trigger_ops.session = '<session>';
-- next
UPDATE past_receipt SET number = 'x';
