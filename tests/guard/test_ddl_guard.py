"""The guard of DDL: event triggers that let nobody take a witness or the gate away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.copies import Copies, new_name
from tests.damage import install_sql, make_role, pgid, run
from tests.guard.parts import IGNORE, body, gate_body, put_gate, put_stock_body, put_witness
from tests.weaknesses.conftest import _maintain, default_at
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.exceptions import Refused
from trigger_ops.guard import ddl
from trigger_ops.inspection.guarding import CONDITION
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.inspection.own_objects import expected_own_functions
from trigger_ops.states import Verb

RECEIPT = "past.Receipt:append_only"
WITNESS = "trigger_ops_witness"
MODES = (
    "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'past_receipt'::regclass "
    "AND tgname ~ '^trigger_ops_' ORDER BY 1"
)
IN_PLACE = [(WITNESS, "A"), (f"{WITNESS}_replica", "R"), (f"{WITNESS}_truncate", "A")]


def switch_on() -> None:
    texts = ddl.statements("default", "public")
    ddl.carry_out(
        "default", "public", texts, verb=Verb.GUARD_INSTALL, actor="user:ada", reason="a test"
    )


def switch_off() -> None:
    texts = ddl.removal("default", "public")
    ddl.carry_out(
        "default", "public", texts, verb=Verb.GUARD_REMOVE, actor="user:ada", reason="a test"
    )


@pytest.fixture(scope="module")
def watched_template(migrated_database: str, django_db_blocker: Any) -> Iterator[str]:
    """Return the name of a database to be copied that is watched, with a schema `elsewhere`."""
    name = new_name()
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain("CREATE DATABASE {name} TEMPLATE {template}", name, template=migrated_database)
        with default_at(NAME=name):
            put_gate()
            put_witness()
            switch_on()
            run("CREATE SCHEMA elsewhere")
        connections.close_all()
    yield name
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain("DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture
def watched(
    copies: Callable[[str], Copies], watched_template: str, django_db_blocker: Any
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` have a gate, a witness on one table, and the guard of DDL."""
    with django_db_blocker.unblock():
        name = copies(watched_template).take()
        with default_at(NAME=name) as connection:
            yield connection
        connections.close_all()
        copies(watched_template).give_back(name)


def refused(act: Callable[[], object]) -> str:
    """Demand that the guard refuses, and return what it says."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        act()
    assert sqlstate(caught.value) == "42501"
    assert "TO006" in str(caught.value)
    message = str(caught.value).splitlines()[0]
    assert message.startswith("trigger_ops: ")
    assert message.endswith(": run manage.py pgtrigger guard remove first.")
    return message


ALIKE = (
    "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE ON past_receipt "
    "FOR EACH ROW {condition} EXECUTE FUNCTION {function}"
)
ITS_OWN = "trigger_ops_witness_row('alone', '{{}}')"
AGAIN = "CREATE OR REPLACE TRIGGER {0} {1} ON {2} EXECUTE FUNCTION {0}()"
NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
FAKE = (
    f"CREATE SCHEMA fake; CREATE FUNCTION fake.{IGNORE}(trigger_name name) RETURNS boolean "
    "LANGUAGE sql AS 'SELECT true'"
)
ASKING = (
    "CREATE FUNCTION asking() RETURNS trigger LANGUAGE plpgsql AS "
    f"'BEGIN IF \"gated\".{IGNORE}(TG_NAME) THEN RETURN NEW; END IF; RETURN NULL; END'; "
    "CREATE TABLE other (id integer); CREATE TRIGGER pgtrigger_asking BEFORE INSERT ON other "
    "FOR EACH ROW EXECUTE FUNCTION asking()"
)
GATE_ELSEWHERE = (
    f"{ASKING}; CREATE SCHEMA gated; CREATE FUNCTION gated.{IGNORE}(trigger_name name) RETURNS boolean "
    f"LANGUAGE plpgsql AS $${stock_ignore_body().replace('{', '{{').replace('}', '}}')}$$"
)
"""pgtrigger's own becomes the gate at once, as a trigger asks it."""
REFUSED = [
    f"ALTER TABLE past_receipt DISABLE TRIGGER {WITNESS}",
    "ALTER TABLE past_receipt DISABLE TRIGGER ALL",
    "ALTER TABLE past_receipt DISABLE TRIGGER USER",
    "ALTER TABLE past_receipt ENABLE TRIGGER ALL",
    f"ALTER TABLE past_receipt ENABLE TRIGGER {WITNESS}",
    f"ALTER TABLE past_receipt ENABLE REPLICA TRIGGER {WITNESS}",
    f"ALTER TABLE past_receipt ADD COLUMN a integer, DISABLE TRIGGER {WITNESS}",
    f"DROP TRIGGER {WITNESS} ON past_receipt",
    f"DROP TRIGGER {WITNESS}_truncate ON past_receipt",
    f"ALTER TRIGGER {WITNESS} ON past_receipt RENAME TO harmless",
    ALIKE.format(condition=CONDITION, function="suppress_redundant_updates_trigger()"),
    ALIKE.format(condition="", function=ITS_OWN),
    ALIKE.format(condition="WHEN (false)", function=ITS_OWN),
    ALIKE.format(condition=CONDITION, function=ITS_OWN).replace("OR DELETE", ""),
    ALIKE.format(condition=CONDITION, function=ITS_OWN).replace("UPDATE", "UPDATE OF id"),
    f"ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER {WITNESS}_replica",
    f"DROP TRIGGER {WITNESS}_replica ON past_receipt",
    "DROP FUNCTION trigger_ops_witness_row CASCADE",
    "DROP FUNCTION trigger_ops_gate(name) CASCADE",
    "DROP ROUTINE trigger_ops_enter CASCADE",
    "DROP TABLE trigger_ops_change",
    "ALTER TABLE trigger_ops_change DISABLE TRIGGER ALL",
    f"DROP FUNCTION {IGNORE}(name)",
    f"ALTER FUNCTION {IGNORE}(name) RENAME TO elsewhere",
    f"ALTER FUNCTION {IGNORE}(name) SECURITY DEFINER",
    f"ALTER FUNCTION {IGNORE}(name) SET search_path = public",
    f"ALTER FUNCTION {IGNORE}(name) STABLE",
    f"ALTER ROUTINE {IGNORE}(name) SET SCHEMA elsewhere",
    (
        f"CREATE OR REPLACE FUNCTION {IGNORE}(trigger_name name) RETURNS boolean LANGUAGE sql "
        "AS 'SELECT true'"
    ),
    "DROP SCHEMA public CASCADE",
    (
        "CREATE OR REPLACE FUNCTION trigger_ops_gate(trigger_name name) RETURNS boolean "
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
        "AS 'BEGIN RETURN true; END'"
    ),
    (
        "CREATE OR REPLACE FUNCTION trigger_ops_evidence_guard() RETURNS trigger "
        "LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'"
    ),
    "ALTER FUNCTION trigger_ops_gate(name) SECURITY INVOKER",
    "ALTER FUNCTION trigger_ops_gate(name) RESET search_path",
    "ALTER FUNCTION trigger_ops_enter(text, boolean, text) STABLE",
    "ALTER FUNCTION trigger_ops_gate(name) RENAME TO elsewhere",
    "ALTER FUNCTION trigger_ops_ledger_guard() SET SCHEMA elsewhere",
    "ALTER TABLE trigger_ops_change RENAME TO elsewhere",
    "ALTER TABLE trigger_ops_guard SET SCHEMA elsewhere",
    "ALTER TABLE trigger_ops_ledgerentry RENAME TO elsewhere",
    "DROP TRIGGER trigger_ops_evidence_guard ON trigger_ops_change",
    "ALTER TABLE trigger_ops_review ENABLE TRIGGER trigger_ops_review_rules",
    "ALTER TABLE trigger_ops_policy DISABLE TRIGGER trigger_ops_guard_log",
    # Whatever swallows evidence, hides it, or makes other rows of it.
    "CREATE RULE nothing AS ON INSERT TO trigger_ops_decision DO INSTEAD NOTHING",
    "CREATE RULE also AS ON INSERT TO trigger_ops_change DO ALSO DELETE FROM trigger_ops_change",
    (
        f"{NOTHING}; CREATE TRIGGER a BEFORE INSERT ON trigger_ops_decision FOR EACH ROW "
        "EXECUTE FUNCTION nothing()"
    ),
    (
        f"{NOTHING.replace('nothing', 'trigger_ops_nothing')}; CREATE TRIGGER trigger_ops_nothing "
        "BEFORE INSERT ON trigger_ops_decision FOR EACH ROW EXECUTE FUNCTION trigger_ops_nothing()"
    ),
    AGAIN.format("trigger_ops_evidence_guard", "BEFORE TRUNCATE", "trigger_ops_change"),
    AGAIN.format(
        "trigger_ops_evidence_guard",
        "BEFORE UPDATE OF id OR DELETE OR TRUNCATE",
        "trigger_ops_change",
    ),
    (
        "CREATE OR REPLACE TRIGGER trigger_ops_review_rules BEFORE INSERT ON trigger_ops_review FOR "
        "EACH ROW WHEN (false) EXECUTE FUNCTION trigger_ops_review_rules()"
    ),
    "CREATE POLICY p ON trigger_ops_decision FOR INSERT WITH CHECK (true)",
    "ALTER TABLE trigger_ops_decision ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE trigger_ops_sessiontransaction FORCE ROW LEVEL SECURITY",
    "ALTER TABLE trigger_ops_change ALTER new TYPE jsonb USING NULL",
    "ALTER TABLE trigger_ops_change ALTER cause TYPE text USING 'session'",
    "ALTER TABLE trigger_ops_ledgerentry ALTER actor TYPE text USING 'user:bob'",
    "ALTER TABLE trigger_ops_change SET UNLOGGED",
    "ALTER TABLE trigger_ops_change DROP COLUMN old",
    "ALTER TABLE trigger_ops_change ALTER at SET DEFAULT '-infinity'",
    "ALTER TABLE trigger_ops_change ALTER at DROP DEFAULT",
    "ALTER TABLE trigger_ops_change ALTER cause DROP NOT NULL",
    "ALTER TABLE trigger_ops_change RENAME old TO former",
    "ALTER TABLE trigger_ops_change OWNER TO pg_monitor",
    "CREATE TABLE forged () INHERITS (trigger_ops_session)",
    (
        "CREATE TABLE forged (LIKE trigger_ops_policy INCLUDING ALL); "
        "ALTER TABLE forged INHERIT trigger_ops_policy"
    ),
    "CREATE SCHEMA forged CREATE TABLE forged () INHERITS (public.trigger_ops_session)",
    # What has a name may be put in the place of another of that name.
    "ALTER INDEX trigger_ops_change RENAME TO kept",
    (
        "ALTER INDEX trigger_ops_change RENAME TO kept; "
        "CREATE TABLE trigger_ops_change (LIKE kept INCLUDING ALL)"
    ),
    "ALTER SCHEMA public RENAME TO somewhere",
    f"{FAKE}; ALTER SCHEMA public RENAME TO somewhere; ALTER SCHEMA fake RENAME TO public",
    f"{GATE_ELSEWHERE}; ALTER SCHEMA gated RENAME TO somewhere",
    f"{FAKE}; {ASKING}; ALTER SCHEMA fake RENAME TO gated",
    "CREATE EXTENSION intarray SCHEMA elsewhere; ALTER EXTENSION intarray ADD TABLE trigger_ops_change",
    (
        "CREATE EXTENSION intarray SCHEMA elsewhere; "
        "ALTER EXTENSION intarray ADD FUNCTION trigger_ops_gate(name)"
    ),
    (
        "CREATE EXTENSION intarray SCHEMA elsewhere; "
        f"ALTER EXTENSION intarray ADD FUNCTION {IGNORE}(name)"
    ),
    (
        f"{FAKE}; {ASKING}; CREATE EXTENSION intarray SCHEMA fake; "
        f"ALTER EXTENSION intarray ADD FUNCTION fake.{IGNORE}(name); CREATE SCHEMA gated; "
        "ALTER EXTENSION intarray SET SCHEMA gated"
    ),
]


@pytest.mark.parametrize("replica", [False, True], ids=["", "as a replica"])
@pytest.mark.parametrize("statement", REFUSED)
@pytest.mark.usefixtures("watched")
def test_what_would_take_the_guard_away_is_refused(statement: str, *, replica: bool) -> None:
    def act() -> None:
        if replica:
            run("SET LOCAL session_replication_role = replica")
        run(statement)

    assert refused(act)
    assert run(MODES) == IN_PLACE
    assert body() == gate_body()


def put_it_back_by_hand() -> None:
    put_stock_body()


def install_as_stock_does() -> None:
    run(install_sql(RECEIPT).replace("{", "{{").replace("}", "}}"))


@pytest.mark.parametrize("act", [put_it_back_by_hand, install_as_stock_does])
@pytest.mark.usefixtures("watched")
def test_the_stock_function_becomes_the_gate_at_once(act: Callable[[], None]) -> None:
    with transaction.atomic():
        act()
        assert body() == gate_body()
    assert run(MODES) == IN_PLACE


PASSES = [
    "ALTER TABLE past_receipt ADD COLUMN a integer",
    "ALTER TABLE past_receipt RENAME TO past_voucher",
    f"ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER {WITNESS}",
    "ALTER TABLE past_receipt DISABLE TRIGGER {trigger}",
    "DROP TABLE past_receipt",
    "CREATE SCHEMA more CREATE TABLE past_receipt (id integer)",
    "CREATE TABLE other (id integer)",
    "CREATE FUNCTION other() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    (
        "CREATE TRIGGER other BEFORE UPDATE ON past_receipt FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "CREATE INDEX ON past_receipt (number)",
    "TRUNCATE past_receipt",
    # A table that no trigger of pgtrigger guards any more needs no witness.
    f"DROP TRIGGER {{trigger}} ON past_receipt; DROP TRIGGER {WITNESS} ON past_receipt",
    f"DROP TRIGGER {{trigger}} ON past_receipt; DROP TRIGGER {WITNESS}_replica ON past_receipt",
    "ALTER SCHEMA elsewhere RENAME TO somewhere",
    "ALTER SCHEMA public OWNER TO CURRENT_USER",
    f"{GATE_ELSEWHERE}; ALTER SCHEMA gated OWNER TO CURRENT_USER",
    f"{GATE_ELSEWHERE}; ALTER SCHEMA elsewhere RENAME TO somewhere",
    f"{FAKE}; ALTER SCHEMA fake RENAME TO somewhere",
    "CREATE INDEX numbers ON past_receipt (number); ALTER INDEX numbers RENAME TO more",
    "ALTER INDEX past_receipt RENAME TO past_voucher",
    "ALTER INDEX trigger_ops_change_pkey RENAME TO more",
    "CREATE EXTENSION intarray SCHEMA elsewhere; ALTER EXTENSION intarray SET SCHEMA public",
    "ALTER TABLE trigger_ops_change ADD COLUMN more integer",
    "ALTER TABLE trigger_ops_change ADD COLUMN more timestamptz DEFAULT clock_timestamp()",
    "CREATE INDEX ON trigger_ops_change (role)",
    "ALTER TABLE trigger_ops_change ADD CONSTRAINT more CHECK (number >= 0)",
    "CREATE RULE other AS ON INSERT TO past_receipt DO ALSO NOTHING",
    "ALTER TABLE past_receipt ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON past_receipt",
    "ALTER TABLE past_receipt ALTER number TYPE varchar(500) USING upper(number)",
    "ALTER TABLE past_receipt DROP COLUMN number",
    "CREATE TABLE child () INHERITS (past_receipt)",
    "ALTER FUNCTION trigger_ops_gate(name) OWNER TO CURRENT_USER",
]


@pytest.mark.parametrize("statement", PASSES)
@pytest.mark.usefixtures("watched")
def test_what_is_no_harm_passes(statement: str) -> None:
    with transaction.atomic():
        run(statement, trigger=pgid(RECEIPT))
        transaction.set_rollback(True)


@pytest.mark.usefixtures("watched")
def test_our_own_functions_may_be_made_again_as_they_are() -> None:
    for function in expected_own_functions("public"):
        with connections["default"].cursor() as cursor:
            cursor.execute(function.statement)
    for (function,) in run(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'trigger\\_ops\\_%%'"
    ):
        run(f"ALTER FUNCTION {function} OWNER TO CURRENT_USER")
    assert ddl.fault("default", "public") == ""


@pytest.mark.usefixtures("watched")
def test_a_witness_that_is_made_anew_fires_always() -> None:
    run(ALIKE.format(condition=CONDITION, function=ITS_OWN))
    run(
        ALIKE.format(condition="", function=ITS_OWN.replace(")", ", 'replica')")).replace(
            "trigger_ops_witness AFTER", "trigger_ops_witness_replica AFTER"
        )
    )
    assert run(MODES) == IN_PLACE


@pytest.mark.usefixtures("watched")
def test_partitions_keep_their_witnesses_in_mode_always() -> None:
    put_witness("awkward_measurement")
    for place in ("awkward_measurement", "ONLY awkward_measurement_2024"):
        refused(lambda: run(f"ALTER TABLE {place} DISABLE TRIGGER {WITNESS}"))  # noqa: B023 - called before the loop goes on
    run(
        "CREATE TABLE awkward_measurement_2030 PARTITION OF awkward_measurement "
        "FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')"
    )
    run("ALTER TABLE awkward_measurement DETACH PARTITION awkward_measurement_2030")
    run(
        "ALTER TABLE awkward_measurement ATTACH PARTITION awkward_measurement_2030 "
        "FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')"
    )
    (mode,) = run(
        "SELECT tgenabled FROM pg_trigger WHERE tgname = %s "
        "AND tgrelid = 'awkward_measurement_2030'::regclass",
        WITNESS,
    )
    assert mode == ("A",)


@pytest.mark.usefixtures("watched")
def test_the_owner_of_everything_but_the_event_trigger_cannot_get_rid_of_it() -> None:
    owner = make_role("owner")
    database = run("SELECT current_database()")[0][0]
    run("ALTER DATABASE {database} OWNER TO {owner}", database=database, owner=owner)
    try:
        for statement in (
            "DROP FUNCTION trigger_ops_ddl_guard.watch() CASCADE",
            "DROP SCHEMA trigger_ops_ddl_guard CASCADE",
            "ALTER EVENT TRIGGER trigger_ops_ddl_guard DISABLE",
            "DROP EVENT TRIGGER trigger_ops_ddl_guard",
        ):
            with (
                pytest.raises(DatabaseError, match=r"must be owner|permission denied"),
                transaction.atomic(),
            ):
                run(f"SET LOCAL ROLE {{owner}}; {statement}", owner=owner)
        assert ddl.fault("default", "public") == ""
    finally:
        run("ALTER DATABASE {database} OWNER TO CURRENT_USER", database=database)
        run("DROP ROLE {owner}", owner=owner)


@pytest.fixture
def ordinary(own_database: BaseDatabaseWrapper) -> Iterator[str]:
    """Let `default` work as a role that is no superuser."""
    role = make_role("ordinary")
    run("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    run("SET ROLE {role}", role=role)
    yield role
    run("RESET ROLE")
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)


def test_without_a_superuser_it_is_refused_with_a_sentence(ordinary: str) -> None:
    with pytest.raises(Refused, match=f'role "{ordinary}" on "default" is none'):
        switch_on()
    assert run("SELECT 1 FROM pg_event_trigger") == []


# On and off ---------------------------------------------------------------------------------------


def objects() -> list[Any]:
    return [
        *run("SELECT evtname FROM pg_event_trigger ORDER BY 1"),
        *run("SELECT nspname FROM pg_namespace WHERE nspname = %s", ddl.SCHEMA),
    ]


@pytest.mark.usefixtures("own_database")
def test_switched_on_twice_and_off_it_leaves_nothing_but_entries() -> None:
    put_gate()
    before = objects()
    for _ in range(2):
        switch_on()
        assert ddl.fault("default", "public") == ""
        assert run("SELECT ddl FROM trigger_ops_guard") == [(True,)]
    assert objects() == [*((name,) for name in sorted(ddl.EVENTS)), (ddl.SCHEMA,)]
    switch_off()
    assert objects() == before == []
    assert run("SELECT ddl FROM trigger_ops_guard") == [(False,)]
    kinds = run("SELECT kind, count(*) FROM trigger_ops_ledgerentry GROUP BY 1 ORDER BY 1")
    assert [kind for kind, _ in kinds] == ["finished", "started", "statement"]
    assert kinds[0][1] == kinds[1][1] == 3


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP EVENT TRIGGER trigger_ops_ddl_guard", "trigger_ops_ddl_guard is missing"),
        ("DROP EVENT TRIGGER trigger_ops_drop_guard", "trigger_ops_drop_guard is missing"),
        ("ALTER EVENT TRIGGER trigger_ops_ddl_guard DISABLE", "is not ENABLE ALWAYS"),
        ("ALTER EVENT TRIGGER trigger_ops_drop_guard ENABLE", "is not ENABLE ALWAYS"),
        (
            (
                "CREATE OR REPLACE FUNCTION trigger_ops_ddl_guard.watch() RETURNS event_trigger "
                "LANGUAGE plpgsql AS 'BEGIN END'"
            ),
            "has another function trigger_ops_ddl_guard.watch",
        ),
        (
            (
                "CREATE OR REPLACE FUNCTION trigger_ops_ddl_guard.gate_body() RETURNS text "
                "LANGUAGE sql IMMUTABLE AS 'SELECT NULL'"
            ),
            "has another function trigger_ops_ddl_guard.gate_body",
        ),
        (
            (
                "DROP EVENT TRIGGER trigger_ops_drop_guard; CREATE EVENT TRIGGER "
                "trigger_ops_drop_guard ON sql_drop WHEN TAG IN ('DROP VIEW') EXECUTE FUNCTION "
                "trigger_ops_ddl_guard.watch_drops(); "
                "ALTER EVENT TRIGGER trigger_ops_drop_guard ENABLE ALWAYS"
            ),
            "is for something else",
        ),
        # As after a restore of a dump that has OIDs, or has left out what it knows.
        (
            "UPDATE trigger_ops_ddl_guard.known_tables SET relation = relation::oid::bigint + 1000000",
            "does not know public.trigger_ops_",
        ),
        (
            "DELETE FROM trigger_ops_ddl_guard.known_tables WHERE relation = 'trigger_ops_change'::regclass",
            "does not know public.trigger_ops_change",
        ),
        (
            (
                "UPDATE trigger_ops_ddl_guard.known_tables SET owner = 'of another server' "
                "WHERE relation = 'trigger_ops_change'::regclass"
            ),
            "does not know public.trigger_ops_change",
        ),
        (
            f"DELETE FROM trigger_ops_ddl_guard.known WHERE name = '{WITNESS}_truncate'",
            f"does not know {WITNESS}_truncate on public.past_receipt",
        ),
    ],
)
@pytest.mark.usefixtures("watched")
def test_what_was_done_to_it_is_said_and_mended(statement: str, says: str) -> None:
    run(statement)
    assert says in ddl.fault("default", "public")
    switch_on()
    assert ddl.fault("default", "public") == ""


@pytest.mark.usefixtures("watched")
def test_what_an_older_version_remembered_by_oid_has_names_after_an_install() -> None:
    for name in ddl.EVENTS:
        run("DROP EVENT TRIGGER {name}", name=name)
    run(
        "DROP TABLE trigger_ops_ddl_guard.known, trigger_ops_ddl_guard.known_tables; "
        "CREATE TABLE trigger_ops_ddl_guard.known (relation oid, name name, is_clone boolean, "
        'enabled "char", definition text, does text, body text, dropped boolean, '
        "PRIMARY KEY (relation, name)); "
        "CREATE TABLE trigger_ops_ddl_guard.known_tables (relation oid PRIMARY KEY, owner oid, "
        "shape jsonb)"
    )
    switch_on()
    assert ddl.fault("default", "public") == ""
    assert run(
        "SELECT DISTINCT pg_typeof(k.relation)::text, pg_typeof(t.relation)::text, "
        "pg_typeof(t.owner)::text "
        "FROM trigger_ops_ddl_guard.known k, trigger_ops_ddl_guard.known_tables t"
    ) == [("regclass", "regclass", "name")]


@pytest.mark.usefixtures("watched")
def test_everybody_may_see_what_it_knows_and_nobody_writes_it() -> None:
    role = make_role("reader")
    rights = "SELECT" + "".join(
        f" has_table_privilege(%s, 'trigger_ops_ddl_guard.known_tables', '{right}'),"
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
    ).removesuffix(",")
    try:
        with transaction.atomic():
            run("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}, PUBLIC", role=role)
            switch_on()
            assert run(rights, *[role] * 6) == [(True, *[False] * 5)]
            run("SET LOCAL ROLE {role}", role=role)
            assert ddl.fault("default", "public") == ""
            run("RESET ROLE; REVOKE USAGE ON SCHEMA trigger_ops_ddl_guard FROM PUBLIC")
            run("SET LOCAL ROLE {role}", role=role)
            assert "does not let this role see" in ddl.fault("default", "public")
            transaction.set_rollback(True)
    finally:
        run("DROP ROLE {role}", role=role)


def test_django_makes_and_drops_tables_under_it(watched: BaseDatabaseWrapper) -> None:
    with watched.schema_editor() as editor:
        editor.delete_model(Receipt)
        editor.create_model(Receipt)
    assert body() == gate_body()
