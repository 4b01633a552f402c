-- Set by RETURNING, after the row.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
UPDATE tutorial_statementprotect SET int_field = 5
RETURNING set_config('pgtrigger.ignore', '{<tutorial.StatementProtect:protect>}', true);
