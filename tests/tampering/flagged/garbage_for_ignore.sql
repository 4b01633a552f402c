-- What is no array.
-- policy: record
-- expect: refused P0001
SET pgtrigger.ignore = '<past.Receipt:append_only>';
-- next
UPDATE past_receipt SET number = 'x';
