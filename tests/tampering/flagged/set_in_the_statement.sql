-- The statement sets it for its own rows.
-- policy: session
-- expect: refused TO001
UPDATE past_receipt SET number = left(set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true), 9);
