-- The same in a session.
-- policy: session
-- session: past.Receipt:append_only
-- expect: refused TO013
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER a BEFORE INSERT ON trigger_ops_decision FOR EACH ROW EXECUTE FUNCTION nothing();
-- next
BEGIN;
SELECT trigger_ops_enter('<session>');
UPDATE past_receipt SET number = 'x';
COMMIT;
