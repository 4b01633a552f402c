-- The statement sets it for its own rows.
-- policy: record
-- expect: unattributed 3 decisions 1 changed
UPDATE past_receipt SET number = left(set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true), 9);
