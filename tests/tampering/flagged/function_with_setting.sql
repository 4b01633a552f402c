-- A function that has the setting, for as long as it runs.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
CREATE FUNCTION mine() RETURNS void LANGUAGE sql SET pgtrigger.ignore = '{<past.Receipt:append_only>}'
    AS $$ UPDATE past_receipt SET number = 'x' $$;
-- next
SELECT mine();
