-- gate --
-- Whether a trigger stands aside: for a live session that names it, else as its policy says of what pgtrigger.ignore names.
-- Rows of evidence count from this transaction's beginning: in a cluster that was restored, an older transaction had the same number.
-- Only the tables themselves are asked: whoever owns one could have another inherit from it, which has no rules.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_gate(trigger_name name) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    asked text := coalesce(current_setting('trigger_ops.session', true), '');
    ignored text;
    one record;
    policy text;
BEGIN
    IF asked <> '' THEN
        -- What was decided for another row of this transaction, as long as the session lasts: for most rows nothing else is asked.
        PERFORM FROM ONLY {home}.trigger_ops_session s
          WHERE s.id = (SELECT d.session_id FROM ONLY {home}.trigger_ops_decision d
                         WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id::text = asked AND d.at >= transaction_timestamp())
            AND s.state = 'active' AND s.expires > clock_timestamp();
        IF FOUND THEN
            RETURN true;
        END IF;
        SELECT s.id, s.state, s.needs, (s.expires > clock_timestamp()) IS TRUE AS lasts,
               EXISTS (SELECT FROM ONLY {home}.trigger_ops_decision d
                        WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id = s.id AND d.at >= transaction_timestamp()) AS known
          INTO one
          FROM ONLY {home}.trigger_ops_sessiontransaction t JOIN ONLY {home}.trigger_ops_session s ON s.id = t.session_id
         WHERE t.transaction = this AND t.at >= transaction_timestamp() AND t.session_id::text = ANY (string_to_array(asked, ',')) AND s.triggers ? trigger_name::text
         ORDER BY s.state = 'active' AND s.expires > clock_timestamp() DESC, array_position(string_to_array(asked, ','), s.id::text) LIMIT 1;
        IF one.id IS NOT NULL THEN
            IF one.state <> 'active' OR NOT one.lasts THEN
                RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO002', MESSAGE = format(
                    'trigger_ops: session %s is %s: open another one.', one.id, CASE one.state WHEN 'active' THEN 'expired' ELSE one.state END);
            END IF;
            IF NOT one.known THEN
                PERFORM {home}.trigger_ops_decide(this, trigger_name, one.id, one.needs);
            END IF;
            RETURN true;
        END IF;
    END IF;
    ignored := coalesce(current_setting('pgtrigger.ignore', true), '');
    IF ignored = '' THEN
        RETURN false;
    ELSIF ignored LIKE '{{%}}' AND ignored NOT LIKE '_%{{%' AND ignored NOT LIKE '%}}%_' AND strpos(ignored, '"') = 0 AND strpos(ignored, ' ') = 0 THEN
        IF strpos(translate(ignored, '{{}}', ',,'), ',' || trigger_name || ',') = 0 THEN
            RETURN false;
        END IF;
    ELSE
        -- Not as pgtrigger writes it. What is no array names nothing, as in pgtrigger's own function.
        BEGIN
            IF (trigger_name::text = ANY (ignored::text[])) IS NOT TRUE THEN
                RETURN false;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            RETURN false;
        END;
    END IF;
    policy := coalesce((SELECT p.mode FROM ONLY {home}.trigger_ops_policy p WHERE p.trigger = trigger_name::text), (SELECT g.policy FROM ONLY {home}.trigger_ops_guard g), 'record');
    IF policy = 'open' THEN
        RETURN true;
    ELSIF policy = 'record' THEN
        IF NOT EXISTS (SELECT FROM ONLY {home}.trigger_ops_decision d
                        WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id IS NULL AND d.at >= transaction_timestamp()) THEN
            PERFORM {home}.trigger_ops_decide(this, trigger_name, NULL, NULL);
        END IF;
        RETURN true;
    END IF;
    -- The server's log has it even where whoever asked handles the error, and whoever that is: psql tells nobody else.
    RAISE LOG USING DETAIL = 'TO001', MESSAGE = format('trigger_ops: %s is not ignored for role "%s" (%s).', trigger_name, session_user, current_setting('application_name'));
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO001',
        MESSAGE = format('trigger_ops: %s is ignored in a session only: open one with manage.py pgtrigger session run.', trigger_name),
        HINT = format('Its policy is "%s".', policy);
END
$body$

-- decide --
-- Puts on record that a trigger stands aside for the rest of this transaction: for a session that was approved as its policy takes
-- it now, or for nobody's. Looked for again, since whoever owns the table may have had the row go elsewhere, or nowhere.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_decide(this bigint, trigger_name name, session bigint, approvals integer) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    wanted integer := (SELECT CASE coalesce(p.mode, g.policy) WHEN 'four_eyes' THEN greatest(1, coalesce(p.approvals, g.approvals)) END
                         FROM ONLY {home}.trigger_ops_guard g LEFT JOIN ONLY {home}.trigger_ops_policy p ON p.trigger = trigger_name::text);
BEGIN
    IF session IS NOT NULL AND approvals < wanted THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO015', MESSAGE = format(
            'trigger_ops: session %s began with %s approvals, and %s takes %s by now: open another one.', session, approvals, trigger_name, wanted);
    END IF;
    INSERT INTO {home}.trigger_ops_decision (transaction, trigger, session_id, role, at) VALUES (this, trigger_name, session, session_user, clock_timestamp());
    IF NOT FOUND OR NOT EXISTS (SELECT FROM ONLY {home}.trigger_ops_decision d
                                 WHERE d.transaction = this AND d.trigger = trigger_name::text AND d.session_id IS NOT DISTINCT FROM session
                                   AND d.at >= transaction_timestamp()) THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
END
$body$

-- attribution --
-- Whose a row is that was just written on a table: a session, somebody outside any ("ignore", "replica"), or of no interest.
-- Where the setting does not name the one session that this transaction entered, decisions of the gate tell: anybody can change a
-- setting in mid-statement. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_attribution(this bigint, relation oid, OUT session bigint, OUT cause text)
    LANGUAGE plpgsql AS $body$
DECLARE
    asked text[] := string_to_array(coalesce(current_setting('trigger_ops.session', true), ''), ',');
    entered bigint[];
    found_one boolean;
BEGIN
    IF asked <> '{{}}' THEN
        entered := ARRAY(SELECT t.session_id FROM ONLY {home}.trigger_ops_sessiontransaction t
                          WHERE t.transaction = this AND t.at >= transaction_timestamp());
        IF cardinality(asked) = 1 AND entered::text[] = asked THEN
            session := entered[1];
            cause := 'session';
            RETURN;
        END IF;
    END IF;
    SELECT d.session_id, true INTO session, found_one
      FROM ONLY {home}.trigger_ops_decision d
     WHERE d.transaction = this AND d.at >= transaction_timestamp() AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = relation AND g.tgname = d.trigger)
     ORDER BY CASE WHEN d.session_id IS NULL THEN cardinality(asked) = 0 ELSE d.session_id::text = ANY (asked) END DESC, d.id DESC LIMIT 1;
    IF session IS NULL AND entered <> '{{}}' THEN
        session := (SELECT one FROM unnest(entered) one WHERE one::text = ANY (asked) ORDER BY array_position(asked, one::text) LIMIT 1);
    END IF;
    IF session IS NOT NULL THEN
        cause := 'session';
    ELSIF found_one THEN
        cause := 'ignore';
    ELSIF current_setting('session_replication_role') = 'replica' AND NOT {home}.trigger_ops_is_applied() THEN
        cause := 'replica';
    END IF;
END
$body$

-- allowance --
-- Refuses to let a session write more rows than it may; returns the number of the last one, counted from its last row on record.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_allowance(session bigint, more bigint) RETURNS bigint
    LANGUAGE plpgsql AS $body$
DECLARE
    written bigint := more + coalesce((SELECT c.number FROM {home}.trigger_ops_change c WHERE c.session_id = session ORDER BY c.number DESC LIMIT 1), 0);
    most bigint := (SELECT s.most_rows FROM ONLY {home}.trigger_ops_session s WHERE s.id = session);
BEGIN
    IF (written <= most) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO007', MESSAGE = format(
            'trigger_ops: session %s may write %s rows and no more: do the work in several sessions, or raise TRIGGER_OPS["SESSION_ROWS"] and run manage.py pgtrigger guard install.', session, most);
    END IF;
    RETURN written;
END
$body$

-- exact --
-- Sets how values are written as text, and returns how they were: some ways lose digits, or tell a day from a month by a setting.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_exact(wanted text[]) RETURNS text[]
    LANGUAGE plpgsql AS $body$
DECLARE
    before text[] := ARRAY[current_setting('extra_float_digits'), current_setting('DateStyle'), current_setting('IntervalStyle')];
BEGIN
    PERFORM set_config('extra_float_digits', wanted[1], true), set_config('DateStyle', wanted[2], true), set_config('IntervalStyle', wanted[3], true);
    RETURN before;
END
$body$

-- is_whole --
-- Whether all rows of a table are written by statements that are witnessed as a whole: a statement on a table that it inherits from,
-- or is a partition of, writes its rows too, and is none on it. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_is_whole(relation oid, op text) RETURNS boolean
    LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM FROM (WITH RECURSIVE above AS (SELECT relation AS oid UNION ALL SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid)
                  SELECT a.oid FROM above a) a
      WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = a.oid AND t.tgname = 'trigger_ops_witness_' || lower(op) AND t.tgenabled = 'A');
    RETURN NOT FOUND;
END
$body$

-- aside_below --
-- Of a table and those that inherit from it, or are partitions of it, the one a trigger of which was the last to stand aside in this
-- transaction; null where there is none. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_aside_below(this bigint, relation oid) RETURNS oid
    LANGUAGE sql AS $body$
    WITH RECURSIVE below AS (SELECT relation AS oid UNION SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid)
    SELECT b.oid
      FROM ONLY {home}.trigger_ops_decision d CROSS JOIN below b
     WHERE d.transaction = this AND d.at >= transaction_timestamp() AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = b.oid AND g.tgname = d.trigger)
     ORDER BY d.id DESC LIMIT 1
$body$

-- record_rest --
-- Records those rows of a statement, each as [old, new], that this transaction has not on record yet.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_record_rest(this bigint, whose bigint, why text, place text, name text, kind text, images jsonb[]) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    rest jsonb[] := ARRAY(SELECT i.image FROM unnest(images) i (image)
                          EXCEPT ALL
                          SELECT jsonb_build_array(c.old, c.new) FROM {home}.trigger_ops_change c
                           WHERE (c.session_id = whose OR (whose IS NULL AND c.session_id IS NULL)) AND c.transaction = this AND c.at >= transaction_timestamp()
                             AND c.schema = place AND c."table" = name AND c.op = kind);
    first bigint := 0;
    written bigint;
BEGIN
    IF rest = '{{}}' THEN
        RETURN;
    END IF;
    IF whose IS NOT NULL THEN
        first := {home}.trigger_ops_allowance(whose, cardinality(rest)) - cardinality(rest);
    END IF;
    INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause, role, application, address, at)
    SELECT whose, CASE WHEN whose IS NULL THEN 0 ELSE first + r.number END, this, place, name, kind, nullif(r.image -> 0, 'null'), nullif(r.image -> 1, 'null'), why,
           CASE WHEN whose IS NULL THEN session_user ELSE '' END, CASE WHEN whose IS NULL THEN current_setting('application_name') ELSE '' END,
           CASE WHEN whose IS NULL THEN coalesce(host(inet_client_addr()), 'local') ELSE '' END, clock_timestamp()
      FROM unnest(rest) WITH ORDINALITY r (image, number);
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(rest) THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
END
$body$

-- witness_row --
-- Records one row written while something is ignored, or as a replica, with what it was and is. Where statements are witnessed as
-- a whole ("both"), it leaves its row to that, whatever is set by now: anybody can have a setting reset in between.
-- Most rows need one look: they are numbered after the row with the last id that this connection drew, and allowed by it, where
-- that is a row of this transaction and session. Which id that is nobody can forge who may not set the sequence, and guard status
-- tells who may; whoever only draws from it has the next row take the longer way. How many rows the session has in all is looked up
-- after 256 at the latest, and for each one where the transaction entered several sessions: it may be another's. The setting
-- trigger_ops.row says that this connection drew an id in this transaction: where it did not,
-- or DISCARD SEQUENCES has it forgotten, PostgreSQL refuses the row.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    asked text := coalesce(current_setting('trigger_ops.session', true), '');
    style text[];
    whose bigint;
    why text;
    was jsonb;
    is_now jsonb;
    last bigint;
    moment timestamptz;
    place bigint;
BEGIN
    IF TG_ARGV[2] = 'replica' THEN
        IF {home}.trigger_ops_is_applied() THEN
            RETURN NULL;  -- before the row is looked at: it may have what JSON does not take
        ELSIF current_setting('session_replication_role') <> 'replica' AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = TG_RELID AND t.tgname = TG_NAME AND t.tgenabled = 'R') THEN
            RETURN NULL;  -- somebody had it fire for everybody; the other one has this row
        END IF;
    END IF;
    IF TG_ARGV[0] = 'both' AND (TG_ARGV[2] IS NULL OR current_setting('session_replication_role') = 'replica') THEN
        IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = TG_RELID AND t.tgname = 'trigger_ops_witness_' || lower(TG_OP) AND t.tgenabled = 'A'
                      AND (NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = TG_RELID
                                          AND (EXISTS (SELECT FROM pg_inherits a WHERE a.inhrelid = i.inhparent)
                                               OR NOT EXISTS (SELECT FROM pg_trigger p WHERE p.tgrelid = i.inhparent AND p.tgname = t.tgname AND p.tgenabled = 'A')))
                           OR {home}.trigger_ops_is_whole(TG_RELID, TG_OP))) THEN  -- a recursion, for more than one level
            RETURN NULL;
        END IF;
    END IF;
    IF current_setting('extra_float_digits') IN ('1', '2', '3') AND starts_with(current_setting('DateStyle'), 'ISO') AND current_setting('IntervalStyle') <> 'sql_standard' THEN
        NULL;
    ELSE
        style := {home}.trigger_ops_exact('{{1,"ISO, YMD",postgres}}'::text[]);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        was := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        is_now := to_jsonb(NEW);
    END IF;
    IF style IS NOT NULL THEN
        PERFORM {home}.trigger_ops_exact(style);
    END IF;
    IF TG_ARGV[1] <> '{{}}' THEN
        was := was || TG_ARGV[1]::jsonb;
        is_now := is_now || TG_ARGV[1]::jsonb;
    END IF;
    IF current_setting('trigger_ops.row', true) = this::text THEN
        last := currval($name${home}.trigger_ops_change_id_seq$name$::regclass);
        moment := clock_timestamp();  -- in the statement itself it would be a plan of two more steps
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause, at, up_to)
        SELECT c.session_id, c.number + 1, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, was, is_now, 'session', moment, c.up_to
          FROM ONLY {home}.trigger_ops_change c
         WHERE c.id = last AND c.transaction = this AND c.at >= transaction_timestamp() AND c.session_id::text = asked AND c.number < c.up_to;
        IF FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    SELECT a.session, a.cause INTO whose, why FROM {home}.trigger_ops_attribution(this, TG_RELID) a;
    IF why IS NULL AND TG_ARGV[2] = 'replica' THEN
        why := 'replica';  -- the role was, when the row was written
    END IF;
    IF whose IS NOT NULL THEN
        place := {home}.trigger_ops_allowance(whose, 1::bigint);
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause, at, up_to)
        SELECT whose, place, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, was, is_now, why, clock_timestamp(),
               CASE WHEN (SELECT count(*) FROM ONLY {home}.trigger_ops_sessiontransaction t WHERE t.transaction = this AND t.at >= transaction_timestamp()) = 1
                    THEN least(s.most_rows, place + 255) ELSE place END
          FROM ONLY {home}.trigger_ops_session s WHERE s.id = whose AND set_config('trigger_ops.row', this::text, true) <> '';
    ELSIF why IS NOT NULL THEN
        INSERT INTO {home}.trigger_ops_change (transaction, schema, "table", op, old, new, cause, role, application, address, at)
        VALUES (this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, was, is_now, why,
                session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'), clock_timestamp());
    END IF;
    IF why IS NOT NULL AND NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    RETURN NULL;
END
$body$

-- witness_rows --
-- Records all rows of one statement, for tables with triggers that decide at its end: something may be ignored only by then.
-- The two transition tables are filled in one order (PostgreSQL source, AfterTriggerSaveEvent), which pairs old with new; where
-- one has more rows than the other, for a row was lost on its way to another partition, each stands alone. The rows are
-- wrapped: a column of the table may be called like a variable of this function.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_rows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    this bigint;
    relation oid := TG_RELID;
    whose bigint;
    why text;
    style text[];
    images jsonb[];
    mask jsonb := coalesce(TG_ARGV[1], '{{}}');
    olds bigint := 0;
    news bigint := 0;
    shift bigint := 0;
    first bigint := 0;
    written bigint;
    role text := '';
    application text := '';
    address text := '';
BEGIN
    IF coalesce(current_setting('pgtrigger.ignore', true), '') = '' AND coalesce(current_setting('trigger_ops.session', true), '') = ''
       AND current_setting('session_replication_role') <> 'replica' THEN
        -- Somebody may have had it reset since a trigger stood aside. What has written nothing has no number.
        this := pg_current_xact_id_if_assigned()::text::bigint;
        IF this IS NULL THEN
            RETURN NULL;
        END IF;
        PERFORM FROM ONLY {home}.trigger_ops_decision d WHERE d.transaction = this AND d.at >= transaction_timestamp();
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        SELECT count(*) INTO olds FROM trigger_ops_old;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT count(*) INTO news FROM trigger_ops_new;
    END IF;
    IF olds + news = 0 THEN
        RETURN NULL;
    END IF;
    this := pg_current_xact_id()::text::bigint;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = TG_RELID) THEN
        relation := coalesce({home}.trigger_ops_aside_below(this, TG_RELID), TG_RELID);
    END IF;
    SELECT a.session, a.cause INTO whose, why FROM {home}.trigger_ops_attribution(this, relation) a;
    IF why IS NULL THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = TG_RELID) AND NOT {home}.trigger_ops_is_whole(TG_RELID, TG_OP) THEN
        -- The row witness left nothing to this one.
        style := {home}.trigger_ops_exact('{{1,"ISO, YMD",postgres}}'::text[]);
        IF TG_OP = 'INSERT' THEN
            images := ARRAY(SELECT jsonb_build_array(NULL, to_jsonb(trigger_ops_n.*) || mask) FROM trigger_ops_new trigger_ops_n);
        ELSIF TG_OP = 'DELETE' THEN
            images := ARRAY(SELECT jsonb_build_array(to_jsonb(trigger_ops_o.*) || mask, NULL) FROM trigger_ops_old trigger_ops_o);
        ELSE
            images := ARRAY(SELECT jsonb_build_array(o.image || mask, n.image || mask)
                              FROM (SELECT to_jsonb(trigger_ops_o.*) AS image, row_number() OVER () AS place FROM trigger_ops_old trigger_ops_o) o
                              JOIN (SELECT to_jsonb(trigger_ops_n.*) AS image, row_number() OVER () AS place FROM trigger_ops_new trigger_ops_n) n USING (place));
        END IF;
        PERFORM {home}.trigger_ops_exact(style);
        PERFORM {home}.trigger_ops_record_rest(this, whose, why, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, images);
        RETURN NULL;
    END IF;
    written := greatest(olds, news);
    IF TG_OP = 'UPDATE' AND olds <> news THEN
        shift := olds;
        written := olds + news;
    END IF;
    IF whose IS NOT NULL THEN
        first := {home}.trigger_ops_allowance(whose, written) - written;
    ELSE
        role := session_user;
        application := current_setting('application_name');
        address := coalesce(host(inet_client_addr()), 'local');
    END IF;
    style := {home}.trigger_ops_exact('{{1,"ISO, YMD",postgres}}'::text[]);
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, new, cause, role, application, address, at)
        SELECT whose, first + n.place, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, n.image || mask, why, role, application, address, clock_timestamp()
          FROM (SELECT to_jsonb(trigger_ops_n.*) AS image, row_number() OVER () AS place FROM trigger_ops_new trigger_ops_n) n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, cause, role, application, address, at)
        SELECT whose, first + o.place, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, o.image || mask, why, role, application, address, clock_timestamp()
          FROM (SELECT to_jsonb(trigger_ops_o.*) AS image, row_number() OVER () AS place FROM trigger_ops_old trigger_ops_o) o;
    ELSE
        INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, new, cause, role, application, address, at)
        SELECT whose, first + coalesce(o.place, n.place + shift), this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, o.image || mask, n.image || mask,
               why, role, application, address, clock_timestamp()
          FROM (SELECT to_jsonb(trigger_ops_o.*) AS image, row_number() OVER () AS place FROM trigger_ops_old trigger_ops_o) o
          FULL JOIN (SELECT to_jsonb(trigger_ops_n.*) AS image, row_number() OVER () AS place FROM trigger_ops_new trigger_ops_n) n ON n.place + shift = o.place
         ORDER BY coalesce(o.place, n.place + shift);
    END IF;
    GET DIAGNOSTICS news = ROW_COUNT;
    IF news <> written THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    PERFORM {home}.trigger_ops_exact(style);
    RETURN NULL;
END
$body$

-- witness_truncate --
-- Records that a table is emptied, in a session or not: no trigger for rows sees that. The number of rows is PostgreSQL's estimate,
-- from what the last ANALYZE or VACUUM saw on each page; null where none has been since there were rows.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_witness_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
    whose record;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NULL;
    END IF;
    SELECT * INTO whose FROM {home}.trigger_ops_attribution(this, TG_RELID);
    INSERT INTO {home}.trigger_ops_change (session_id, number, transaction, schema, "table", op, old, cause, role, application, address, at)
    VALUES (whose.session, CASE WHEN whose.session IS NOT NULL THEN {home}.trigger_ops_allowance(whose.session, 1::bigint) ELSE 0 END, this, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP,
            jsonb_build_object('rows_estimated', (SELECT CASE WHEN c.relkind = 'p' THEN NULL WHEN pages = 0 THEN 0 WHEN c.relpages > 0 AND c.reltuples >= 0 THEN round(c.reltuples / c.relpages * pages) END
                                                    FROM pg_class c, LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::integer AS pages) p
                                                   WHERE c.oid = TG_RELID)),
            coalesce(whose.cause, 'truncate'), session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'), clock_timestamp());
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
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
