-- A trigger of one's own lets no decision be written.
-- policy: record
-- expect: refused TO013
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER a BEFORE INSERT ON trigger_ops_decision FOR EACH ROW EXECUTE FUNCTION nothing();
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
