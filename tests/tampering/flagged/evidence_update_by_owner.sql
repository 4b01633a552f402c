-- Evidence by hand, as its owner: the row of what was done before stays as it is.
-- policy: record
-- expect: refused TO013
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
UPDATE trigger_ops_change SET old = new;
COMMIT;
