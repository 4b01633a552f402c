-- What is no number.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused P0001
SET trigger_ops.session = '1 OR true; --';
SET trigger_ops.rows = '{NaN';
-- next
UPDATE past_receipt SET number = 'x';
