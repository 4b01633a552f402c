-- A trigger on a table of one's own resets the setting between the witness of rows and that of statements.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
CREATE FUNCTION asks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF public._pgtrigger_should_ignore(TG_NAME) THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'no';
END $$;
CREATE TRIGGER pgtrigger_asks BEFORE UPDATE ON awkward_posting FOR EACH ROW EXECUTE FUNCTION asks();
-- next
CREATE TEMP TABLE mine (id bigint);
CREATE FUNCTION pg_temp.off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('pgtrigger.ignore', '', false); RETURN NULL; END $$;
CREATE TRIGGER z AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.off();
SET pgtrigger.ignore = '{pgtrigger_asks}';
-- next
WITH a AS (UPDATE awkward_posting SET booking = 7 RETURNING id) INSERT INTO mine SELECT id FROM a;
