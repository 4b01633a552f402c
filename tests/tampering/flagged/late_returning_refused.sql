-- The same where only a session may.
-- policy: session
-- expect: refused TO001
UPDATE tutorial_statementprotect SET int_field = 5
RETURNING set_config('pgtrigger.ignore', '{<tutorial.StatementProtect:protect>}', true);
