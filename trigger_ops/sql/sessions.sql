-- person --
-- Tells people apart: neither case, nor blanks and what nobody sees, nor another way to write the same letters make somebody else.
-- Where the database's own locale folds ASCII alone, a collation that knows letters does it.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_person(name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    folding text[] := '{{und-x-icu,pg_unicode_fast,pg_c_utf8,C.utf8,en_US.utf8}}';
    -- Controls, blanks, what Unicode ignores by default, and marks of format. Python reads this list too.
    unseen text := E'[\\u0001-\\u0020\\u007F-\\u00A0\\u00AD\\u034F\\u061C\\u115F\\u1160\\u1680\\u17B4\\u17B5\\u180B-\\u180F\\u2000-\\u200F\\u2028-\\u202F\\u205F-\\u206F\\u2800\\u3000\\u3164\\uFE00-\\uFE0F\\uFEFF\\uFFA0\\uFFF0-\\uFFFB\\U00013430-\\U0001343F\\U0001BCA0-\\U0001BCA3\\U0001D159\\U0001D173-\\U0001D17A\\U000E0000-\\U000E0FFF]';
    fold text;
BEGIN
    IF getdatabaseencoding() = 'UTF8' THEN
        -- Twice: what is taken out may have kept a letter from its accent.
        name := normalize(regexp_replace(normalize(name, NFKC), unseen, '', 'g'), NFKC);
    ELSE
        name := regexp_replace(name, '[[:space:][:cntrl:]]', '', 'g');
    END IF;
    -- ICU knows neither of these encodings.
    IF getdatabaseencoding() NOT IN ('SQL_ASCII', 'MULE_INTERNAL', 'EUC_JIS_2004') THEN
        SELECT c.collname INTO fold FROM pg_collation c
         WHERE c.collnamespace = 'pg_catalog'::regnamespace AND c.collname::text = ANY (folding)
           AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))
         ORDER BY array_position(folding, c.collname::text) LIMIT 1;
    END IF;
    IF fold IS NOT NULL THEN
        EXECUTE format('SELECT lower(upper($1 COLLATE %I))', fold) INTO name USING name;
    END IF;
    RETURN lower(name);
END
$body$

-- is_same --
-- Whether two names may be one person's: as people are told apart, and across kinds by the bare name: "os:ada@web1" is "user:ada",
-- and "user:ada@example.org" as well. Users of Django are told apart by their whole names.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_is_same(one text, other text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    persons text[] := ARRAY[{home}.trigger_ops_person(one), {home}.trigger_ops_person(other)];
    names text[] := ARRAY[regexp_replace(persons[1], '^(user|os):', ''), regexp_replace(persons[2], '^(user|os):', '')];
BEGIN
    IF persons[1] = persons[2] OR (starts_with(persons[1], 'user:') AND starts_with(persons[2], 'user:')) THEN
        RETURN persons[1] = persons[2];
    END IF;
    -- What follows is a host here, and the domain of a user's e-mail address there.
    RETURN split_part(names[1], '@', 1) = split_part(names[2], '@', 1) AND split_part(names[1], '@', 1) <> '';
END
$body$

-- unwritten --
-- Refuses what is not on record: a rule, a trigger or a policy on our table may swallow a row without an error.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_unwritten() RETURNS void
    LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013',
        MESSAGE = 'trigger_ops: the evidence of this was not written, so that it is refused: run manage.py pgtrigger check.';
END
$body$

-- is_applied --
-- Whether PostgreSQL itself writes here what was written on another server: a subscription's worker, which nobody acts through.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_is_applied() RETURNS boolean
    LANGUAGE sql AS $body$
    SELECT EXISTS (SELECT FROM pg_stat_get_subscription(NULL) w WHERE w.pid = pg_backend_pid())
$body$

-- note --
-- Puts what happened to a session on record. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_note(session bigint, kind text, actor text, detail jsonb) RETURNS void
    LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO {home}.trigger_ops_sessionevent (session_id, kind, actor, at, detail) VALUES (session, kind, actor, clock_timestamp(), detail);
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    -- A prepared transaction would keep the session's row locked, and nobody could end it: see enter.
    IF current_setting('max_prepared_transactions') <> '0' THEN
        PERFORM pg_notify('trigger_ops_session', session::text);
    END IF;
END
$body$

-- become --
-- Brings a session into another state. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_become(session bigint, wanted text, actor text, cause text) RETURNS void
    LANGUAGE plpgsql AS $body$
BEGIN
    UPDATE ONLY {home}.trigger_ops_session s SET state = wanted, ended_by = actor, end_cause = cause WHERE s.id = session;
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
END
$body$

-- open --
-- Asks for a session; one that needs nobody's yes is active at once. What is asked for comes as one document. "asked" is no
-- state that a row keeps: it tells the state machine that this is a request, and no row that somebody loads.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_open(asked jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    made {home}.trigger_ops_session;
BEGIN
    INSERT INTO {home}.trigger_ops_session
           (state, uris, triggers, reason, ticket, surface, opener, opener_key, opener_email, host, application,
            needs, lasts, idle, longest, waits, most_rows, most_extensions, nonce)
    VALUES ('asked', asked -> 'uris', asked -> 'triggers', asked ->> 'reason', coalesce(asked ->> 'ticket', ''), asked ->> 'surface',
            asked ->> 'opener', coalesce(asked ->> 'opener_key', ''), coalesce(asked ->> 'opener_email', ''), coalesce(asked ->> 'host', ''),
            current_setting('application_name'), coalesce((asked ->> 'needs')::integer, 0), (asked ->> 'lasts')::interval, (asked ->> 'idle')::interval,
            (asked ->> 'longest')::interval, (asked ->> 'waits')::interval, (asked ->> 'most_rows')::integer, (asked ->> 'most_extensions')::smallint, asked ->> 'nonce')
    RETURNING * INTO made;
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    PERFORM {home}.trigger_ops_note(made.id, 'requested', made.opener, jsonb_build_object('needs', made.needs, 'reason', made.reason));
    IF made.needs = 0 THEN
        PERFORM {home}.trigger_ops_become(made.id, 'active', '', '');
        PERFORM {home}.trigger_ops_note(made.id, 'activated', made.opener, '{{}}');
    END IF;
    RETURN made.id;
END
$body$

-- review --
-- Gives one person's yes or no to a pending session; returns the state that it is in then.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_review(session bigint, reviewer text, reviewer_key text, verdict text, remark text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    reached text;
BEGIN
    INSERT INTO {home}.trigger_ops_review (session_id, reviewer, reviewer_key, verdict, remark)
    VALUES (session, reviewer, reviewer_key, verdict, remark);
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    SELECT s.state INTO reached FROM ONLY {home}.trigger_ops_session s WHERE s.id = session;
    RETURN reached;
END
$body$

-- extend --
-- Moves the end of an active session, never past its longest; returns the new end.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_extend(session bigint, actor text, longer interval) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    reached timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM ONLY {home}.trigger_ops_session s WHERE s.id = session) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO016', MESSAGE = format(
            'trigger_ops: session %s cannot be extended: there is none of that number.', session);
    END IF;
    UPDATE ONLY {home}.trigger_ops_session s
       SET expires = CASE WHEN longer IS NOT NULL THEN least(s.expires + longer, s.activated + s.longest) END, extensions = s.extensions + 1
     WHERE s.id = session
    RETURNING s.expires INTO reached;
    IF NOT FOUND THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    PERFORM {home}.trigger_ops_note(session, 'extended', actor, jsonb_build_object('expires', reached));
    RETURN reached;
END
$body$

-- close --
-- Brings a session into a final state; returns the state that it is in then. One that is over stays as it is.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_close(session bigint, wanted text, actor text, cause text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one {home}.trigger_ops_session;
BEGIN
    SELECT * INTO one FROM ONLY {home}.trigger_ops_session s WHERE s.id = session FOR UPDATE;
    IF NOT FOUND OR one.state NOT IN ('pending', 'active') THEN
        RETURN one.state;
    END IF;
    PERFORM {home}.trigger_ops_become(session, wanted, actor, cause);
    PERFORM {home}.trigger_ops_note(session, wanted, actor, jsonb_build_object('cause', cause));
    RETURN wanted;
END
$body$

-- tell --
-- Puts on record what happened to a session, or what was denied to somebody without one. What changes a session's state is told
-- by the functions that see to it, and by nobody else.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_tell(session bigint, kind text, actor text, detail jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF btrim(lower(kind)) IN ('requested', 'approved', 'activated', 'extended', 'denied', 'ended', 'revoked', 'expired', 'abandoned') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO011', MESSAGE = format(
            'trigger_ops: "%s" is put on record when it happens, and cannot be told.', kind);
    END IF;
    PERFORM {home}.trigger_ops_note(session, kind, actor, coalesce(detail, '{{}}'));
END
$body$

-- record --
-- Puts the statements of a session on record. One that succeeded belongs to this transaction, which has to have entered the
-- session; one that failed belongs to none, and comes from the role of the session not long after its end. Others are passed over
-- without an error, which might take a transaction with it that is in order.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_record(session bigint, statements jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this bigint := pg_current_xact_id_if_assigned()::text::bigint;
    entered boolean := EXISTS (SELECT FROM ONLY {home}.trigger_ops_sessiontransaction t
                                WHERE t.transaction = this AND t.session_id = session AND t.role = session_user AND t.at >= transaction_timestamp());
    recent boolean := EXISTS (SELECT FROM ONLY {home}.trigger_ops_session s
                               WHERE s.id = session AND s.role = session_user AND (least(s.ended, s.expires) + interval '1 hour' <= clock_timestamp()) IS NOT TRUE);
    wanted bigint;
    written bigint;
BEGIN
    SELECT count(*) INTO wanted FROM jsonb_to_recordset(statements) AS one (error text) WHERE CASE coalesce(one.error, '') WHEN '' THEN entered ELSE recent END;
    -- A transaction that has only read may be one that cannot write.
    IF wanted = 0 THEN
        RETURN;
    END IF;
    INSERT INTO {home}.trigger_ops_sessionstatement (session_id, transaction, template, rows, took_ms, error, at)
    SELECT session, CASE coalesce(one.error, '') WHEN '' THEN this END, one.template, one.rows, one.took_ms, coalesce(one.error, ''), clock_timestamp()
      FROM jsonb_to_recordset(statements) AS one (template text, rows bigint, took_ms double precision, error text)
     WHERE CASE coalesce(one.error, '') WHEN '' THEN entered ELSE recent END;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> wanted THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
END
$body$

-- acknowledge --
-- Says of transactions that wrote past a trigger outside any session that somebody knows; returns how many were new.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_acknowledge(transactions bigint[], actor text, reason text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    written integer;
BEGIN
    IF coalesce({home}.trigger_ops_person(actor), '') = '' OR coalesce({home}.trigger_ops_person(reason), '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO011',
            MESSAGE = 'trigger_ops: nothing is acknowledged without somebody and a reason: give --reason.';
    END IF;
    INSERT INTO {home}.trigger_ops_acknowledgement (transaction, actor, reason)
    SELECT DISTINCT one, actor, reason FROM unnest(transactions) one;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> (SELECT count(DISTINCT one) FROM unnest(transactions) one) THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    RETURN written;
END
$body$

-- enter --
-- Enters sessions ("12,11", innermost first) for the rest of this transaction; returns the timeouts that were set before.
-- It only selects and inserts, so that it never waits for a revoke. Settings that are local to the transaction outlive
-- the function, although that has a search_path of its own (PostgreSQL docs, SET). Each transaction pays for it, so that it has
-- few statements; and no plan may be one for tables that were small when it was made.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_enter(sessions text, joins boolean DEFAULT false, statement text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    before text := concat_ws(' ', current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'));
    -- A transaction without a number has written nothing, and so has entered nothing yet.
    is_new boolean := pg_current_xact_id_if_assigned() IS NULL;
    wanted text;
    one record;
BEGIN
    IF joins AND current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO004', MESSAGE = format(
            'trigger_ops: a session cannot begin inside a %s transaction, which would not see its end: begin the transaction inside the session.',
            upper(current_setting('transaction_isolation')));
    END IF;
    FOREACH wanted IN ARRAY string_to_array(coalesce(sessions, ''), ',') LOOP
        -- Whoever revokes the session finds by the lock which backends are in it. Where nothing can be written, nothing can be
        -- ignored: such a transaction may read on, and leaves no row. A prepared one would outlive the session and its revoke:
        -- PostgreSQL prepares none that notifies.
        SELECT s.id, current_setting('transaction_read_only') = 'off' AS writes,
               pg_advisory_xact_lock_shared((1953656688::bigint << 32) | s.id), set_config('trigger_ops.session', sessions, true),
               CASE WHEN current_setting('statement_timeout') = '0' OR current_setting('statement_timeout')::interval > s.expires - clock_timestamp() THEN
                    set_config('statement_timeout', least(2147483647, greatest(1, ceil(date_part('epoch', s.expires - clock_timestamp()) * 1000)))::bigint::text, true) END,
               CASE WHEN current_setting('idle_in_transaction_session_timeout') = '0'
                      OR current_setting('idle_in_transaction_session_timeout')::interval > least(s.expires - clock_timestamp(), s.idle) THEN
                    set_config('idle_in_transaction_session_timeout',
                               least(2147483647, greatest(1, ceil(date_part('epoch', least(s.expires - clock_timestamp(), s.idle)) * 1000)))::bigint::text, true) END,
               CASE WHEN current_setting('max_prepared_transactions') <> '0' AND current_setting('transaction_read_only') = 'off' THEN
                    pg_notify('trigger_ops_session', s.id::text)::text END
          INTO one
          FROM ONLY {home}.trigger_ops_session s
         WHERE s.id = CASE WHEN wanted ~ '^[1-9][0-9]{{0,17}}$' THEN wanted::bigint END AND s.state = 'active' AND s.expires > clock_timestamp()
           AND s.role = session_user AND (s.activated + s.idle > clock_timestamp() OR NOT {home}.trigger_ops_is_idle(s.id));
        IF one.id IS NULL THEN
            PERFORM {home}.trigger_ops_no_entry(wanted);
        ELSIF is_new AND one.writes THEN
            INSERT INTO {home}.trigger_ops_sessiontransaction (session_id, transaction, pid, role, application, address, at, template)
            VALUES (one.id, pg_current_xact_id()::text::bigint, pg_backend_pid(), session_user, current_setting('application_name'),
                    coalesce(host(inet_client_addr()), 'local'), clock_timestamp(), coalesce(statement, ''));
            IF NOT FOUND THEN
                PERFORM {home}.trigger_ops_unwritten();
            END IF;
            is_new := false;
            statement := NULL;
        ELSIF one.writes THEN
            PERFORM {home}.trigger_ops_enter_again(one.id, statement);
            statement := NULL;
        END IF;
    END LOOP;
    IF one IS NULL THEN
        PERFORM set_config('trigger_ops.session', sessions, true);
    END IF;
    RETURN before;
END
$body$

-- enter_again --
-- Puts on record that a transaction that has a number entered a session, unless it has before, and the statement that it does so for.
-- Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_enter_again(session bigint, statement text) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    this bigint := pg_current_xact_id()::text::bigint;
BEGIN
    INSERT INTO {home}.trigger_ops_sessiontransaction (session_id, transaction, pid, role, application, address, at)
    VALUES (session, this, pg_backend_pid(), session_user, current_setting('application_name'), coalesce(host(inet_client_addr()), 'local'), clock_timestamp())
    ON CONFLICT (transaction, session_id) DO NOTHING;
    IF FOUND THEN
        -- It may be another session's second: the next row is not taken for that one's because the row before was.
        PERFORM nextval($name${home}.trigger_ops_change_id_seq$name$::regclass);
    ELSIF NOT EXISTS (SELECT FROM ONLY {home}.trigger_ops_sessiontransaction t WHERE t.transaction = this AND t.session_id = session) THEN
        PERFORM {home}.trigger_ops_unwritten();
    END IF;
    IF statement IS NOT NULL THEN
        INSERT INTO {home}.trigger_ops_sessionstatement (session_id, transaction, template, error, at) VALUES (session, this, statement, '', clock_timestamp());
        IF NOT FOUND THEN
            PERFORM {home}.trigger_ops_unwritten();
        END IF;
    END IF;
END
$body$

-- no_entry --
-- Says why a session cannot be entered. Only called by functions with a search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_no_entry(wanted text) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    one {home}.trigger_ops_session;
BEGIN
    SELECT * INTO one FROM ONLY {home}.trigger_ops_session s WHERE s.id = CASE WHEN wanted ~ '^[1-9][0-9]{{0,17}}$' THEN wanted::bigint END;
    IF one.id IS NULL OR one.state <> 'active' OR (one.expires > clock_timestamp()) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO002', MESSAGE = format(
            'trigger_ops: session %s is %s: open another one.', wanted,
            CASE WHEN one.id IS NULL THEN 'unknown' WHEN one.state = 'active' THEN 'expired' ELSE one.state END);
    ELSIF one.role <> session_user THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO003', MESSAGE = format(
            'trigger_ops: session %s belongs to role "%s", not to "%s": connect as the role that opened it.', wanted, one.role, session_user);
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO002', MESSAGE = format(
        'trigger_ops: session %s is expired, for nothing was done in it for %s: open another one.', wanted, one.idle);
END
$body$

-- is_idle --
-- Whether nothing was done in a session for as long as it may be idle. Transactions are told by when they began, which nearly always
-- answers: one that lasted for longer shows by what it wrote, or by the lock that it holds still. Only called by functions with a
-- search_path of their own.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_is_idle(session bigint) RETURNS boolean
    LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM FROM ONLY {home}.trigger_ops_session s
      WHERE s.id = session AND (SELECT t.at FROM ONLY {home}.trigger_ops_sessiontransaction t WHERE t.session_id = s.id ORDER BY t.at DESC LIMIT 1) + s.idle > clock_timestamp();
    IF FOUND THEN
        RETURN false;
    END IF;
    RETURN (SELECT coalesce(greatest(s.activated,
                                     (SELECT max(t.at) FROM ONLY {home}.trigger_ops_sessiontransaction t WHERE t.session_id = s.id),
                                     (SELECT max(c.at) FROM {home}.trigger_ops_change c WHERE c.session_id = s.id),
                                     (SELECT max(m.at) FROM {home}.trigger_ops_sessionstatement m WHERE m.session_id = s.id)) + s.idle <= clock_timestamp(), true)
                   AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1953656688 AND l.objid = s.id::oid
                                      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.pid <> pg_backend_pid())
              FROM ONLY {home}.trigger_ops_session s
             WHERE s.id = session);
END
$body$

-- state_machine --
-- What a session may be asked for and become: scope and reason never change, final states are final, the database's clock decides.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_state_machine() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    now_is timestamptz := clock_timestamp();
    guard {home}.trigger_ops_guard;
    spans interval[];
    votes integer;
    fault text;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NEW;  -- judged where it was written
    END IF;
    IF TG_OP = 'INSERT' AND NEW.state IS DISTINCT FROM 'asked' THEN
        -- Loaded from elsewhere: what is over is kept as it was there, and nothing else goes on here.
        IF NEW.state IN ('pending', 'active') THEN
            NEW.ended := now_is;
            NEW.end_cause := format('It was loaded from elsewhere, where it was %s.', NEW.state);
            NEW.state := 'abandoned';
        END IF;
        RETURN NEW;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT * INTO guard FROM ONLY {home}.trigger_ops_guard;
        NEW.state := 'pending';
        NEW.opened := now_is;
        NEW.role := session_user;
        NEW.extensions := 0;
        NEW.activated := NULL; NEW.expires := NULL; NEW.ended := NULL; NEW.ended_by := ''; NEW.end_cause := '';
        NEW.reason := regexp_replace(NEW.reason, '^[[:space:]]+|[[:space:]]+$', '', 'g');
        -- Months and days are compared by one length and added by another, which the calendar and the time zone of whoever asks
        -- decide: seconds alone are both. What has no end is NULL.
        SELECT array_agg(CASE WHEN extract(epoch FROM s.span) < 1e10 THEN make_interval(secs => greatest(extract(epoch FROM s.span), -1)) END ORDER BY s.place)
          INTO spans FROM unnest(ARRAY[NEW.lasts, NEW.longest, NEW.idle, NEW.waits, guard.longest, guard.idle, guard.waits]) WITH ORDINALITY s (span, place);
        NEW.lasts := spans[1];
        guard.longest := spans[5];
        -- Who asks says what the settings of that process allow; the guard's row says what holds.
        NEW.longest := least(spans[2], spans[5]);
        NEW.idle := least(spans[3], spans[6]);
        NEW.waits := least(spans[4], spans[7]);
        NEW.most_rows := least(NEW.most_rows, guard.most_rows);
        NEW.most_extensions := least(NEW.most_extensions, guard.most_extensions);
        fault := CASE
            WHEN coalesce(jsonb_typeof(NEW.triggers), '') <> 'array' THEN 'it names no trigger'
            WHEN jsonb_array_length(NEW.triggers) = 0 THEN 'it names no trigger'
            WHEN coalesce(jsonb_typeof(NEW.uris), '') <> 'array' THEN 'it does not name each trigger once'
            WHEN jsonb_array_length(NEW.triggers) <> jsonb_array_length(NEW.uris)
              OR jsonb_array_length(NEW.triggers) <> (SELECT count(DISTINCT one) FROM jsonb_array_elements_text(NEW.triggers) one)
            THEN 'it does not name each trigger once'
            WHEN jsonb_array_length(NEW.triggers) > guard.most_triggers THEN format('it names more than %s triggers, and may not until manage.py pgtrigger guard install has put other settings here', guard.most_triggers)
            WHEN coalesce({home}.trigger_ops_person(NEW.reason), '') = '' THEN 'it gives no reason'
            WHEN coalesce({home}.trigger_ops_person(NEW.opener), '') = '' THEN 'nobody opens it'
            WHEN NEW.lasts > guard.longest THEN format('it would last for %s, and may for %s at most, until manage.py pgtrigger guard install has put other settings here', NEW.lasts, guard.longest)
            WHEN (NEW.lasts > interval '0' AND NEW.lasts <= NEW.longest AND NEW.idle > interval '0' AND NEW.waits > interval '0') IS NOT TRUE THEN 'its times do not fit together'
            WHEN (NEW.needs >= 0 AND NEW.most_rows >= 1 AND NEW.most_extensions >= 0) IS NOT TRUE THEN 'its limits are not positive' END;
        IF fault IS NULL THEN
            -- Whoever reviews reads the URIs, and the gate the triggers.
            SELECT format('%s is not the trigger %s', u.uri, t.trigger) INTO fault
              FROM jsonb_array_elements_text(NEW.triggers) WITH ORDINALITY t (trigger, place)
              JOIN jsonb_array_elements_text(NEW.uris) WITH ORDINALITY u (uri, place) ON u.place = t.place
             WHERE guard.uris ->> t.trigger IS DISTINCT FROM u.uri
               AND (guard.uris ? t.trigger OR EXISTS (SELECT FROM jsonb_each_text(guard.uris) k WHERE k.value = u.uri))
             ORDER BY t.place LIMIT 1;
        END IF;
        IF fault IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO011', MESSAGE = format('trigger_ops: the session cannot be asked for: %s.', fault);
        END IF;
        NEW.needs := greatest(NEW.needs, (SELECT max(CASE coalesce(p.mode, guard.policy) WHEN 'four_eyes' THEN greatest(1, coalesce(p.approvals, guard.approvals)) END)
                                            FROM jsonb_array_elements_text(NEW.triggers) one
                                            LEFT JOIN ONLY {home}.trigger_ops_policy p ON p.trigger = one));
        RETURN NEW;
    END IF;
    IF OLD.state NOT IN ('pending', 'active') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013', MESSAGE = format(
            'trigger_ops: session %s is %s, which is final: open another one.', OLD.id, OLD.state);
    END IF;
    IF (to_jsonb(OLD.*) - ARRAY['state', 'activated', 'expires', 'extensions', 'ended', 'ended_by', 'end_cause'])
       <> (to_jsonb(NEW.*) - ARRAY['state', 'activated', 'expires', 'extensions', 'ended', 'ended_by', 'end_cause']) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013', MESSAGE = format(
            'trigger_ops: what session %s is for cannot be changed: open another one.', OLD.id);
    END IF;
    IF NEW.state = OLD.state THEN
        IF (OLD.state = 'active' AND OLD.expires > now_is AND NEW.extensions = OLD.extensions + 1 AND NEW.extensions <= OLD.most_extensions
            AND NEW.expires > OLD.expires AND NEW.expires <= OLD.activated + OLD.longest AND NEW.activated = OLD.activated
            AND NEW.ended IS NULL AND NEW.ended_by = '' AND NEW.end_cause = '') IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO016', MESSAGE = format(
                'trigger_ops: session %s cannot be extended: %s; open another one.', OLD.id,
                CASE WHEN OLD.state <> 'active' THEN 'it is ' || OLD.state WHEN OLD.expires <= now_is THEN 'it is expired'
                     WHEN OLD.extensions >= OLD.most_extensions THEN format('it may be extended %s times', OLD.most_extensions) ELSE 'it lasts as long as a session may' END);
        END IF;
        RETURN NEW;
    END IF;
    NEW.extensions := OLD.extensions;
    IF OLD.state = 'pending' AND NEW.state = 'active' THEN
        SELECT count(*) FILTER (WHERE r.verdict = 'approve') INTO votes FROM ONLY {home}.trigger_ops_review r WHERE r.session_id = OLD.id;
        IF (votes >= OLD.needs) IS NOT TRUE OR EXISTS (SELECT FROM ONLY {home}.trigger_ops_review r WHERE r.session_id = OLD.id AND r.verdict = 'deny')
           OR (now_is < OLD.opened + OLD.waits) IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO015', MESSAGE = format(
                'trigger_ops: session %s cannot begin: it has %s of %s approvals.', OLD.id, votes, OLD.needs);
        END IF;
        NEW.activated := now_is;
        NEW.expires := now_is + OLD.lasts;
        NEW.ended := NULL; NEW.ended_by := ''; NEW.end_cause := '';
        RETURN NEW;
    END IF;
    IF NOT (CASE NEW.state
        WHEN 'ended' THEN true
        WHEN 'revoked' THEN true
        WHEN 'abandoned' THEN OLD.state = 'active'
        WHEN 'expired' THEN OLD.state = 'active' OR now_is >= OLD.opened + OLD.waits
        WHEN 'denied' THEN OLD.state = 'pending'
                           AND EXISTS (SELECT FROM ONLY {home}.trigger_ops_review r WHERE r.session_id = OLD.id AND r.verdict = 'deny')
        ELSE false END) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013', MESSAGE = format(
            'trigger_ops: session %s cannot go from %s to %s.', OLD.id, OLD.state, NEW.state);
    END IF;
    NEW.activated := OLD.activated;
    NEW.expires := OLD.expires;
    NEW.ended := now_is;
    RETURN NEW;
END
$body$

-- review_rules --
-- Nobody reviews their own request or votes twice, and only what is pending can be reviewed. The row lock makes races one by one.
-- A row that has its person already was a vote elsewhere, and is kept: of a session that is over, or yet to be loaded.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_review_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    one {home}.trigger_ops_session;
    fault text;
    code text := 'TO015';
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NEW;
    END IF;
    SELECT * INTO one FROM ONLY {home}.trigger_ops_session s WHERE s.id = NEW.session_id FOR UPDATE;
    IF NEW.person <> '' AND (one.id IS NULL OR one.state NOT IN ('pending', 'active')) THEN
        RETURN NEW;
    END IF;
    NEW.reviewer := btrim(NEW.reviewer);
    NEW.person := {home}.trigger_ops_person(NEW.reviewer);
    NEW.at := clock_timestamp();
    IF one.id IS NULL THEN
        fault := 'there is none of that number';
    ELSIF one.state <> 'pending' THEN
        fault := format('it is %s', one.state);
    ELSIF clock_timestamp() >= one.opened + one.waits THEN
        fault := 'nobody reviewed it in time, and it is expired';
    ELSIF NEW.verdict NOT IN ('approve', 'deny') OR NEW.person = '' THEN
        fault := 'a review is somebody''s "approve" or "deny"';
    ELSIF {home}.trigger_ops_is_same(NEW.reviewer, one.opener) OR (NEW.reviewer_key <> '' AND NEW.reviewer_key = one.opener_key) THEN
        fault := 'nobody reviews their own request';
        code := 'TO012';
    ELSIF NOT starts_with(NEW.person, 'user:') OR NEW.person = 'user:' THEN
        fault := format('"%s" is no user of Django, who alone reviews: give user:NAME', NEW.reviewer);
    ELSIF EXISTS (SELECT FROM ONLY {home}.trigger_ops_review r WHERE r.session_id = one.id
                     AND (r.person = NEW.person OR (r.reviewer_key <> '' AND r.reviewer_key = NEW.reviewer_key))) THEN
        fault := format('%s has reviewed it already', NEW.reviewer);
        code := 'TO014';
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = code, MESSAGE = format(
            'trigger_ops: session %s cannot be reviewed: %s.', NEW.session_id, fault);
    END IF;
    RETURN NEW;
END
$body$

-- review_outcome --
-- Counts votes: a no ends the request, enough yeses begin the session. A vote that was loaded, for a session that is over, is none.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_review_outcome() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    wanted integer;
    votes integer;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NULL;  -- what comes of it comes by itself
    END IF;
    SELECT s.needs INTO wanted FROM ONLY {home}.trigger_ops_session s WHERE s.id = NEW.session_id AND s.state = 'pending';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM {home}.trigger_ops_note(NEW.session_id, CASE NEW.verdict WHEN 'deny' THEN 'denied' ELSE 'approved' END, NEW.reviewer,
                                     jsonb_build_object('remark', NEW.remark));
    IF NEW.verdict = 'deny' THEN
        PERFORM {home}.trigger_ops_become(NEW.session_id, 'denied', NEW.reviewer, NEW.remark);
        RETURN NULL;
    END IF;
    SELECT count(*) INTO votes FROM ONLY {home}.trigger_ops_review r WHERE r.session_id = NEW.session_id AND r.verdict = 'approve';
    IF votes >= wanted THEN
        PERFORM {home}.trigger_ops_become(NEW.session_id, 'active', '', '');
        PERFORM {home}.trigger_ops_note(NEW.session_id, 'activated', NEW.reviewer, '{{}}');
    END IF;
    RETURN NULL;
END
$body$

-- commit_check --
-- At COMMIT: what was done in a session that was revoked or expired meanwhile is not kept.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_commit_check() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
DECLARE
    reached text;
BEGIN
    PERFORM FROM ONLY {home}.trigger_ops_session s
      WHERE s.id = NEW.session_id AND ((s.state = 'active' AND s.expires > clock_timestamp()) OR (s.state = 'ended' AND s.ended < s.expires));
    IF FOUND THEN
        RETURN NULL;
    END IF;
    IF NEW.transaction <> pg_current_xact_id()::text::bigint OR NEW.at < transaction_timestamp() THEN
        RETURN NULL;  -- loaded from elsewhere: nobody entered
    END IF;
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NULL;
    END IF;
    reached := (SELECT s.state FROM ONLY {home}.trigger_ops_session s WHERE s.id = NEW.session_id);
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO005', MESSAGE = format(
        'trigger_ops: session %s is %s, so that nothing of this transaction is kept: open another one.', NEW.session_id,
        CASE WHEN reached IN ('active', 'ended') THEN 'expired' ELSE coalesce(reached, 'unknown') END);
END
$body$

-- guard_log --
-- Puts every change of a policy, or of the guard's own row, on record: whoever may write these rows decides what is enforced.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_guard_log() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET IntervalStyle = postgres AS $body$
DECLARE
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    before jsonb;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND {home}.trigger_ops_is_applied() THEN
        RETURN NULL;
    END IF;
    IF was IS DISTINCT FROM is_now THEN
        IF TG_OP = 'UPDATE' AND was ? 'uris' THEN
            -- Of many URIs a migration changes a few.
            before := was -> 'uris';
            was := was || jsonb_build_object('uris', (SELECT coalesce(jsonb_object_agg(u.key, u.value), '{{}}') FROM jsonb_each(before) u
                                                       WHERE u.value IS DISTINCT FROM is_now -> 'uris' -> u.key));
            is_now := is_now || jsonb_build_object('uris', (SELECT coalesce(jsonb_object_agg(u.key, u.value), '{{}}') FROM jsonb_each(is_now -> 'uris') u
                                                             WHERE u.value IS DISTINCT FROM before -> u.key));
        END IF;
        INSERT INTO {home}.trigger_ops_guardchange (transaction, kind, schema, "table", name, op, old, new, role, application, address, at)
        VALUES (pg_current_xact_id()::text::bigint, CASE WHEN TG_TABLE_NAME LIKE '%guard' THEN 'guard' ELSE 'policy' END, TG_TABLE_SCHEMA, TG_TABLE_NAME,
                coalesce(is_now ->> 'uri', was ->> 'uri', ''), TG_OP, was, is_now, session_user, current_setting('application_name'),
                coalesce(host(inet_client_addr()), 'local'), clock_timestamp());
        IF NOT FOUND THEN
            PERFORM {home}.trigger_ops_unwritten();
        END IF;
    END IF;
    RETURN NULL;
END
$body$

-- evidence_guard --
-- Evidence only grows: rows are added, never changed. TRUNCATE is for Django's test databases, and for empty tables while the
-- guard is off: one statement might empty a watched table and take the row that says so along.
CREATE OR REPLACE FUNCTION {home}.trigger_ops_evidence_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    is_empty boolean;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        IF starts_with(current_database()::text, 'test_') THEN
            RETURN NULL;
        END IF;
        IF EXISTS (SELECT FROM ONLY {home}.trigger_ops_guard) THEN
            RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013', MESSAGE = format(
                'trigger_ops: TRUNCATE on %I.%I is refused, for the guard is on: run manage.py pgtrigger guard remove first.', TG_TABLE_SCHEMA, TG_TABLE_NAME);
        END IF;
        -- An older snapshot does not see the rows that came after it: there only an empty file counts.
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I.%I)', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO is_empty;
        IF is_empty AND (current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') OR pg_relation_size(TG_RELID) = 0) THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO013', MESSAGE = format(
        'trigger_ops: %s on %I.%I is refused, for evidence only grows: leave its rows as they are.', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME);
END
$body$
