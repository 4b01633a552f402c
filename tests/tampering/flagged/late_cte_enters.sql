-- A session that is entered after the rows.
-- policy: session
-- session: tutorial.StatementProtect:protect
-- expect: session 1 decided 1 changed
WITH done AS (UPDATE tutorial_statementprotect SET int_field = 5 RETURNING 1)
SELECT trigger_ops_enter('<session>') FROM done;
