-- The same where only a session may.
-- policy: session
-- expect: refused TO001
WITH done AS (UPDATE tutorial_statementprotect SET int_field = 5 RETURNING 1)
SELECT set_config('pgtrigger.ignore', '{<tutorial.StatementProtect:protect>}', true) FROM done;
