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

-- own_triggers --
-- The triggers on our own tables as they have to be, by table and name: type, and whether they are deferred.
CREATE OR REPLACE FUNCTION {schema}.own_triggers() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $body$ SELECT {triggers}::pg_catalog.jsonb $body$

-- witnesses --
-- Witnesses as they have to be, by name: type, function, mode, condition.
CREATE OR REPLACE FUNCTION {schema}.witnesses() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $body$ SELECT {witnesses}::pg_catalog.jsonb $body$

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

-- note --
-- Puts on record what was done to a trigger, or to its function.
CREATE OR REPLACE FUNCTION {schema}.note(kind text, relation oid, name text, op text, old jsonb, new jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO {home}.trigger_ops_guardchange (transaction, kind, schema, "table", name, op, old, new, role, application, address, at)
    SELECT pg_current_xact_id()::text::bigint, kind, n.nspname, c.relname, note.name, op, old, new,
           session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'), clock_timestamp()
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    IF NOT FOUND THEN
        PERFORM {schema}.refuse(format('nothing can be done to %I, which would not be on record,', name));
    END IF;
END
$body$

-- triggers --
-- Triggers of pgtrigger and witnesses as they are, on some tables or (null) on all: mode, definition, and what their functions do.
CREATE OR REPLACE FUNCTION {schema}.triggers(relations oid[]) RETURNS TABLE (relation oid, name name, is_clone boolean, enabled "char", definition text, does text, body text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT t.tgrelid, t.tgname, t.tgparentid <> 0, t.tgenabled, pg_get_triggerdef(t.oid), {schema}.digest(t.tgfoid), p.prosrc
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
     WHERE (starts_with(t.tgname::text, 'pgtrigger_') OR starts_with(t.tgname::text, 'trigger_ops_witness')) AND c.relpersistence <> 't'
       AND (relations IS NULL OR t.tgrelid = ANY (relations))
$body$

-- shape --
-- The columns of a table: types, defaults, and whether they may be null.
CREATE OR REPLACE FUNCTION {schema}.shape(relation oid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT jsonb_object_agg(a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid)))
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$body$

-- learn --
-- Remembers triggers and our own tables as they are, from which whatever changes is told. Everybody may read that, and nobody write
-- it, whatever default privileges gave.
CREATE OR REPLACE FUNCTION {schema}.learn() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS role
          FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
         WHERE c.oid IN ('{schema}.known'::regclass, '{schema}.known_tables'::regclass) AND g.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON {schema}.known, {schema}.known_tables FROM %s', one.role);
    END LOOP;
    GRANT SELECT ON {schema}.known, {schema}.known_tables TO PUBLIC;
    DELETE FROM {schema}.known;
    INSERT INTO {schema}.known SELECT t.relation, t.name, t.is_clone, t.enabled, t.definition, t.does, t.body, false FROM {schema}.triggers(NULL) t;
    DELETE FROM {schema}.known_tables;
    INSERT INTO {schema}.known_tables
    SELECT c.oid, pg_get_userbyid(c.relowner), {schema}.shape(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = {home_name} AND {schema}.own_tables() ? c.relname::text;
END
$body$

-- compare --
-- Notes what has become of the triggers of a table and its partitions since they were last looked at. Definitions change with the
-- names of tables and columns: only that of a trigger which was just made is compared.
CREATE OR REPLACE FUNCTION {schema}.compare(top oid, made name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
    relations oid[] := ARRAY(SELECT top UNION SELECT r.relid FROM pg_partition_tree(top::regclass) r);
BEGIN
    FOR one IN
        SELECT k.relation, k.name, k.enabled AS mode_before, k.definition AS definition_before, k.does AS did, k.body AS body_before, k.dropped, k.is_clone,
               t.name IS NULL AS gone, t.enabled, t.definition, t.does, t.body
          FROM {schema}.known k LEFT JOIN {schema}.triggers(relations) t ON t.relation = k.relation AND t.name = k.name
         WHERE k.relation = ANY (relations)
    LOOP
        IF one.gone THEN
            IF NOT one.dropped AND NOT one.is_clone THEN
                PERFORM {schema}.note('trigger', one.relation, one.name, 'RENAME', jsonb_build_object('definition', one.definition_before), NULL);
            END IF;
            CONTINUE;
        END IF;
        IF one.dropped AND NOT one.is_clone THEN
            PERFORM {schema}.note('trigger', one.relation, one.name, 'CREATE', NULL, jsonb_build_object('definition', one.definition));
        ELSIF one.name = made AND one.definition <> one.definition_before AND NOT one.is_clone THEN
            PERFORM {schema}.note('trigger', one.relation, one.name, 'REPLACE', jsonb_build_object('definition', one.definition_before), jsonb_build_object('definition', one.definition));
        END IF;
        -- A witness fires as it has to, or nothing happens.
        IF one.enabled <> one.mode_before AND NOT starts_with(one.name::text, 'trigger_ops_') THEN
            PERFORM {schema}.note('trigger', one.relation, one.name, CASE one.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE 'ENABLE' END,
                                  jsonb_build_object('enabled', one.mode_before), jsonb_build_object('enabled', one.enabled));
        END IF;
        IF one.does <> one.did AND NOT one.is_clone THEN
            PERFORM {schema}.note('function', one.relation, one.name, 'REPLACE', jsonb_build_object('body', one.body_before), jsonb_build_object('body', one.body));
        END IF;
    END LOOP;
    DELETE FROM {schema}.known k WHERE k.relation = ANY (relations) AND (NOT k.dropped OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = k.relation AND t.tgname = k.name));
    INSERT INTO {schema}.known SELECT t.relation, t.name, t.is_clone, t.enabled, t.definition, t.does, t.body, false FROM {schema}.triggers(relations) t;
END
$body$

-- keep_table --
-- Refuses what would make evidence go elsewhere, or be other than it was: done to one of our own tables.
CREATE OR REPLACE FUNCTION {schema}.keep_table(relation oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
BEGIN
    SELECT c.oid::regclass AS name, c.relrowsecurity OR c.relforcerowsecurity AS secured, k.owner <> pg_get_userbyid(c.relowner) AS handed_over,
           EXISTS (SELECT FROM jsonb_each(k.shape) s WHERE s.value IS DISTINCT FROM {schema}.shape(c.oid) -> s.key) AS changed
      INTO one FROM {schema}.known_tables k JOIN pg_class c ON c.oid = k.relation WHERE k.relation = keep_table.relation;
    IF one.secured THEN
        PERFORM {schema}.refuse(format('row security cannot hide rows of %s', one.name));
    ELSIF one.handed_over THEN
        PERFORM {schema}.refuse(format('%s has to keep its owner', one.name));
    ELSIF one.changed THEN
        PERFORM {schema}.refuse(format('columns of %s have to stay what they were', one.name));
    END IF;
    SELECT k.relation::regclass AS name INTO one FROM pg_inherits i JOIN {schema}.known_tables k ON k.relation = i.inhparent LIMIT 1;
    IF FOUND THEN
        PERFORM {schema}.refuse(format('nothing can inherit from %s', one.name));
    END IF;
    -- Another one may have its name by now.
    SELECT name INTO one FROM jsonb_array_elements_text({schema}.own_tables()) name
     WHERE EXISTS (SELECT FROM {schema}.known_tables k JOIN pg_class c ON c.oid = k.relation JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname <> {home_name} OR NOT {schema}.own_tables() ? c.relname::text)
       AND NOT EXISTS (SELECT FROM {schema}.known_tables k WHERE k.relation = to_regclass(format('%I.%I', {home_name}, name))) LIMIT 1;
    IF FOUND THEN
        PERFORM {schema}.refuse(format('table %I.%I has to stay where it was', {home_name}, one.name));
    END IF;
END
$body$

-- keep_trigger --
-- Refuses a trigger on one of our own tables that is not as it has to be, and a witness that is none; has the others fire as they have to.
CREATE OR REPLACE FUNCTION {schema}.keep_trigger(made oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
    wanted jsonb;
BEGIN
    SELECT t.tgname::text AS name, t.tgrelid::regclass AS relation, t.tgenabled, t.tgtype, t.tgdeferrable AND t.tginitdeferred AS deferred,
           p.proname::text AS executes, n.nspname = {home_name} AND starts_with(p.proname::text, 'trigger_ops_') AS ours,
           k.relation IS NOT NULL AS on_ours, c.relname::text AS table, t.tgqual IS NULL AND t.tgattr::text = '' AND t.tgnargs = 0 AS plain,
           t.tgattr::text = '' AS whole, substring(pg_get_triggerdef(t.oid) FROM ' WHEN (.*) EXECUTE FUNCTION ') AS condition
      INTO one
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_class c ON c.oid = t.tgrelid
      LEFT JOIN {schema}.known_tables k ON k.relation = t.tgrelid
     WHERE t.oid = made;
    IF one.on_ours THEN
        wanted := {schema}.own_triggers() -> one.table -> one.name;
        IF (one.ours AND one.executes = one.name AND one.plain AND one.tgtype = (wanted ->> 'type')::integer AND one.deferred = (wanted ->> 'deferred')::boolean) IS NOT TRUE THEN
            PERFORM {schema}.refuse(format('%I cannot be on %s as it was made', one.name, one.relation));
        END IF;
        wanted := wanted || '{{"enabled": "A"}}';
    ELSIF starts_with(one.name, 'trigger_ops_witness') OR one.ours THEN
        wanted := {schema}.witnesses() -> one.name;
        IF (one.ours AND one.executes = wanted ->> 'function' AND one.whole AND one.tgtype = (wanted ->> 'type')::integer
            AND coalesce(one.condition, '') = coalesce(wanted ->> 'condition', '')) IS NOT TRUE THEN
            PERFORM {schema}.refuse(format('%I cannot be on %s as it was made', one.name, one.relation));
        END IF;
    END IF;
    IF one.tgenabled <> wanted ->> 'enabled' THEN
        EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', one.relation, CASE wanted ->> 'enabled' WHEN 'R' THEN 'REPLICA' ELSE 'ALWAYS' END, one.name);
    END IF;
END
$body$

-- keep_modes --
-- Refuses that a trigger of ours on a table, or on its partitions, fires otherwise than it has to.
CREATE OR REPLACE FUNCTION {schema}.keep_modes(top oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT t.tgname, t.tgrelid::regclass AS relation, CASE {schema}.witnesses() -> t.tgname::text ->> 'enabled' WHEN 'R' THEN 'REPLICA' ELSE 'ALWAYS' END AS mode
          FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = {home_name})
           AND starts_with(p.proname::text, 'trigger_ops_') AND t.tgenabled::text <> coalesce({schema}.witnesses() -> t.tgname::text ->> 'enabled', 'A')
           AND (t.tgrelid = top OR t.tgrelid IN (SELECT r.relid FROM pg_partition_tree(top::regclass) r))
    LOOP
        PERFORM {schema}.refuse(format('%I on %s has to stay ENABLE %s', one.tgname, one.relation, one.mode));
    END LOOP;
END
$body$

-- keep_function --
-- Refuses that the gate, or a function that it asks, becomes another; puts the gate in the place of pgtrigger's function; notes what
-- becomes of the functions of triggers.
CREATE OR REPLACE FUNCTION {schema}.keep_function(made oid, is_new boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
BEGIN
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
     WHERE p.oid = made;
    IF one.in_place AND {schema}.asks(NULL, false, one.schema) THEN
        IF one.is_stock THEN
            EXECUTE format('CREATE OR REPLACE FUNCTION %I._pgtrigger_should_ignore(trigger_name name) RETURNS boolean LANGUAGE sql VOLATILE AS %L',
                           one.schema, {schema}.gate_body());
        ELSIF NOT one.is_gate THEN
            PERFORM {schema}.refuse(format('%s has to stay the gate', one.signature));
        END IF;
    ELSIF one.has_gate AND NOT is_new THEN
        PERFORM {schema}.refuse(format('%s is the gate and has to stay where it was', one.signature));
    ELSIF one.wanted <> one.digest THEN
        PERFORM {schema}.refuse(format('%s has to stay what the guard asks', one.signature));
    ELSIF one.wanted IS NULL AND NOT is_new
          AND EXISTS (SELECT FROM jsonb_each_text({schema}.own_functions()) f WHERE f.value = one.digest) THEN
        PERFORM {schema}.refuse(format('%s is asked by the guard and has to stay where it was', one.signature));
    END IF;
    PERFORM {schema}.compare(t.tgrelid, NULL) FROM (SELECT DISTINCT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = made AND t.tgparentid = 0) t;
END
$body$

-- keep_places --
-- Refuses that our tables and functions, or a gate, go elsewhere with their schema (place) or with an extension (place), and that
-- what is no gate comes into the place of one in that way.
CREATE OR REPLACE FUNCTION {schema}.keep_places(place oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
BEGIN
    PERFORM {schema}.keep_table(NULL);
    SELECT pg_describe_object(d.classid, d.objid, 0) AS name INTO one
      FROM pg_depend d LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
     WHERE d.deptype = 'e' AND (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM {schema}.known_tables k WHERE k.relation = d.objid)
           OR p.prosrc = {schema}.gate_body()
           OR p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = {home_name}) AND starts_with(p.proname::text, 'trigger_ops_')) LIMIT 1;
    IF FOUND THEN
        PERFORM {schema}.refuse(format('%s cannot belong to an extension', one.name));
    END IF;
    FOR one IN
        SELECT p.oid, p.prosrc = {schema}.gate_body() AS has_gate FROM pg_proc p
         WHERE p.proname = '_pgtrigger_should_ignore' AND (p.pronamespace = place OR EXISTS (
               SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refobjid = place AND d.deptype = 'e'))
    LOOP
        PERFORM {schema}.keep_function(one.oid, true);
        IF one.has_gate THEN
            PERFORM {schema}.refuse(format('%I._pgtrigger_should_ignore(name) is the gate and has to stay where it was', a.schema))
               FROM (SELECT coalesce(replace(m[1], '""', '"'), m[2]) AS schema
                       FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                      CROSS JOIN LATERAL regexp_matches(p.prosrc, '(?:"((?:[^"]|"")+)"|\m(\w+))\._pgtrigger_should_ignore') m
                      WHERE starts_with(t.tgname::text, 'pgtrigger_')) a
              WHERE to_regprocedure(format('%I._pgtrigger_should_ignore(name)', a.schema)) IS NULL;
        END IF;
    END LOOP;
END
$body$

-- watch --
-- Runs after every statement that may switch a witness, replace the gate, change what that asks, or make our own tables keep less.
-- The gate comes back at once in the place of pgtrigger's function; a witness that is made anew fires as it has to from the start.
CREATE OR REPLACE FUNCTION {schema}.watch() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    command record;
    relation oid;
BEGIN
    FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        CASE command.classid
            WHEN 'pg_class'::regclass THEN
                PERFORM {schema}.keep_modes(command.objid);
                PERFORM {schema}.keep_table(command.objid);
                PERFORM {schema}.compare(command.objid, NULL);
            WHEN 'pg_trigger'::regclass THEN
                PERFORM {schema}.compare(t.tgrelid, t.tgname) FROM pg_trigger t WHERE t.oid = command.objid;
                PERFORM {schema}.keep_trigger(command.objid);
            WHEN 'pg_rewrite'::regclass THEN
                SELECT k.relation INTO relation FROM pg_rewrite r JOIN {schema}.known_tables k ON k.relation = r.ev_class WHERE r.oid = command.objid;
            WHEN 'pg_policy'::regclass THEN
                SELECT k.relation INTO relation FROM pg_policy p JOIN {schema}.known_tables k ON k.relation = p.polrelid WHERE p.oid = command.objid;
            WHEN 'pg_proc'::regclass THEN
                PERFORM {schema}.keep_function(command.objid, command.command_tag = 'CREATE FUNCTION');
            WHEN 'pg_namespace'::regclass, 'pg_extension'::regclass THEN
                PERFORM {schema}.keep_places(command.objid);
            ELSE
                NULL;
        END CASE;
        IF relation IS NOT NULL THEN
            PERFORM {schema}.refuse(format('%s cannot be on %s', lower(split_part(command.command_tag, ' ', 2)), relation::regclass));
        END IF;
    END LOOP;
END
$body$

-- watch_drops --
-- Refuses to drop a witness that its table needs, our functions, tables and their columns, and a gate that is asked; notes what other
-- triggers are dropped while their tables stay.
CREATE OR REPLACE FUNCTION {schema}.watch_drops() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one record;
    place oid;
BEGIN
    FOR one IN
        SELECT d.object_type, d.object_identity, d.address_names[1] AS schema, d.address_names[2] AS name, d.address_names[3] AS part
          FROM pg_event_trigger_dropped_objects() d WHERE d.object_type IN ('trigger', 'function', 'table', 'table column')
    LOOP
        -- A table that is dropped takes its triggers along.
        place := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = one.schema AND c.relname = one.name);
        IF one.object_type = 'trigger' AND starts_with(one.part, 'trigger_ops_') THEN
            IF place IS NOT NULL AND (NOT starts_with(one.part, 'trigger_ops_witness')
               OR {schema}.asks(place, one.part ~ '^trigger_ops_witness_(insert|update|delete)$', NULL)) THEN
                PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
            END IF;
        ELSIF one.schema = {home_name} AND starts_with(one.name, 'trigger_ops_') AND one.object_type IN ('function', 'table', 'table column') THEN
            PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
        ELSIF one.object_type = 'function' AND one.name = '_pgtrigger_should_ignore' AND {schema}.asks(NULL, false, one.schema) THEN
            PERFORM {schema}.refuse(format('%s cannot be dropped', one.object_identity));
        END IF;
    END LOOP;
    FOR one IN
        SELECT k.relation, k.name, k.definition, k.is_clone FROM {schema}.known k
         WHERE NOT k.dropped AND EXISTS (SELECT FROM pg_class c WHERE c.oid = k.relation)
           AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = k.relation AND t.tgname = k.name)
    LOOP
        IF NOT one.is_clone THEN
            PERFORM {schema}.note('trigger', one.relation, one.name, 'DROP', jsonb_build_object('definition', one.definition), NULL);
        END IF;
        UPDATE {schema}.known k SET dropped = true WHERE k.relation = one.relation AND k.name = one.name;
    END LOOP;
    DELETE FROM {schema}.known k WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = k.relation);
END
$body$

-- watch_rewrites --
-- Refuses to write a table of ours anew, which may make other rows of it: all but columns that are added (reason 2).
CREATE OR REPLACE FUNCTION {schema}.watch_rewrites() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF pg_event_trigger_table_rewrite_reason() <> 2 AND EXISTS (SELECT FROM {schema}.known_tables k WHERE k.relation = pg_event_trigger_table_rewrite_oid()) THEN
        PERFORM {schema}.refuse(format('rows of %s have to stay what they were', pg_event_trigger_table_rewrite_oid()::regclass));
    END IF;
END
$body$
