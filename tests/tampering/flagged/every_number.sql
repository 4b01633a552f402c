-- All numbers that there may be.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused P0001
SELECT set_config('trigger_ops.session', string_agg(n::text, ','), false) FROM generate_series(1, 1000) n;
-- next
UPDATE past_receipt SET number = 'x';
