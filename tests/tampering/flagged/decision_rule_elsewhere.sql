-- A rule that has decisions go to another table.
-- policy: record
-- expect: refused TO013
CREATE TABLE elsewhere (LIKE trigger_ops_decision);
CREATE RULE away AS ON INSERT TO trigger_ops_decision DO INSTEAD INSERT INTO elsewhere SELECT NEW.*;
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
