"""What an inspection costs: statements, temporary objects, plans and locks. Nothing is timed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql
from django.test.utils import CaptureQueriesContext

from trigger_ops import api, ledger
from trigger_ops.catalog import conditions, migrations
from trigger_ops.catalog.conditions import StandIn, spell
from trigger_ops.catalog.reading import pin_settings
from trigger_ops.inspection import Scope
from trigger_ops.models import CanonicalForm
from trigger_ops.planner import Plan, Request
from trigger_ops.registry import project_tables, registered_triggers
from trigger_ops.sql import load
from trigger_ops.states import Verb

GROWING = {
    *("pg_trigger", "pg_proc", "pg_class", "pg_namespace", "pg_attribute"),
    *("pg_constraint", "pg_depend", "pg_description"),
}
"""Catalogs that have a row, or several, for each trigger, table or tenant."""
TIMEOUTS = {"statement_timeout": "30000", "lock_timeout": "2000"}


@pytest.fixture(autouse=True)
def _nothing_kept_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.inspecting, "_minted", {})


@pytest.fixture
def nothing_remembered(db: None) -> None:
    CanonicalForm.objects.all().delete()


@pytest.fixture
def all_remembered(nothing_remembered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    api.check(databases=["default"], record=True)
    monkeypatch.setattr(api.inspecting, "_minted", {})


@pytest.fixture
def made_relations(db: None) -> Callable[[], int]:
    """Count what this transaction put into pg_class and pg_trigger, rolled back or not."""

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(n_tup_ins), 0)::int FROM pg_stat_xact_sys_tables "
                "WHERE relid IN ('pg_class'::regclass, 'pg_trigger'::regclass)"
            )
            made: int = cursor.fetchone()[0]
            return made

    return count


def statements(inspect: Callable[[], object], *, having: str = "") -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        inspect()
    return [query["sql"] for query in captured if having in query["sql"]]


@pytest.mark.usefixtures("all_remembered")
def test_all_triggers_are_read_by_one_query_and_more_triggers_by_no_more_statements() -> None:
    uri = registered_triggers()[0].uri
    one = statements(lambda: api.survey(uri))
    every = statements(api.survey)
    assert len(every) == len(one)
    assert len([text for text in every if "FROM pg_trigger" in text]) == 1


READ_ALWAYS = ["pin_settings", "triggers"]


@pytest.mark.usefixtures("all_remembered")
@pytest.mark.parametrize(
    ("inspect", "expected"),
    [
        (lambda: planned(Verb.INSTALL), [*READ_ALWAYS, "changeable"]),
        (lambda: planned(Verb.PRUNE), [*READ_ALWAYS, "changeable"]),
        (lambda: planned(Verb.UNINSTALL), READ_ALWAYS),
        (lambda: planned(Verb.DISABLE), READ_ALWAYS),
        (lambda: planned(Verb.ENABLE), READ_ALWAYS),
        (api.survey, [*READ_ALWAYS, "pin_settings", "migration_tables"]),
        (
            lambda: api.check(databases=["default"]),
            [
                *(*READ_ALWAYS, "changeable", "surroundings", "session_defaults"),
                *("pin_settings", "migration_tables"),
            ],
        ),
    ],
    ids=["install", "prune", "uninstall", "disable", "enable", "ls", "check"],
)
def test_no_more_of_the_catalogs_is_read_than_is_needed(
    inspect: Callable[[], object], expected: list[str]
) -> None:
    headers = {name: text.splitlines()[0] for name, text in load("catalog").items()}
    texts = statements(inspect)
    assert [name for text in texts for name in headers if headers[name] in text] == expected


@pytest.mark.usefixtures("all_remembered")
def test_an_install_of_all_or_of_one_that_has_nothing_to_do_asks_seven_questions() -> None:
    """Each is a round trip, and so is what begins and ends the two readings they belong to."""
    uri = registered_triggers()[0].uri
    for plan in (lambda: planned(Verb.INSTALL), lambda: planned(Verb.INSTALL, uri)):
        texts = statements(plan)
        around = [text for text in texts if '"trigger_ops_reading"' in text]
        assert (len(around), len(texts) - len(around)) == (6, 7)


def planned(verb: Verb, *selectors: str) -> Plan:
    """Plan on a database where nothing differs from the code."""
    plan = api.plan(Request(verb=verb, databases=("default",), selectors=selectors))
    if verb is Verb.INSTALL:
        assert not [step for step in plan.steps if step.statements]
    return plan


@pytest.mark.usefixtures("all_remembered")
def test_a_check_after_recording_creates_no_temporary_object(
    made_relations: Callable[[], int],
) -> None:
    before = made_relations()
    texts = statements(lambda: api.check(databases=["default"]), having="CREATE TEMP")
    assert texts == []
    assert made_relations() == before


@pytest.mark.usefixtures("nothing_remembered")
def test_a_check_of_unknown_conditions_is_seen_to_create_temporary_objects(
    made_relations: Callable[[], int],
) -> None:
    before = made_relations()
    assert statements(lambda: api.check(databases=["default"]), having="CREATE TEMPORARY TABLE")
    assert made_relations() > before


@pytest.mark.usefixtures("nothing_remembered")
def test_a_second_check_in_one_process_asks_for_no_condition_again() -> None:
    api.check(databases=["default"])
    assert statements(lambda: api.check(databases=["default"]), having="CREATE TEMP") == []


@pytest.mark.usefixtures("nothing_remembered")
def test_every_condition_that_can_be_had_is_recorded() -> None:
    report = api.check(databases=["default"], record=True)
    with_condition = [
        one for one in report.databases[0].triggers if one.condition and one.installed is not None
    ]
    remembered = set(ledger.remembered_conditions().values())
    assert with_condition
    assert {one.condition for one in with_condition} <= remembered


@pytest.mark.parametrize(("count", "messages"), [(1, 1), (400, 1), (401, 2)])
@pytest.mark.django_db
def test_stand_ins_are_created_in_one_message_a_batch(count: int, messages: int) -> None:
    assert conditions.BATCH == 400
    stand_ins = [
        StandIn(
            key=str(number),
            table_oid=_oid("auth_user"),
            parts=("", "BEFORE UPDATE", f"FOR EACH ROW WHEN (OLD.id > {number})"),
            path=("public",),
        )
        for number in range(count)
    ]
    created = statements(lambda: _spelled_all(stand_ins, count), having="CREATE TEMPORARY TABLE")
    assert len(created) == messages


def _spelled_all(stand_ins: list[StandIn], count: int) -> None:
    spelled = spell("default", stand_ins, statement_timeout=30_000, lock_timeout=2_000)
    assert spelled.failures == {}
    assert spelled.conditions == {str(n): f"((old.id > {n}))" for n in range(count)}


def _oid(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::regclass::oid", [table])
        oid: int = cursor.fetchone()[0]
        return oid


@pytest.fixture
def tenants(db: None) -> list[str]:
    """Schemas with a table that the code knows, and a record of applied migrations each."""
    names = [f"cost_{number}" for number in range(5)]
    table = next(one.table[1] for one in registered_triggers() if one.table[0] is None)
    make = sql.SQL(
        "CREATE SCHEMA {schema}; CREATE TABLE {copy} (LIKE {table});"
        "CREATE TABLE {record} (LIKE public.django_migrations);"
        "INSERT INTO {record} SELECT * FROM public.django_migrations"
    )
    with connection.cursor() as cursor:
        for name in names:
            statement = make.format(
                schema=sql.Identifier(name),
                copy=sql.Identifier(name, table),
                table=sql.Identifier(table),
                record=sql.Identifier(name, "django_migrations"),
            )
            cursor.execute(statement)
    return names


@pytest.mark.usefixtures("all_remembered", "tenants")
def test_more_schemas_take_no_more_statements() -> None:
    one = statements(lambda: api.survey(scope=Scope(glob="cost_0")))
    five = statements(lambda: api.survey(scope=Scope(glob="cost_*")))
    assert len(five) == len(one)


def test_records_of_many_schemas_are_not_all_locked_at_once(
    tenants: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "CHUNK", 2)
    locked: list[int] = []

    def watch(execute: Any, text: Any, params: Any, many: bool, context: Any) -> Any:
        result = execute(text, params, many, context)
        if "django_migrations" in str(text) and "cost_" in str(text):
            with connection.connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
                    "WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessShareLock' "
                    "AND c.relname = 'django_migrations' "
                    "AND c.relnamespace::regnamespace::text LIKE 'cost%'"
                )
                locked.append(cursor.fetchone()[0])
        return result

    watch.__module__ = migrations.__name__  # a reading goes past the wrappers of others
    with connection.execute_wrapper(watch):
        applied = migrations.read_applied(
            "default",
            lambda schema: schema in tenants,
            statement_timeout=30_000,
            lock_timeout=2_000,
        )
    assert sorted(applied) == tenants
    assert len({frozenset(record or ()) for record in applied.values()}) == 1
    assert locked == [2, 2, 1]


@pytest.mark.parametrize("query", ["triggers", "changeable", "surroundings"])
@pytest.mark.django_db
def test_no_catalog_is_read_again_for_every_row_of_another(query: str) -> None:
    """Without the pinned planner this fails on catalogs that nobody has analyzed."""
    tables = sorted({name for _, name in project_tables()})
    parameters: dict[str, Any] = {**TIMEOUTS, "tables": tables, "definitions": True}
    with connection.cursor() as cursor:
        pin_settings(cursor, parameters)
        cursor.execute(f"EXPLAIN (FORMAT JSON) {load('catalog')[query]}", parameters)
        found = cursor.fetchone()[0]
    plan = json.loads(found) if isinstance(found, str) else found
    nodes = list(_nodes(plan[0]["Plan"]))
    assert "Hash Join" in {node["Node Type"] for node in nodes}
    again = [node["Plans"][1] for node in nodes if node["Node Type"] == "Nested Loop"]
    read_again = {one.get("Relation Name") for part in again for one in _nodes(part)}
    assert read_again.isdisjoint(GROWING)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
