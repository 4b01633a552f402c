-- Functions and operators of the attacker's before those of PostgreSQL.
-- policy: record
-- role: app
-- expect: unattributed 3 decisions 1 changed
CREATE SCHEMA evil;
CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT ''::text $$;
CREATE FUNCTION evil.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$;
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2000-01-01'::timestamptz $$;
CREATE FUNCTION evil.trigger_ops_gate(name) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil._pgtrigger_should_ignore(name) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
-- next
SET search_path = evil, public, pg_catalog;
-- next
BEGIN;
SELECT pg_catalog.set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true);
UPDATE past_receipt SET number = 'x';
COMMIT;
