-- The same where it is recorded: nobody's, and not that session's.
-- policy: record
-- session: past.Receipt:append_only
-- expect: unattributed 3 decisions 1 changed
SET trigger_ops.session = '<session>';
SET pgtrigger.ignore = '{<past.Receipt:append_only>}';
-- next
UPDATE past_receipt SET number = 'x';
