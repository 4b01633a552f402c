-- A trigger of one's own gives the decision to another trigger.
-- policy: record
-- expect: refused TO013
CREATE FUNCTION another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.trigger := 'harmless'; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT ON trigger_ops_decision FOR EACH ROW EXECUTE FUNCTION another();
-- next
BEGIN;
SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
