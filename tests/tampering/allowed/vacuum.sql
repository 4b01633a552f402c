-- What keeps a database in order.
-- policy: session
-- expect: nothing
VACUUM (ANALYZE) past_receipt;
-- next
REINDEX TABLE past_receipt;
-- next
CLUSTER past_receipt USING past_receipt_pkey;
-- next
VACUUM FULL trigger_ops_change;
