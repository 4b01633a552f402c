-- A session that is entered by RETURNING.
-- policy: session
-- session: tutorial.StatementProtect:protect
-- expect: session 1 decided 1 changed
UPDATE tutorial_statementprotect SET int_field = 5 RETURNING trigger_ops_enter('<session>');
