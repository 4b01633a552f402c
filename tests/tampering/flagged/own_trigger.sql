-- A trigger on a table of one's own that sets, writes and resets.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
CREATE TABLE mine (id int);
CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
    UPDATE past_receipt SET number = 'x';
    PERFORM set_config('pgtrigger.ignore', '', true);
    RETURN NULL;
END $$;
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION mine();
-- next
INSERT INTO mine VALUES (1);
