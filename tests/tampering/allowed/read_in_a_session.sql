-- Nothing but reading.
-- policy: record
-- session: past.Receipt:append_only
-- expect: nothing
BEGIN READ ONLY;
SELECT trigger_ops_enter('<session>');
SELECT count(*) FROM past_receipt;
COMMIT;
