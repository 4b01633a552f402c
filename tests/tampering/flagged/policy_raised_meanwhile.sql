-- A session of when it took no approval, now that it takes one.
-- policy: record
-- session: past.Receipt:append_only
-- expect: refused TO015 guard 1
UPDATE trigger_ops_guard SET policy = 'four_eyes';
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
