-- Set and reset in one block.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
DO $$ BEGIN
    PERFORM set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
    UPDATE past_receipt SET number = 'x';
    PERFORM set_config('pgtrigger.ignore', '', true);
END $$;
