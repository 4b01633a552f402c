-- ledger_guard --
-- The ledger only grows: rows are added, never changed. TRUNCATE is for Django's test databases, and for an empty table.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_ledger_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    remedy text := 'leave its rows as they are.';
    is_empty boolean;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- Django's test runner made it; TransactionTestCase truncates all tables after each test.
        IF starts_with(current_database()::text, 'test_') THEN
            RETURN NULL;
        END IF;
        -- An older snapshot does not see the rows that came after it: there only an empty file counts.
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I.%I)', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO is_empty;
        IF is_empty AND (current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')
                         OR pg_relation_size(TG_RELID) = 0) THEN
            RETURN NULL;
        END IF;
        remedy := 'truncate the other tables without it, or test in a database whose name begins with test_.';
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format(
        'trigger_ops: %s on %I.%I is refused, for the ledger only grows: %s',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, remedy);
END
$body$
