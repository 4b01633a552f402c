-- A trigger before the statement stands aside; the setting is reset before the statement's rows.
-- policy: record
-- expect: unattributed 1 decisions 1 changed
CREATE FUNCTION early() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF public._pgtrigger_should_ignore(TG_NAME) THEN RETURN NULL; END IF;
    RAISE EXCEPTION 'no';
END $$;
CREATE TRIGGER pgtrigger_early BEFORE UPDATE ON awkward_posting FOR EACH STATEMENT EXECUTE FUNCTION early();
-- next
SET pgtrigger.ignore = '{pgtrigger_early}';
-- next
UPDATE awkward_posting SET booking = 7 FROM (SELECT set_config('pgtrigger.ignore', '', false)) s;
