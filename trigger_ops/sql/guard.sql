-- gate --
-- Whether a trigger stands aside: for a live session that names it, else as its policy says of what pgtrigger.ignore names.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_gate(trigger_name name) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    asked text := coalesce(current_setting('trigger_ops.session', true), '');
    ignored text := coalesce(current_setting('pgtrigger.ignore', true), '');
    one record;
    policy text;
BEGIN
    IF asked <> '' THEN
        SELECT s.id, s.state, s.expires > clock_timestamp() AS lasts,
               EXISTS (SELECT FROM {home}.trigger_ops_decision d WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id = s.id) AS known
          INTO one
          FROM {home}.trigger_ops_sessiontransaction t JOIN {home}.trigger_ops_session s ON s.id = t.session_id
         WHERE t.transaction = this AND t.session_id::text = ANY (string_to_array(asked, ',')) AND s.triggers ? trigger_name::text
         ORDER BY s.state = 'active' AND s.expires > clock_timestamp() DESC LIMIT 1;
        IF one.id IS NOT NULL THEN
            IF one.state <> 'active' OR NOT one.lasts THEN
                RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO002', MESSAGE = format(
                    'trigger_ops: session %s is %s: open another one.', one.id, CASE one.state WHEN 'active' THEN 'expired' ELSE one.state END);
            END IF;
            IF NOT one.known THEN
                INSERT INTO {home}.trigger_ops_decision (transaction, trigger, session_id, role) VALUES (this, trigger_name, one.id, session_user);
            END IF;
            RETURN true;
        END IF;
    END IF;
    -- Braces, quotes and blanks are what an array literal may have round its elements; no trigger of pgtrigger has them in its name.
    IF ignored = '' OR strpos(',' || translate(ignored, '{{}}" ', '') || ',', ',' || trigger_name::text || ',') = 0 THEN
        RETURN false;
    END IF;
    policy := coalesce((SELECT p.mode FROM {home}.trigger_ops_policy p WHERE p.trigger = trigger_name::text), (SELECT g.policy FROM {home}.trigger_ops_guard g), 'record');
    IF policy = 'open' THEN
        RETURN true;
    ELSIF policy = 'record' THEN
        IF NOT EXISTS (SELECT FROM {home}.trigger_ops_decision d WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id IS NULL) THEN
            INSERT INTO {home}.trigger_ops_decision (transaction, trigger, session_id, role) VALUES (this, trigger_name, NULL, session_user);
        END IF;
        RETURN true;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO001',
        MESSAGE = format('trigger_ops: %s is ignored in a session only: open one with manage.py pgtrigger session run.', trigger_name),
        HINT = format('Its policy is "%s".', policy);
END
$body$

-- attribution --
-- Whose a row is that was just written on a table: a session, somebody outside any ("ignore", "replica"), or of no interest.
-- Where the setting does not name one session that this transaction entered, decisions of the gate tell: anybody can change
-- a setting in mid-statement. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_attribution(this bigint, relation oid, OUT session bigint, OUT cause text)
    LANGUAGE plpgsql AS $body$
DECLARE
    asked text := coalesce(current_setting('trigger_ops.session', true), '');
    found_one boolean;
BEGIN
    IF asked <> '' THEN
        SELECT t.session_id INTO session FROM {home}.trigger_ops_sessiontransaction t
         WHERE t.transaction = this AND t.session_id::text = asked;
        IF session IS NOT NULL THEN
            cause := 'session';
            RETURN;
        END IF;
    END IF;
    SELECT d.session_id, true INTO session, found_one
      FROM {home}.trigger_ops_decision d
     WHERE d.transaction = this AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = relation AND g.tgname = d.trigger)
     ORDER BY CASE WHEN d.session_id IS NULL THEN asked = '' ELSE d.session_id::text = ANY (string_to_array(asked, ',')) END DESC, d.id DESC LIMIT 1;
    IF session IS NULL AND asked <> '' THEN
        SELECT t.session_id INTO session FROM {home}.trigger_ops_sessiontransaction t
         WHERE t.transaction = this AND t.session_id::text = ANY (string_to_array(asked, ','))
         ORDER BY array_position(string_to_array(asked, ','), t.session_id::text) LIMIT 1;
    END IF;
    IF session IS NOT NULL THEN
        cause := 'session';
    ELSIF found_one THEN
        cause := 'ignore';
    ELSIF current_setting('session_replication_role') = 'replica'
          AND NOT EXISTS (SELECT FROM pg_stat_get_subscription(NULL) w WHERE w.pid = pg_backend_pid()) THEN
        cause := 'replica';
    END IF;
END
$body$

-- allowance --
-- Refuses to let a session write more rows than it may. The count goes on from the session's newest row; the report counts anew.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_allowance(session bigint, more bigint) RETURNS bigint
    LANGUAGE plpgsql AS $body$
DECLARE
    kept text[] := nullif(current_setting('trigger_ops.rows', true), '');
    written bigint;
    most bigint;
BEGIN
    IF kept[1] = session::text THEN
        written := kept[2]::bigint + more;
        most := kept[3]::bigint;
    ELSE
        written := more + coalesce((SELECT c.number FROM {home}.trigger_ops_change c WHERE c.session_id = session ORDER BY c.id DESC LIMIT 1), 0);
        most := (SELECT s.most_rows FROM {home}.trigger_ops_session s WHERE s.id = session);
    END IF;
    IF written > most THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO007', MESSAGE = format(
            'trigger_ops: session %s may write %s rows and no more: do the work in several sessions, or raise TRIGGER_OPS["SESSION_ROWS"].', session, most);
    END IF;
    PERFORM set_config('trigger_ops.rows', ARRAY[session, written, most]::text, true);
    RETURN written;
END
$body$

-- witness_row --
-- Records one row written while something is ignored, with what it was and is. Where statements are witnessed as a whole
-- ("both"), it leaves to that what that will see: a setting that is still there when the statement ends.
-- What most rows need stands here and not in functions of its own, which would cost a quarter of the time.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    asked text := coalesce(current_setting('trigger_ops.session', true), '');
    kept text[];
    whose bigint;
    why text := 'session';
    written bigint;
    was jsonb;
    is_now jsonb;
BEGIN
    IF TG_ARGV[0] = 'both'
       AND (asked <> '' OR coalesce(current_setting('pgtrigger.ignore', true), '') <> '' OR current_setting('session_replication_role') = 'replica')
       AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = TG_RELID AND t.tgname = 'trigger_ops_witness_' || lower(TG_OP) AND t.tgenabled = 'A') THEN
        RETURN NULL;
    END IF;
    IF asked <> '' THEN
        whose := (SELECT t.session_id FROM {home}.trigger_ops_sessiontransaction t WHERE t.transaction = this AND t.session_id::text = asked);
    END IF;
    IF whose IS NULL THEN
        SELECT a.session, a.cause INTO whose, why FROM {home}.trigger_ops_attribution(this, TG_RELID) a;
        IF why IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        was := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        is_now := to_jsonb(NEW);
    END IF;
    IF TG_ARGV[1] <> '{{}}' THEN
        was := was || TG_ARGV[1]::jsonb;
        is_now := is_now || TG_ARGV[1]::jsonb;
    END IF;
    IF whose IS NULL THEN
        INSERT INTO {home}.trigger_ops_change (transaction, schema, "table", op, old, new, cause, role, application, address)
        VALUES (this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, was, is_now, why,
                session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'));
        RETURN NULL;
    END IF;
    kept := nullif(current_setting('trigger_ops.rows', true), '');
    IF kept[1] = whose::text AND kept[2]::bigint < kept[3]::bigint THEN
        written := kept[2]::bigint + 1;
        kept[2] := written;
        PERFORM set_config('trigger_ops.rows', kept::text, true);
    ELSE
        written := {home}.trigger_ops_allowance(whose, 1);
    END IF;
    INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause)
    VALUES (whose, written, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, was, is_now, why);
    RETURN NULL;
END
$body$

-- witness_rows --
-- Records all rows of one statement, for tables with triggers that decide at its end: something may be ignored only by then.
-- The two transition tables are filled in one order (PostgreSQL source, AfterTriggerSaveEvent), which pairs old with new.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_rows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this bigint;
    whose bigint;
    why text;
    first bigint := 0;
    written bigint;
    role text := '';
    application text := '';
    address text := '';
BEGIN
    IF coalesce(current_setting('pgtrigger.ignore', true), '') = '' AND coalesce(current_setting('trigger_ops.session', true), '') = ''
       AND current_setting('session_replication_role') <> 'replica' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO written FROM trigger_ops_old;
    ELSE
        SELECT count(*) INTO written FROM trigger_ops_new;
    END IF;
    IF written = 0 THEN
        RETURN NULL;
    END IF;
    this := pg_current_xact_id()::text::bigint;
    SELECT a.session, a.cause INTO whose, why FROM {home}.trigger_ops_attribution(this, TG_RELID) a;
    IF why IS NULL THEN
        RETURN NULL;
    END IF;
    IF whose IS NOT NULL THEN
        first := {home}.trigger_ops_allowance(whose, written) - written;
    ELSE
        role := session_user;
        application := current_setting('application_name');
        address := coalesce(host(inet_client_addr()), 'local');
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, new, cause, role, application, address)
        SELECT whose, first + row_number() OVER (), this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, to_jsonb(trigger_ops_n.*) || TG_ARGV[1]::jsonb,
               why, role, application, address
          FROM trigger_ops_new trigger_ops_n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, cause, role, application, address)
        SELECT whose, first + row_number() OVER (), this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, to_jsonb(trigger_ops_o.*) || TG_ARGV[1]::jsonb,
               why, role, application, address
          FROM trigger_ops_old trigger_ops_o;
    ELSE
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause, role, application, address)
        SELECT whose, first + place, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, o.image || TG_ARGV[1]::jsonb, n.image || TG_ARGV[1]::jsonb,
               why, role, application, address
          FROM (SELECT to_jsonb(trigger_ops_o.*) AS image, row_number() OVER () AS place FROM trigger_ops_old trigger_ops_o) o
          JOIN (SELECT to_jsonb(trigger_ops_n.*) AS image, row_number() OVER () AS place FROM trigger_ops_new trigger_ops_n) n USING (place)
         ORDER BY place;
    END IF;
    RETURN NULL;
END
$body$

-- witness_truncate --
-- Records that a table is emptied, in a session or not: no trigger for rows sees that. The number of rows is PostgreSQL's estimate.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    whose record;
BEGIN
    SELECT * INTO whose FROM {home}.trigger_ops_attribution(this, TG_RELID);
    INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, cause, role, application, address)
    VALUES (whose.session, CASE WHEN whose.session IS NOT NULL THEN {home}.trigger_ops_allowance(whose.session, 1) ELSE 0 END, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP,
            jsonb_build_object('rows_estimated', (SELECT greatest(c.reltuples, 0)::bigint FROM pg_class c WHERE c.oid = TG_RELID)),
            coalesce(whose.cause, 'truncate'), session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'));
    RETURN NULL;
END
$body$

-- ignore_function --
-- In the place of pgtrigger's function, under its name: nothing ignored, nothing asked. PostgreSQL inlines it into the caller.
-- Neither SECURITY DEFINER nor STABLE, nor with settings of its own: each of them would prevent that.
CREATE OR REPLACE FUNCTION {schema}._pgtrigger_should_ignore(trigger_name name) RETURNS boolean LANGUAGE sql VOLATILE AS $body$
    SELECT CASE WHEN coalesce(pg_catalog.current_setting('pgtrigger.ignore', true), '') OPERATOR(pg_catalog.=) ''
                 AND coalesce(pg_catalog.current_setting('trigger_ops.session', true), '') OPERATOR(pg_catalog.=) ''
                THEN false ELSE {home}.trigger_ops_gate(trigger_name) END
$body$
