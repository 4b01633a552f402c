-- No trigger for rows sees it.
-- policy: session
-- expect: unattributed 1 changed
TRUNCATE past_receipt;
