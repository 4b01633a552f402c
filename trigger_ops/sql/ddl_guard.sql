-- gate_body --
-- What the ignore function has to be where the guard is on.
CREATE OR REPLACE FUNCTION {schema}.gate_body() RETURNS text LANGUAGE sql IMMUTABLE AS $body$ SELECT {gate}::pg_catalog.text $body$

-- stock_body --
-- What pgtrigger makes of it with every trigger that it installs.
CREATE OR REPLACE FUNCTION {schema}.stock_body() RETURNS text LANGUAGE sql IMMUTABLE AS $body$ SELECT {stock}::pg_catalog.text $body$

-- own_functions --
-- Our own functions as they have to be: signature, and digest of what they do.
CREATE OR REPLACE FUNCTION {schema}.own_functions() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $body$ SELECT {functions}::pg_catalog.jsonb $body$

-- own_tables --
-- The names of our own tables.
CREATE OR REPLACE FUNCTION {schema}.own_tables() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $body$ SELECT {tables}::pg_catalog.jsonb $body$

-- digest --
-- Digests what a function does: body, language, whose rights it has, settings, volatility.
CREATE OR REPLACE FUNCTION {schema}.digest(function oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT encode(sha256(convert_to(concat_ws(' ', l.lanname, p.prosecdef::text, p.provolatile, array_to_string(p.proconfig, ';'), p.prosrc), 'UTF8')), 'hex')
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid = function
$body$

-- refuse --
-- Ends a statement of DDL with a sentence.
CREATE OR REPLACE FUNCTION {schema}.refuse(fault text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO006', MESSAGE = format(
        'trigger_ops: %s while the guard is on: run manage.py pgtrigger guard remove first.', fault);
END
$body$

-- asks --
-- Tells whether a trigger of pgtrigger on a table asks an ignore function; "late" counts those alone that decide at a statement's
-- end or later. A schema limits it to that one's function; null takes any table, or any schema.
CREATE OR REPLACE FUNCTION {schema}.asks(relation oid, late boolean, function_schema name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT EXISTS (
        SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE starts_with(t.tgname::text, 'pgtrigger_') AND (relation IS NULL OR t.tgrelid = relation)
           AND (NOT late OR t.tgtype & 3 <> 3 OR t.tgconstraint <> 0)
           AND (strpos(p.prosrc, '_pgtrigger_should_ignore') > 0)
           AND (function_schema IS NULL OR p.prosrc ~ '(^|[^."])\m_pgtrigger_should_ignore\s*\('
                OR strpos(p.prosrc, format('"%s"._pgtrigger_should_ignore', replace(function_schema::text, '"', '""'))) > 0
                OR strpos(p.prosrc, format(' %s._pgtrigger_should_ignore', function_schema)) > 0))
$body$

-- watch --
-- Runs after every statement that may switch a witness, replace the gate, or change what that asks. The gate comes back at once in
-- the place of pgtrigger's function; a witness that is made anew fires always from the start.
CREATE OR REPLACE FUNCTION {schema}.watch() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    command record;
    one record;
BEGIN
    FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        IF command.classid = 'pg_class'::regclass THEN
            FOR one IN
                SELECT t.tgname, t.tgrelid::regclass AS relation
                  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                 WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = {home_name})
                   AND starts_with(p.proname::text, 'trigger_ops_') AND t.tgenabled <> 'A'
                   AND (t.tgrelid = command.objid OR t.tgrelid IN (SELECT r.relid FROM pg_partition_tree(command.objid::regclass) r))
            LOOP
                PERFORM {schema}.refuse(format('%I on %s has to stay ENABLE ALWAYS', one.tgname, one.relation));
            END LOOP;
            IF command.command_tag = 'ALTER TABLE' THEN
                SELECT name INTO one FROM jsonb_array_elements_text({schema}.own_tables()) name
                 WHERE EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = {home_name})
                   AND to_regclass(format('%I.%I', {home_name}, name)) IS NULL LIMIT 1;
                IF FOUND THEN
                    PERFORM {schema}.refuse(format('table %I.%I has to stay where it was', {home_name}, one.name));
                END IF;
            END IF;
        ELSIF command.classid = 'pg_trigger'::regclass THEN
            SELECT t.tgname::text AS name, t.tgrelid::regclass AS relation, t.tgenabled, p.proname::text AS executes,
                   n.nspname = {home_name} AND starts_with(p.proname::text, 'trigger_ops_') AS ours
              INTO one
              FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE t.oid = command.objid;
            IF one.ours AND NOT (one.name = one.executes OR (starts_with(one.name, 'trigger_ops_witness') AND starts_with(one.executes, 'trigger_ops_witness'))) THEN
                PERFORM {schema}.refuse(format('the trigger of %s that executes %s cannot be called %I', one.relation, one.executes, one.name));
            ELSIF one.ours AND one.tgenabled <> 'A' THEN
                EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', one.relation, one.name);
            ELSIF NOT one.ours AND starts_with(one.name, 'trigger_ops_witness') THEN
                PERFORM {schema}.refuse(format('%I on %s has to execute the function that the guard gave it', one.name, one.relation));
            END IF;
        ELSIF command.classid = 'pg_proc'::regclass THEN
            SELECT n.nspname AS schema, p.proname::text AS name, p.oid::regprocedure AS signature,
                   p.prosrc = {schema}.gate_body() AS has_gate,
                   p.prosrc = {schema}.gate_body() AND l.lanname = 'sql' AND plain AS is_gate,
                   p.prosrc = {schema}.stock_body() AND l.lanname = 'plpgsql' AND plain AS is_stock,
                   p.proname = '_pgtrigger_should_ignore' AND p.pronargs = 1 AND p.proargtypes[0] = 'name'::regtype AS in_place,
                   CASE WHEN n.nspname = {home_name} THEN {schema}.own_functions() ->> format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)) END AS wanted,
                   {schema}.digest(p.oid) AS digest
              INTO one
              FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
             CROSS JOIN LATERAL (SELECT NOT p.prosecdef AND p.proconfig IS NULL AND p.prosupport = 0 AND p.provolatile = 'v'
                                        AND p.prorettype = 'boolean'::regtype AS plain) s
             WHERE p.oid = command.objid;
            IF one.in_place AND {schema}.asks(NULL, false, one.schema) THEN
                IF one.is_stock THEN
                    EXECUTE format('CREATE OR REPLACE FUNCTION %I._pgtrigger_should_ignore(trigger_name name) RETURNS boolean LANGUAGE sql VOLATILE AS %L',
                                   one.schema, {schema}.gate_body());
                ELSIF NOT one.is_gate THEN
                    PERFORM {schema}.refuse(format('%s has to stay the gate', one.signature));
                END IF;
            ELSIF one.has_gate AND command.command_tag <> 'CREATE FUNCTION' THEN
                PERFORM {schema}.refuse(format('%s is the gate and has to stay where it was', one.signature));
            ELSIF one.wanted <> one.digest THEN
                PERFORM {schema}.refuse(format('%s has to stay what the guard asks', one.signature));
            ELSIF one.wanted IS NULL AND command.command_tag <> 'CREATE FUNCTION'
                  AND EXISTS (SELECT FROM jsonb_each_text({schema}.own_functions()) f WHERE f.value = one.digest) THEN
                PERFORM {schema}.refuse(format('%s is asked by the guard and has to stay where it was', one.signature));
            END IF;
        END IF;
    END LOOP;
END
$body$

-- watch_drops --
-- Refuses to drop a witness that its table needs, our functions and tables, and a gate that is asked.
CREATE OR REPLACE FUNCTION {schema}.watch_drops() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
    relation oid;
BEGIN
    FOR one IN
        SELECT d.object_type, d.object_identity, d.address_names[1] AS schema, d.address_names[2] AS name, d.address_names[3] AS part
          FROM pg_event_trigger_dropped_objects() d WHERE d.object_type IN ('trigger', 'function', 'table')
    LOOP
        IF one.object_type = 'trigger' AND starts_with(one.part, 'trigger_ops_') THEN
            -- A table that is dropped takes its triggers along.
            relation := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = one.schema AND c.relname = one.name);
            IF relation IS NOT NULL AND (NOT starts_with(one.part, 'trigger_ops_witness')
               OR {schema}.asks(relation, one.part ~ '^trigger_ops_witness_(insert|update|delete)$', NULL)) THEN
                PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
            END IF;
        ELSIF one.schema = {home_name} AND starts_with(one.name, 'trigger_ops_') AND one.object_type IN ('function', 'table') THEN
            PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
        ELSIF one.object_type = 'function' AND one.name = '_pgtrigger_should_ignore' AND {schema}.asks(NULL, false, one.schema) THEN
            PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
        END IF;
    END LOOP;
END
$body$
