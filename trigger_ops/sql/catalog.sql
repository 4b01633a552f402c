-- pin_settings --
-- Reads the session as it is, then pins what pg_get_triggerdef's text depends on (PostgreSQL docs, 9.27 and 20.11).
-- All names are qualified: whoever owns the database chooses its search_path, and must not have us call what is his.
-- Nested loops over catalogs that nobody has analyzed since a large deploy would grow with the square of the triggers.
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS server_version,
       pg_catalog.current_setting('search_path') AS search_path,
       pg_catalog.current_schema()::pg_catalog.text AS install_schema,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_database() AS name,
       current_user::pg_catalog.text AS role,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP') AS may_create_temporary,
       (SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() AS s) AS identifier,
       pg_catalog.current_setting('default_transaction_read_only') = 'on' AS read_only,
       pg_catalog.set_config('search_path', 'pg_catalog', true),
       pg_catalog.set_config('TimeZone', 'UTC', true),
       pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
       pg_catalog.set_config('IntervalStyle', 'postgres', true),
       pg_catalog.set_config('extra_float_digits', '1', true),
       pg_catalog.set_config('bytea_output', 'hex', true),
       pg_catalog.set_config('quote_all_identifiers', 'off', true),
       pg_catalog.set_config('jit', 'off', true),
       pg_catalog.set_config('enable_nestloop', 'off', true),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, true),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true)

-- triggers --
-- Every trigger of every wanted schema with every facet, and the tables the code knows that carry none.
-- PostgreSQL's internal triggers execute built-in functions (OIDs below 16384): one that does not is hidden by hand.
-- What stands in "only" is said for a second look, which reads partitions and tables of some names alone.
WITH wanted AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relhastriggers, c.relispartition, n.oid AS schema_oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'f')
       AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       /* only: AND (c.relispartition OR c.relname = ANY (%%(only)s::text[])) */
), found AS (
    SELECT t.oid, t.tgrelid, t.tgparentid, t.tgname, t.tgenabled, t.tgtype, t.tgdeferrable, t.tginitdeferred, t.tgconstraint,
           t.tgoldtable, t.tgnewtable, t.tgargs, t.tgattr, t.tgqual IS NOT NULL AS has_condition, t.tgfoid, t.xmin::text AS version
      FROM pg_trigger t LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
     WHERE (NOT t.tgisinternal OR t.tgfoid >= 16384 OR (t.tgparentid <> 0 AND (k.oid IS NULL OR k.contype = 't')))
       /* only: AND t.tgrelid IN (SELECT oid FROM wanted) */
), differences AS (
    SELECT t.oid, t.tgqual::text <> p.tgqual::text AS in_condition,
           (t.tgqual IS NULL, t.tgdeferrable, t.tginitdeferred, t.tgargs) <> (p.tgqual IS NULL, p.tgdeferrable, p.tginitdeferred, p.tgargs) AS at_all
      FROM pg_trigger t JOIN pg_trigger p ON p.oid = t.tgparentid
     WHERE t.tgparentid <> 0
), shapes AS (
    SELECT a.attrelid, encode(sha256(convert_to(string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attcollation),
           ', ' ORDER BY a.attnum), 'UTF8')), 'hex') AS columns_digest
      FROM pg_attribute a
     WHERE a.attnum > 0 AND NOT a.attisdropped
       AND a.attrelid IN (SELECT tgrelid FROM found WHERE has_condition AND tgparentid = 0
                           UNION SELECT oid FROM wanted WHERE relname = ANY (%(tables)s::text[]) AND relkind IN ('r', 'p'))
     GROUP BY a.attrelid
), uses AS (
    SELECT d.objid, array_agg(pg_describe_object(d.refclassid, d.refobjid, 0) ORDER BY 1) AS names
      FROM pg_depend d JOIN found f ON f.oid = d.objid
     WHERE d.classid = 'pg_trigger'::regclass AND d.refclassid IN ('pg_operator'::regclass, 'pg_proc'::regclass)
       AND f.has_condition AND NOT (d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.tgfoid)
     GROUP BY d.objid
)
SELECT w.oid AS table_oid, w.nspname AS table_schema, w.relname AS table_name, w.relkind::text AS relkind, w.relhastriggers AS has_triggers,
       pg_get_userbyid(w.relowner)::text AS table_owner, s.columns_digest,
       t.oid AS trigger_oid, t.tgparentid AS parent_oid, t.tgname AS trigger_name, t.tgenabled::text AS enabled, t.tgtype AS type_bits,
       t.tgdeferrable AS deferrable, t.tginitdeferred AS initially_deferred, t.tgconstraint <> 0 AS is_constraint,
       t.tgoldtable AS old_table, t.tgnewtable AS new_table, t.tgargs AS arguments,
       CASE WHEN t.tgattr::text <> '' THEN ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr) ORDER BY 1) END AS columns,
       t.has_condition,
       CASE WHEN %(definitions)s AND t.has_condition AND (t.tgparentid = 0 OR f.in_condition) THEN pg_get_triggerdef(t.oid) END AS definition,
       f.at_all AS differs_from_parent,
       u.names AS uses, d.description AS comment,
       pn.nspname AS function_schema, p.proname AS function_name, p.oid AS function_oid, l.lanname AS language,
       p.prosecdef AS security_definer, p.provolatile::text AS volatility, p.proconfig AS function_settings, pg_get_userbyid(p.proowner)::text AS function_owner,
       pg_has_role(p.proowner, w.relowner, 'MEMBER') AS function_owner_rules_table,
       t.version, p.xmin::text AS function_version, pg_has_role(w.relowner, 'USAGE') AS may_alter, pg_has_role(p.proowner, 'USAGE') AS may_replace_function,
       has_schema_privilege(w.schema_oid, 'CREATE') AS may_create,
       CASE WHEN t.tgparentid = 0 THEN p.prosrc END AS body
  FROM wanted w
  LEFT JOIN found t ON t.tgrelid = w.oid
  LEFT JOIN differences f ON f.oid = t.oid
  LEFT JOIN shapes s ON s.attrelid = w.oid
  LEFT JOIN uses u ON u.objid = t.oid
  LEFT JOIN pg_proc p ON p.oid = t.tgfoid
  LEFT JOIN pg_namespace pn ON pn.oid = p.pronamespace
  LEFT JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_trigger'::regclass AND d.objsubid = 0
 WHERE t.oid IS NOT NULL OR w.relname = ANY (%(tables)s::text[])
 ORDER BY w.nspname, w.relname, t.tgname, t.oid

-- schemas --
-- The names of all schemas, to tell a typo from an empty schema.
SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp_)' ORDER BY 1

-- migration_tables --
-- Where Django keeps its record of applied migrations, and whether this role may read it.
-- No views: reading one would run its maker's functions with this role's rights.
SELECT n.nspname::text, has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = 'django_migrations' AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_temp_'
 ORDER BY 1

-- definition --
-- One trigger's text, for a second try where the first was locked out by somebody's DDL.
SELECT pg_get_triggerdef(%(oid)s)

-- columns --
-- The columns of tables as declarations for a stand-in; takes no lock and needs no right on the tables.
SELECT a.attrelid AS table_oid,
       string_agg(format('%%I %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
                         CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %%I.%%I', cn.nspname, co.collname) ELSE '' END),
                  ', ' ORDER BY a.attnum) AS declarations
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY a.attrelid

-- stand_in_conditions --
-- The stand-ins' conditions in the server's own spelling, with what they use beyond the built-in.
SELECT t.tgname, pg_get_triggerdef(t.oid),
       (SELECT array_agg(pg_describe_object(d.refclassid, d.refobjid, 0) ORDER BY 1) FROM pg_depend d
         WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
           AND d.refclassid IN ('pg_operator'::regclass, 'pg_proc'::regclass) AND d.refobjid <> t.tgfoid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = pg_my_temp_schema() AND starts_with(c.relname::text, 'trigger_ops_stand_in_')

-- marks --
-- Which version of which trigger is on one table and its partitions now; the table's own name comes with each row.
-- Runs under the session's own search_path, so that every name is qualified.
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, t.tgname::pg_catalog.text, t.oid::pg_catalog.int8, t.xmin::pg_catalog.text, p.oid::pg_catalog.int8, p.xmin::pg_catalog.text,
       coalesce(d.description, '')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  LEFT JOIN (pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid)
         ON t.tgname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
        AND (t.tgrelid OPERATOR(pg_catalog.=) c.oid OR t.tgrelid IN (SELECT r.relid FROM pg_catalog.pg_partition_tree(%(table)s::pg_catalog.oid::pg_catalog.regclass) r))
  LEFT JOIN pg_catalog.pg_description d ON d.objoid OPERATOR(pg_catalog.=) t.oid
        AND d.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass::pg_catalog.oid AND d.objsubid OPERATOR(pg_catalog.=) 0
 WHERE c.oid OPERATOR(pg_catalog.=) %(table)s::pg_catalog.oid
 ORDER BY t.oid

-- installed --
-- What a change has left on one table, under the pinned settings that make conditions comparable.
SELECT t.tgname::text, t.tgenabled::text, coalesce(d.description, ''), CASE WHEN t.tgqual IS NOT NULL THEN pg_get_triggerdef(t.oid) END,
       (SELECT array_agg(pg_describe_object(u.refclassid, u.refobjid, 0) ORDER BY 1) FROM pg_depend u
         WHERE u.classid = 'pg_trigger'::regclass AND u.objid = t.oid AND t.tgqual IS NOT NULL
           AND u.refclassid IN ('pg_operator'::regclass, 'pg_proc'::regclass) AND NOT (u.refclassid = 'pg_proc'::regclass AND u.refobjid = t.tgfoid))
  FROM pg_trigger t LEFT JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_trigger'::regclass AND d.objsubid = 0
 WHERE t.tgrelid = %(table)s AND t.tgname = ANY (%(names)s::name[])

-- repin --
-- Pins what texts depend on once more, at the end of a change whose statements ran under the session's own settings.
SELECT pg_catalog.set_config('search_path', 'pg_catalog', true), pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
       pg_catalog.set_config('IntervalStyle', 'postgres', true), pg_catalog.set_config('extra_float_digits', '1', true),
       pg_catalog.set_config('bytea_output', 'hex', true), pg_catalog.set_config('quote_all_identifiers', 'off', true)

-- function_marks --
-- Which version of one function exists now, by schema, name and number of arguments.
SELECT p.oid::pg_catalog.int8, p.xmin::pg_catalog.text
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.name AND p.proname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.name
   AND p.pronargs OPERATOR(pg_catalog.=) %(arguments)s::pg_catalog.int2
 ORDER BY p.oid

-- blockers --
-- Who holds a lock on a table, or the lock of applies, that stands in the way; no query texts, they may hold data.
SELECT a.pid, coalesce(a.usename::pg_catalog.text, a.backend_type), a.application_name, a.state, l.mode, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.xact_start)
  FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
 WHERE l.granted AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
   AND (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) OPERATOR(pg_catalog.=) l.database
   AND (l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.mode OPERATOR(pg_catalog.<>) ALL (%(harmless)s::pg_catalog.text[])
        AND (l.relation OPERATOR(pg_catalog.=) %(table)s::pg_catalog.oid
             OR l.relation IN (SELECT r.relid FROM pg_catalog.pg_partition_tree(%(table)s::pg_catalog.oid::pg_catalog.regclass) r))
     OR l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.classid::pg_catalog.int8 OPERATOR(pg_catalog.=) %(key_high)s AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) %(key_low)s)
 ORDER BY a.xact_start, a.pid

-- changeable --
-- What lies round the triggers and a plan may change or has to know: ignore functions, partitions, functions left behind.
SELECT 'ignore_function' AS kind, jsonb_build_object(
         'oid', p.oid::bigint, 'schema', n.nspname, 'owner', pg_get_userbyid(p.proowner), 'language', l.lanname, 'body', p.prosrc,
         'arguments', pg_get_function_identity_arguments(p.oid), 'security_definer', p.prosecdef, 'settings', p.proconfig,
         'version', p.xmin::text, 'may_replace', pg_has_role(p.proowner, 'USAGE'), 'returns', p.prorettype::regtype::text, 'has_support', p.prosupport::oid <> 0,
         'owner_is_superuser', EXISTS (SELECT 1 FROM pg_roles r WHERE r.oid = p.proowner AND r.rolsuper),
         'owner_is_member_of', ARRAY(SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class c
                                      WHERE c.relname = ANY (%(tables)s::text[]) AND pg_has_role(p.proowner, c.relowner, 'MEMBER')))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE p.proname = '_pgtrigger_should_ignore' AND n.nspname !~ '^pg_temp_'
UNION ALL
SELECT 'partition', jsonb_build_object('table_oid', t.root::bigint, 'schema', n.nspname, 'name', c.relname)
  FROM (WITH RECURSIVE tree AS (
            SELECT i.inhparent AS root, i.inhrelid FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
             WHERE p.relkind = 'p' AND p.relname = ANY (%(tables)s::text[]) AND NOT i.inhdetachpending
             UNION SELECT tree.root, i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.inhrelid WHERE NOT i.inhdetachpending)
        SELECT * FROM tree) t
  JOIN pg_class c ON c.oid = t.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT 'orphan_function', jsonb_build_object('oid', p.oid::bigint, 'schema', n.nspname, 'name', p.proname, 'version', p.xmin::text,
         'definition', pg_get_functiondef(p.oid), 'may_replace', pg_has_role(p.proowner, 'USAGE'), 'owner', pg_get_userbyid(p.proowner))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.proname ~ '^pgtrigger_.*_[0-9a-f]{5}$' AND p.prorettype = 'trigger'::regtype
   AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgfoid = p.oid)

-- surroundings --
-- What else lies round the triggers and can switch them off: settings, rules, children, look-alikes; read in one with `changeable`.
SELECT 'setting' AS kind, jsonb_build_object(
         'database', d.datname, 'role', r.rolname, 'setting', s.setting) AS detail
  FROM (SELECT setdatabase, setrole, unnest(setconfig) AS setting FROM pg_db_role_setting) s
  LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE (s.setdatabase = 0 OR d.datname = current_database())
   AND lower(split_part(s.setting, '=', 1)) IN ('pgtrigger.ignore', 'session_replication_role', 'search_path', 'plpgsql.check_asserts')
UNION ALL
SELECT 'rule', jsonb_build_object(
         'table_oid', w.ev_class::bigint, 'name', w.rulename, 'event', w.ev_type::text, 'instead', w.is_instead)
  FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE w.ev_type <> '1' AND w.ev_enabled <> 'D' AND c.relname = ANY (%(tables)s::text[])
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'child', jsonb_build_object('table_oid', t.root::bigint, 'schema', n.nspname, 'name', c.relname)
  FROM (WITH RECURSIVE tree AS (
            SELECT i.inhparent AS root, i.inhrelid FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
             WHERE p.relkind <> 'p' AND p.relname = ANY (%(tables)s::text[])
             UNION SELECT tree.root, i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.inhrelid)
        SELECT * FROM tree) t
  JOIN pg_class c ON c.oid = t.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT 'above', jsonb_build_object(
         'table_oid', i.inhrelid::bigint, 'schema', n.nspname, 'name', p.relname, 'partitioned', c.relispartition)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
 WHERE c.relname = ANY (%(tables)s::text[])
UNION ALL
SELECT 'operator', jsonb_build_object('schema', n.nspname, 'name', o.oprname, 'left', o.oprleft::regtype::text, 'right', o.oprright::regtype::text)
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_type lt ON lt.oid = o.oprleft JOIN pg_type rt ON rt.oid = o.oprright
 WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '~', '!~', '~*', '!~*', '~~', '!~~', '~~*', '!~~*', '@>', '<@', '&&', '->', '->>')
   AND o.oprnamespace <> 'pg_catalog'::regnamespace
   AND lt.typnamespace = 'pg_catalog'::regnamespace AND rt.typnamespace = 'pg_catalog'::regnamespace
   AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid AND e.deptype = 'e')
UNION ALL
SELECT DISTINCT 'meddler', jsonb_build_object('function', format('%%I.%%I', n.nspname, p.proname),
         'body', CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_function_sqlbody(p.oid) END,
         'what', CASE WHEN m.event IS NULL THEN pg_describe_object(m.classid, m.objid, 0) ELSE format('event trigger %%I', m.event) END,
         'asked', m.classid = 'pg_proc'::regclass,
         'fix', CASE WHEN m.event IS NOT NULL THEN format('DROP EVENT TRIGGER %%I;', m.event) END)
  FROM (SELECT d.refobjid AS function, d.classid, d.objid, NULL::name AS event FROM pg_depend d
         WHERE d.refclassid = 'pg_proc'::regclass
           AND d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_policy'::regclass, 'pg_rewrite'::regclass, 'pg_class'::regclass,
                             'pg_type'::regclass, 'pg_cast'::regclass, 'pg_operator'::regclass, 'pg_trigger'::regclass)
        UNION ALL SELECT f.oid, 'pg_proc'::regclass, f.oid, NULL FROM pg_proc f
         WHERE f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND f.pronamespace <> 'pg_catalog'::regnamespace
        UNION ALL SELECT e.evtfoid, 0::oid, 0::oid, e.evtname FROM pg_event_trigger e WHERE e.evtenabled <> 'D') m
  JOIN pg_proc p ON p.oid = m.function JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosrc ~* 'pgtrigger.*ignore|session_replication_role' AND (m.classid <> 'pg_trigger'::regclass OR p.prorettype <> 'trigger'::regtype)
    OR p.prosqlbody::text LIKE '%%:funcid ' || 'set_config(text,text,boolean)'::regprocedure::oid || ' %%'
    OR p.prosqlbody::text LIKE '%%:relid ' || 'pg_settings'::regclass::oid || ' %%'
UNION ALL
SELECT 'meddler', jsonb_build_object('function', 'pg_catalog.set_config', 'body', CASE e.classid
         WHEN 'pg_attrdef'::regclass THEN (SELECT pg_get_expr(x.adbin, x.adrelid) FROM pg_attrdef x WHERE x.oid = e.objid)
         WHEN 'pg_constraint'::regclass THEN pg_get_constraintdef(e.objid)
         WHEN 'pg_policy'::regclass THEN (SELECT concat_ws(' ', pg_get_expr(x.polqual, x.polrelid), pg_get_expr(x.polwithcheck, x.polrelid)) FROM pg_policy x WHERE x.oid = e.objid)
         WHEN 'pg_rewrite'::regclass THEN pg_get_ruledef(e.objid)
         WHEN 'pg_trigger'::regclass THEN pg_get_triggerdef(e.objid)
         ELSE (SELECT t.typdefault FROM pg_type t WHERE t.oid = e.objid) END,
         'what', pg_describe_object(e.classid, e.objid, 0), 'asked', false, 'fix', NULL)
  FROM (SELECT 'pg_attrdef'::regclass AS classid, oid AS objid, adbin::text AS tree FROM pg_attrdef
        UNION ALL SELECT 'pg_constraint'::regclass, oid, conbin::text FROM pg_constraint WHERE conbin IS NOT NULL
        UNION ALL SELECT 'pg_policy'::regclass, oid, concat(polqual::text, polwithcheck::text) FROM pg_policy
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, ev_action::text FROM pg_rewrite WHERE oid >= 16384
        UNION ALL SELECT 'pg_trigger'::regclass, oid, tgqual::text FROM pg_trigger WHERE tgqual IS NOT NULL AND tgparentid = 0
        UNION ALL SELECT 'pg_type'::regclass, oid, typdefaultbin::text FROM pg_type WHERE typdefaultbin IS NOT NULL) e
 WHERE e.tree LIKE '%%:funcid ' || 'set_config(text,text,boolean)'::regprocedure::oid || ' %%'
UNION ALL
SELECT 'former_partition', jsonb_build_object('table_oid', parent.oid::bigint, 'schema', n.nspname, 'name', c.relname)
  FROM pg_class parent
  JOIN pg_class c ON c.relkind = 'r' AND NOT c.relispartition AND c.relnatts = parent.relnatts AND c.relnamespace = parent.relnamespace
                 AND NOT c.relname = ANY (%(tables)s::text[])
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE parent.relkind = 'p' AND NOT parent.relispartition AND parent.relname = ANY (%(tables)s::text[])
   AND (SELECT array_agg((a.attname, a.atttypid) ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = parent.oid AND a.attnum > 0 AND NOT a.attisdropped)
     = (SELECT array_agg((a.attname, a.atttypid) ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
UNION ALL
SELECT 'function_setting', jsonb_build_object('oid', p.oid::bigint, 'schema', n.nspname, 'name', p.proname, 'setting', s.setting,
         'arguments', pg_get_function_identity_arguments(p.oid), 'kind', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN LATERAL unnest(p.proconfig) AS s(setting)
 WHERE p.proconfig IS NOT NULL AND lower(split_part(s.setting, '=', 1)) IN ('pgtrigger.ignore', 'session_replication_role')
UNION ALL
SELECT 'privilege', jsonb_build_object('setting', a.parname, 'role', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END)
  FROM pg_parameter_acl a CROSS JOIN LATERAL aclexplode(a.paracl) AS x
 WHERE a.parname = 'session_replication_role' AND x.privilege_type = 'SET'
   AND NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.oid = x.grantee AND r.rolsuper)
UNION ALL
SELECT 'subscription', jsonb_build_object('name', s.subname)
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = current_database() AND s.subenabled

-- session_defaults --
-- What a new session would start with, whatever this one has set since: server, database, role and connection options together.
SELECT current_setting('pgtrigger.ignore', true), (SELECT reset_val FROM pg_settings WHERE name = 'session_replication_role')

-- own_functions --
-- Our own functions in the schema of our tables, and what others may do with them.
SELECT p.oid::int8 AS oid, p.proname::text AS name, pg_get_function_identity_arguments(p.oid) AS arguments, oidvectortypes(p.proargtypes) AS types,
       p.prosrc AS body, l.lanname::text AS language, p.prosecdef AS security_definer, p.proconfig AS settings, p.provolatile::text AS volatility,
       pg_get_userbyid(p.proowner)::text AS owner, p.xmin::text AS version, pg_has_role(p.proowner, 'USAGE') AS may_replace,
       has_function_privilege('public', p.oid, 'EXECUTE') AS is_public, pg_get_functiondef(p.oid) AS definition,
       EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.proowner AND r.rolsuper)
         OR p.proowner = (SELECT c.relowner FROM pg_class c WHERE c.relname = 'trigger_ops_change' AND c.relnamespace = n.oid) AS is_ours,
       ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY (%(roles)s::name[]) AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1) AS executors,
       ARRAY(SELECT pg_get_userbyid(x.grantee)::text FROM aclexplode(p.proacl) x WHERE x.privilege_type = 'EXECUTE' AND x.grantee NOT IN (0, p.proowner) ORDER BY 1) AS granted
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname = %(home)s AND starts_with(p.proname::text, 'trigger_ops_') AND p.prokind = 'f'
 ORDER BY p.proname, p.oid

-- known_roles --
-- Those of some roles that exist.
SELECT r.rolname::text AS name FROM pg_roles r WHERE r.rolname = ANY (%(roles)s::name[]) ORDER BY 1

-- own_tables --
-- Our own tables, with the roles that may read them and those that may write them without owning them, and whether everybody may
-- look into their schema; and what is on them that is none of ours and may swallow, hide or forge rows, with the statement that ends it.
SELECT c.oid::int8 AS oid, c.relname::text AS name, pg_has_role(c.relowner, 'USAGE') AS may_alter, pg_get_userbyid(c.relowner)::text AS owner,
       has_schema_privilege('public', n.oid, 'USAGE') AS is_public, has_schema_privilege(n.oid, 'CREATE') AS may_create,
       ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY (%(roles)s::name[]) AND has_table_privilege(r.oid, c.oid, 'SELECT') ORDER BY 1) AS readers,
       ARRAY(SELECT r.rolname::text FROM pg_roles r
              WHERE r.rolname = ANY (%(roles)s::name[]) AND NOT pg_has_role(r.oid, c.relowner, 'MEMBER')
                AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                     OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE, REFERENCES')) ORDER BY 1) AS writers,
       ARRAY(SELECT s.what || chr(10) || s.remedy
               FROM (SELECT format('has the rule %%I', r.rulename), format('DROP RULE %%I ON %%s', r.rulename, c.oid::regclass) FROM pg_rewrite r WHERE r.ev_class = c.oid
                     UNION ALL SELECT format('has the trigger %%I', t.tgname), format('DROP TRIGGER %%I ON %%s', t.tgname, c.oid::regclass) FROM pg_trigger t
                      WHERE t.tgrelid = c.oid AND (NOT t.tgisinternal OR t.tgfoid >= 16384) AND NOT concat_ws('.', c.relname, t.tgname) = ANY (%(own_triggers)s::text[])
                     UNION ALL SELECT format('has the policy %%I', p.polname), format('DROP POLICY %%I ON %%s', p.polname, c.oid::regclass) FROM pg_policy p WHERE p.polrelid = c.oid
                     UNION ALL SELECT format('has its ids from %%s', q.name), format('ALTER SEQUENCE %%s RENAME TO %%I', q.name, c.relname || '_id_seq')
                       FROM (SELECT CASE c.relname WHEN 'trigger_ops_change' THEN pg_get_serial_sequence(c.oid::regclass::text, 'id') END AS name) q
                      WHERE c.relname = 'trigger_ops_change' AND q.name::regclass IS DISTINCT FROM to_regclass(quote_ident(n.nspname) || '.trigger_ops_change_id_seq')
                     UNION ALL SELECT format('has %%s run as its owner, as a cast of recorded values', k.castfunc::regprocedure), format('DROP CAST (%%s AS json)', k.castsource::regtype)
                       FROM pg_cast k JOIN pg_proc p ON p.oid = k.castfunc JOIN pg_roles o ON o.oid = p.proowner
                      WHERE c.relname = 'trigger_ops_change' AND k.casttarget = 'json'::regtype AND NOT o.rolsuper AND p.proowner <> c.relowner
                     UNION ALL SELECT 'has row security', format('ALTER TABLE %%s DISABLE ROW LEVEL SECURITY', c.oid::regclass) WHERE c.relrowsecurity
                     UNION ALL SELECT format('has a child %%s', i.inhrelid::regclass), format('ALTER TABLE %%s NO INHERIT %%s', i.inhrelid::regclass, c.oid::regclass)
                       FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'r') s (what, remedy) ORDER BY 1) AS strangers
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(home)s AND c.relname = ANY (%(own)s::name[]) AND c.relkind IN ('r', 'p')
 ORDER BY c.relname

-- own_grants --
-- Rights to write our own tables and their sequences that somebody was granted who is not their owner; an empty role is everybody.
-- "asked" tells that one of the asked roles has them: by itself, as everybody does, or as a member.
SELECT c.relname::text AS name, c.relkind = 'S' AS is_sequence, CASE g.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(g.grantee)::text END AS role,
       array_agg(DISTINCT g.privilege_type ORDER BY g.privilege_type) AS rights,
       g.grantee = 0 OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY (%(roles)s::name[]) AND pg_has_role(r.oid, g.grantee, 'MEMBER')) AS asked
  FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_class c ON c.oid = t.oid OR (c.relkind = 'S' AND EXISTS (
       SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype IN ('a', 'i')))
 CROSS JOIN LATERAL (SELECT x.grantee, x.privilege_type FROM aclexplode(c.relacl) x
                     UNION SELECT x.grantee, x.privilege_type FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x WHERE a.attrelid = c.oid) g
 WHERE n.nspname = %(home)s AND t.relname = ANY (%(own)s::name[]) AND t.relkind IN ('r', 'p')
   AND g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'USAGE')
   AND (g.grantee = 0 OR NOT pg_has_role(g.grantee, c.relowner, 'MEMBER'))
 GROUP BY c.relname, c.relkind, g.grantee
 ORDER BY 1, 3

-- watched --
-- Tables that may be watched, with all partitions below them, and the names of their columns. "may_copy" tells that their owners may
-- execute the row witness's function without everybody's right: PostgreSQL asks for that when it puts a copy on a new partition. A
-- function that is missing will be this role's, one that is not ours the owner's of our tables.
SELECT c.oid::int8 AS oid, w.root::int8 AS root, w.parent::int8 AS parent, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS relkind,
       pg_has_role(c.relowner, 'USAGE') AS may_alter, pg_get_userbyid(c.relowner)::text AS owner,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname) AS columns,
       pg_has_role(c.relowner, h.owner, 'USAGE') OR EXISTS (
           SELECT FROM aclexplode(h.rights) x WHERE x.privilege_type = 'EXECUTE' AND x.grantee NOT IN (0, h.former) AND pg_has_role(c.relowner, x.grantee, 'USAGE')) AS may_copy
  FROM (SELECT t.root, coalesce(tree.relid::oid, t.root) AS relid, tree.parentrelid::oid AS parent FROM unnest(%(tables)s::oid[]) AS t (root) LEFT JOIN LATERAL pg_partition_tree(t.root::regclass) tree ON true) w
  JOIN pg_class c ON c.oid = w.relid JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN (SELECT p.proowner AS former, p.proacl AS rights,
                    CASE WHEN p.oid IS NULL THEN r.oid WHEN o.rolsuper OR e.relowner IS NULL THEN p.proowner ELSE e.relowner END AS owner
               FROM pg_roles r LEFT JOIN pg_namespace m ON m.nspname = %(home)s
               LEFT JOIN pg_proc p ON p.pronamespace = m.oid AND p.proname = 'trigger_ops_witness_row' AND p.pronargs = 0
               LEFT JOIN pg_roles o ON o.oid = p.proowner LEFT JOIN pg_class e ON e.relnamespace = m.oid AND e.relname = 'trigger_ops_change'
              WHERE r.rolname = current_user) h
 ORDER BY n.nspname, c.relname
