"""The guard where databases are less tidy: other schemas, overloads, other projects, two runs at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pgtrigger
import pytest
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import isolate_apps

from demo_site.awkward.models import Measurement
from tests.damage import make_role, pgid, run, within
from tests.planner import acts
from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.exceptions import Refused
from trigger_ops.inspection import Scope
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.rendering.guard import CAVEAT
from trigger_ops.states import ExitCode, Result, Verb

INSTALL, REMOVE = Verb.GUARD_INSTALL, Verb.GUARD_REMOVE
HOSTILE = 'odd"name; --'
IGNORE = "_pgtrigger_should_ignore"
RECEIPT = "past.Receipt:append_only"

Connect = Callable[..., BaseDatabaseWrapper]

EMPTIED = (
    "CREATE OR REPLACE FUNCTION trigger_ops_witness_row() RETURNS trigger LANGUAGE plpgsql "
    "SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'"
)


def work(verb: Verb = INSTALL) -> dict[str, str]:
    return {step.uri: step.reason for step in acts.make(verb).work}


def put_on(*, strict: bool = False) -> RunReport:
    """Install the guard, and demand that nothing is left to do."""
    report = api.apply(acts.make(INSTALL), actor=acts.ME, strict=strict)
    assert (report.stopped, [(one.step.uri, one.reason) for one in report.failed]) == ("", [])
    assert work() == {}
    return report


def findings(*ids: str) -> list[str]:
    report = api.check(databases=["default"])
    return [one.message for one in report.findings if one.id.removeprefix("trigger_ops.") in ids]


def open_session() -> int:
    asked = {
        "uris": [RECEIPT],
        "triggers": [pgid(RECEIPT)],
        "reason": "a wrong number",
        "surface": "open",
        "opener": "os:ann@web1",
        "needs": 0,
        "lasts": "15 minutes",
        "idle": "10 minutes",
        "longest": "4 hours",
        "waits": "1 hour",
        "most_rows": 10,
        "most_extensions": 2,
    }
    return int(run("SELECT trigger_ops_open(%s::jsonb)", json.dumps(asked))[0][0])


def move_our_tables(schema: str) -> None:
    """Have `migrate` made our tables and functions in another schema, behind the first."""
    run("CREATE SCHEMA {schema}", schema=schema)
    tables = run(
        "SELECT relname FROM pg_class WHERE relname LIKE 'trigger\\_ops\\_%%' AND relkind = 'r'"
    )
    for (table,) in tables:
        run("ALTER TABLE {table} SET SCHEMA {schema}", table=table, schema=schema)
    functions = run(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'trigger\\_ops\\_%%'"
    )
    for (function,) in functions:
        run(f"ALTER FUNCTION {function} SET SCHEMA {{schema}}", schema=schema)
    name = connections["default"].settings_dict["NAME"]
    run("ALTER DATABASE {name} SET search_path = public, {schema}", name=name, schema=schema)
    connections["default"].close()


def copy_of_receipts(schema: str, *, call: str) -> None:
    """Make a second table of a model, with a trigger that asks another ignore function."""
    names = {name: within(schema, name) for name in ("past_receipt", IGNORE, pgid(RECEIPT))}
    run("CREATE TABLE {table} (LIKE past_receipt INCLUDING ALL)", table=names["past_receipt"])
    run(
        "CREATE FUNCTION {function}(trigger_name name) RETURNS boolean LANGUAGE plpgsql AS %s",
        stock_ignore_body(),
        function=names[IGNORE],
    )
    body = str(run("SELECT prosrc FROM pg_proc WHERE proname = %s", pgid(RECEIPT))[0][0])
    run(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS %s",
        re.sub(rf'"?public"?\.{IGNORE}', lambda _: f"{call}{IGNORE}", body),
        function=names[pgid(RECEIPT)],
    )
    run(
        "CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        trigger=pgid(RECEIPT),
        table=names["past_receipt"],
        function=names[pgid(RECEIPT)],
    )


# Where our tables are, and whose function is called -----------------------------------------------


def test_a_removal_leaves_the_database_byte_for_byte_as_before(
    own_database: BaseDatabaseWrapper,
) -> None:
    before = acts.state()
    put_on(strict=True)
    report = api.apply(acts.make(REMOVE), actor=acts.ME, strict=True)
    assert (report.exit_code, report.failed) == (ExitCode.CLEAN, ())
    acts.assert_same(acts.state(), before)


def test_our_tables_may_be_in_another_schema_with_a_hostile_name(
    own_database: BaseDatabaseWrapper,
) -> None:
    move_our_tables(HOSTILE)
    before = acts.state()
    put_on()
    assert run("SELECT has_schema_privilege('public', %s, 'USAGE')", HOSTILE) == [(True,)]
    assert findings("C002", "C006", "W006", "W012", "I002") == []
    run("INSERT INTO past_receipt (id, number) VALUES (1, 'R-1')")
    run("SELECT set_config('pgtrigger.ignore', %s, false)", f"{{{pgid(RECEIPT)}}}")
    run("DELETE FROM past_receipt")
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    assert run(
        'SELECT "table", op, cause FROM {change}', change=within(HOSTILE, "trigger_ops_change")
    ) == [("past_receipt", "DELETE", "ignore")]
    acts.carry_out(acts.make(REMOVE))
    now = acts.state()
    assert now["triggers"] == before["triggers"]
    assert [row[:2] for row in now["functions"] if IGNORE in row[0]] == [
        row[:2] for row in before["functions"] if IGNORE in row[0]
    ]


def test_every_ignore_function_that_is_called_becomes_the_gate(
    own_database: BaseDatabaseWrapper,
) -> None:
    """As PGTRIGGER_SCHEMA = None has it: each schema has a function of its own."""
    run("CREATE SCHEMA {schema}", schema=HOSTILE)
    copy_of_receipts(HOSTILE, call='"odd""name; --".')
    before = acts.state()
    gates = [step.uri for step in acts.make(INSTALL).work if step.trigger == IGNORE]
    assert gates == [f"{HOSTILE}.{IGNORE}", f"public.{IGNORE}"]
    put_on()
    bodies = run("SELECT DISTINCT prosrc FROM pg_proc WHERE proname = %s", IGNORE)
    assert len(bodies) == 1
    acts.carry_out(acts.make(REMOVE))
    acts.assert_same(acts.state(), before)


def test_an_ignore_function_that_only_others_call_is_left_alone_and_still_watched(
    guarded: BaseDatabaseWrapper,
) -> None:
    run("CREATE SCHEMA theirs")
    run("CREATE TABLE theirs.thing (id int)")
    run(
        "CREATE FUNCTION theirs._pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
        "LANGUAGE plpgsql AS %s",
        stock_ignore_body(),
    )
    run(
        "CREATE FUNCTION theirs.pgtrigger_keep_abcde() RETURNS trigger LANGUAGE plpgsql AS %s",
        f"BEGIN IF (theirs.{IGNORE}(TG_NAME) IS TRUE) THEN RETURN NEW; END IF; RETURN NULL; END",
    )
    run(
        "CREATE TRIGGER pgtrigger_keep_abcde BEFORE UPDATE ON theirs.thing FOR EACH ROW "
        "EXECUTE FUNCTION theirs.pgtrigger_keep_abcde()"
    )
    assert work() == {}
    assert findings("C002", "C006") == []
    assert "theirs" not in {one.schema for one in api.guard_status("default").gates}
    run(
        "CREATE OR REPLACE FUNCTION theirs._pgtrigger_should_ignore(trigger_name name) "
        "RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    )
    assert findings("C006") == []
    (told,) = findings("C002")
    assert "theirs._pgtrigger_should_ignore is not pgtrigger's: its body was changed" in told


def test_a_scope_does_not_take_the_witnesses_of_other_schemas_away(
    guarded: BaseDatabaseWrapper,
) -> None:
    run("CREATE SCHEMA tenant")
    for scope in (Scope(path=("tenant",)), Scope(glob="tenant")):
        assert acts.make(INSTALL, scope=scope).work == ()


def test_status_tells_of_the_witnesses_of_every_schema(guarded: BaseDatabaseWrapper) -> None:
    run("CREATE SCHEMA tenant")
    copy_of_receipts("tenant", call="public.")
    put_on()
    tables = {one.schema: one for one in api.guard_status("default").tables}
    assert (tables["tenant"].table, tables["tenant"].faults) == ("past_receipt", ())
    table = within("tenant", "past_receipt")
    run("ALTER TABLE {table} DISABLE TRIGGER trigger_ops_witness", table=table)
    faulty = [one for one in api.guard_status("default").tables if one.faults]
    assert [(one.schema, one.faults) for one in faulty] == [
        ("tenant", ("trigger_ops_witness is not ENABLE ALWAYS",))
    ]


def test_a_session_holds_for_its_triggers_name_in_every_schema(
    guarded: BaseDatabaseWrapper,
) -> None:
    """The gate is told a name alone: what a tenant's trigger is called like stands aside too."""
    run("CREATE SCHEMA tenant")
    copy_of_receipts("tenant", call="public.")
    for schema in ("public", "tenant"):
        table = within(schema, "past_receipt")
        run("INSERT INTO {table} (id, number) VALUES (1, 'r')", table=table)
    session = open_session()
    run("BEGIN")
    run("SELECT trigger_ops_enter(%s)", str(session))
    run("UPDATE {table} SET number = 'x'", table=within("tenant", "past_receipt"))
    run("COMMIT")
    assert run("SELECT number FROM {table}", table=within("tenant", "past_receipt")) == [("x",)]
    (decision,) = run("SELECT trigger, session_id FROM trigger_ops_decision")
    assert decision == (pgid(RECEIPT), session)
    assert "every schema of the database" in CAVEAT


# Functions that are called like ours --------------------------------------------------------------


@pytest.mark.parametrize(
    "stranger",
    [
        "trigger_ops_gate(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "trigger_ops_allowance(int, int, int) RETURNS int8 LANGUAGE sql AS 'SELECT 1::int8'",
        "trigger_ops_open(text) RETURNS int8 LANGUAGE sql AS 'SELECT 1::int8'",
    ],
)
def test_a_function_of_our_name_with_other_arguments_is_not_taken_for_ours(
    guarded: BaseDatabaseWrapper, stranger: str
) -> None:
    run(f"CREATE FUNCTION {stranger}")
    assert work() == {}
    assert findings("C006") == []


@pytest.mark.parametrize(
    ("stranger", "setting"),
    [
        ("trigger_ops_exact(text) RETURNS text[]", "extra_float_digits"),
        ("trigger_ops_allowance(int8, int8, int) RETURNS int8", "application_name"),
        ("trigger_ops_allowance(int8, int) RETURNS int8", "application_name"),
        ("trigger_ops_gate(text) RETURNS boolean", "application_name"),
        ("trigger_ops_attribution(int8, int8) RETURNS record", "application_name"),
    ],
)
def test_a_function_of_our_name_is_never_run_with_the_rights_of_ours(
    guarded: BaseDatabaseWrapper, stranger: str, setting: str
) -> None:
    """Where others may create functions beside ours: "public" came so until PostgreSQL 14."""
    run(
        f"CREATE FUNCTION {stranger} LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''captured as %'', current_user; END'"
    )
    number = open_session()
    for prepared in ("", f"SELECT set_config('{setting}', '0', true);"):
        run(
            f"BEGIN; {prepared} SELECT trigger_ops_enter('{number}'); "
            "INSERT INTO past_receipt (id, number) VALUES (7, 'R-7'); DELETE FROM past_receipt; "
            "COMMIT"
        )
    assert run("SELECT count(*) FROM trigger_ops_change WHERE session_id = %s", number) == [(4,)]
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT trigger_ops_enter('{number}')")
        cursor.execute("TRUNCATE past_receipt")
        cursor.execute("COMMIT")
    assert run("SELECT count(*) FROM trigger_ops_change WHERE session_id = %s", number) == [(5,)]


# Partitions ---------------------------------------------------------------------------------------


def witnesses_of(table: str) -> list[str]:
    rows = run(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'A' "
        "AND tgname LIKE 'trigger\\_ops\\_witness%%' ORDER BY 1",
        table,
    )
    return [str(name) for (name,) in rows]


def test_partitions_that_come_and_go_are_followed(guarded: BaseDatabaseWrapper) -> None:
    run(
        "CREATE TABLE measured_late PARTITION OF awkward_measurement "
        "FOR VALUES FROM ('2099-01-01') TO ('2100-01-01')"
    )
    assert work() == {"public.measured_late:trigger_ops_witness_truncate": "is missing"}
    put_on()
    assert witnesses_of("measured_late") == ["trigger_ops_witness", "trigger_ops_witness_truncate"]
    run("ALTER TABLE awkward_measurement DETACH PARTITION measured_late")
    put_on()
    assert witnesses_of("measured_late") == []


@pytest.mark.parametrize(("level", "whole"), [(pgtrigger.Row, False), (pgtrigger.Statement, True)])
@isolate_apps("demo_site.awkward")
def test_a_partition_with_a_trigger_of_its_own_is_witnessed_once(
    own_database: BaseDatabaseWrapper, level: Any, whole: bool
) -> None:
    """Its row witness comes from above, and whether statements are witnessed holds for all."""

    class Measured2024(models.Model):
        class Meta:
            app_label = "awkward"
            db_table = "awkward_measurement_2024"

    extra = pgtrigger.Protect(name="of_its_own", operation=pgtrigger.Delete, level=level)
    with acts.registered(extra, Measured2024) as uri:
        acts.carry_out(acts.make(Verb.INSTALL, uri))
        before = acts.state()
        put_on()
        for table in ("awkward_measurement", "awkward_measurement_2024"):
            assert ("trigger_ops_witness_delete" in witnesses_of(table)) is whole
        for day in ("2024-02-01", "2024-03-01", "2025-02-01"):
            Measurement.objects.create(taken_on=day, sensor="roof", value=1)
        names = everything_on("awkward_measurement", "awkward_measurement_2024")
        run("SELECT set_config('pgtrigger.ignore', %s, false)", names)
        run("DELETE FROM awkward_measurement_2024")
        run("DELETE FROM awkward_measurement")
        run("SELECT set_config('pgtrigger.ignore', '', false)")
        assert run("SELECT count(*), count(DISTINCT old) FROM trigger_ops_change") == [(3, 3)]
        acts.carry_out(acts.make(REMOVE))
        acts.assert_same(acts.state(), before)


def everything_on(*tables: str) -> str:
    """Return the value of pgtrigger.ignore that names every trigger of some tables."""
    names = run(
        "SELECT DISTINCT tgname FROM pg_trigger WHERE tgrelid = ANY (%s::regclass[]) "
        "AND tgname LIKE 'pgtrigger%%'",
        list(tables),
    )
    return "{" + ",".join(name for (name,) in names) + "}"


# What changes between a plan and its application --------------------------------------------------


def test_a_function_and_a_witness_that_executes_it_are_repaired_by_one_plan(
    guarded: BaseDatabaseWrapper,
) -> None:
    """The first repair gives the function a new version, which is no change of somebody else's."""
    run(EMPTIED)
    run("ALTER TABLE past_receipt ENABLE TRIGGER ALL")
    run("ALTER TABLE awkward_measurement_2025 ENABLE TRIGGER ALL")
    assert len(put_on(strict=True).changed) > 3


def test_a_table_that_was_repaired_meanwhile_is_left_alone(guarded: BaseDatabaseWrapper) -> None:
    for table in ("past_receipt", "past_invoice"):
        run("ALTER TABLE {table} DISABLE TRIGGER trigger_ops_witness", table=table)
    plan = acts.make(INSTALL)
    run("ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER trigger_ops_witness")
    report = acts.carry_out(plan)
    assert [one.step.uri for one in report.changed] == ["public.past_invoice:trigger_ops_witness"]
    assert work() == {}


def test_a_function_that_came_meanwhile_stops_a_confirmed_plan_and_else_is_replaced(
    own_database: BaseDatabaseWrapper,
) -> None:
    plan = acts.make(INSTALL)
    run(
        "CREATE FUNCTION trigger_ops_gate(trigger_name name) RETURNS boolean LANGUAGE sql "
        "AS 'SELECT true'"
    )
    before = acts.state()
    refused = api.apply(plan, actor=acts.ME, strict=True)
    assert (refused.exit_code, refused.changed) == (ExitCode.REFUSED, ())
    acts.assert_same(acts.state(), before)
    acts.carry_out(plan)
    assert work() == {}


def test_a_session_that_begins_after_the_plan_keeps_the_guard_in_place(
    guarded: BaseDatabaseWrapper,
) -> None:
    plan, before = acts.make(REMOVE), acts.state()
    number = open_session()
    with pytest.raises(Refused, match=f"Session {number} of os:ann@web1 is active"):
        api.apply(plan, actor=acts.ME)
    acts.assert_same(acts.state(), before)
    assert run("SELECT count(*) FROM trigger_ops_guard") == [(1,)]


def test_a_locked_table_is_waited_for_and_the_rest_is_done_by_the_next_run(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    run("DROP TRIGGER trigger_ops_witness ON past_receipt")
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE past_receipt IN ROW EXCLUSIVE MODE")
    plan = acts.make(INSTALL)
    report = api.apply(plan, actor=acts.ME, lock_budget=plan.request.lock_timeout)
    assert (report.exit_code, report.changed) == (ExitCode.BUSY, ())
    assert f"pid {other.connection.info.backend_pid}" in report.stopped
    other.rollback()
    put_on()


def test_the_gate_waits_for_all_witnesses(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    """A run that is cut short leaves the stock function, and nothing ignored unwitnessed."""
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE past_receipt IN ROW EXCLUSIVE MODE")
    plan = acts.make(INSTALL)
    report = api.apply(plan, actor=acts.ME, lock_budget=plan.request.lock_timeout)
    assert report.exit_code is ExitCode.PARTIAL
    assert run("SELECT DISTINCT prosrc FROM pg_proc WHERE proname = %s", IGNORE) == [
        (stock_ignore_body(),)
    ]
    assert run("SELECT count(*) FROM trigger_ops_guard") == [(0,)]
    other.rollback()
    put_on()


# Rights -------------------------------------------------------------------------------------------


def test_a_role_of_the_application_that_does_not_exist_is_said_before_anything_is_tried(
    own_database: BaseDatabaseWrapper, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"APP_ROLES": [HOSTILE]}
    plan, before = acts.make(INSTALL), acts.state()
    assert plan.exit_code is ExitCode.REFUSED
    with pytest.raises(Refused, match=r'CREATE ROLE "odd""name; --";'):
        api.apply(plan, actor=acts.ME)
    acts.assert_same(acts.state(), before)


def test_a_role_that_may_not_read_our_tables_still_installs_the_gate(
    guarded: BaseDatabaseWrapper,
) -> None:
    """Whoever owns the tables of the application need not own ours."""
    role = make_role("deployer")
    try:
        run("GRANT USAGE, CREATE ON SCHEMA public TO {role}", role=role)
        run("ALTER FUNCTION _pgtrigger_should_ignore(name) OWNER TO {role}", role=role)
        gate = run("SELECT prosrc FROM pg_proc WHERE proname = %s", IGNORE)
        run(
            "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) "
            "RETURNS boolean LANGUAGE plpgsql AS %s",
            stock_ignore_body(),
        )
        run("SET ROLE {role}", role=role)
        with pytest.raises(Refused, match=f'Role "{role}" may not read the tables of trigger_ops'):
            acts.make(INSTALL)
        plan = acts.make(Verb.INSTALL)
        (step,) = [one for one in plan.work if one.trigger == IGNORE]
        assert step.result is Result.REPLACED
        acts.execute(one.sql for one in step.statements)
        assert run("SELECT prosrc FROM pg_proc WHERE proname = %s", IGNORE) == gate
    finally:
        run("RESET ROLE")
        run("DROP OWNED BY {role}; DROP ROLE {role}", role=role)
