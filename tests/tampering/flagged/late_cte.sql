-- Set after the rows, before the trigger that looks at the end of the statement.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
WITH done AS (UPDATE tutorial_statementprotect SET int_field = 5 RETURNING 1)
SELECT set_config('pgtrigger.ignore', '{<tutorial.StatementProtect:protect>}', true) FROM done;
