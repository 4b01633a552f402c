-- The same, and the setting.
-- policy: session
-- session: past.Receipt:append_only
-- expect: refused TO001
SET trigger_ops.session = '<session>';
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
UPDATE past_receipt SET number = 'x';
