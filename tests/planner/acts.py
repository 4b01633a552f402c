"""Plans, carries out and takes back; and reads the catalogs without any of the code under test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pgtrigger
from django.db import connection, models, transaction

from tests.damage import run
from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.inspection import InspectedTrigger, Scope
from trigger_ops.planner import Plan, Request, Step
from trigger_ops.states import Facet, Hazard, Status, Verb

EVERYWHERE = Scope(glob="*")

ME = "user:ada"

State = dict[str, list[tuple[Any, ...]]]


def state() -> State:
    """Return every trigger and every function of the users' schemas, field by field.

    OIDs and xmin are left out: what is dropped and made again has others. So is the order of the
    columns of ``UPDATE OF``, which means nothing.
    """
    triggers = run(
        "SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text, t.tgtype, t.tgdeferrable, "
        "t.tginitdeferred, t.tgconstraint <> 0, t.tgoldtable, t.tgnewtable, "
        "encode(t.tgargs, 'escape'), (SELECT string_agg(a.attname, chr(10) ORDER BY a.attname) "
        "FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)), "
        "t.tgfoid::regprocedure::text, "
        "regexp_replace(pg_get_triggerdef(t.oid), 'UPDATE OF .*? ON ', 'UPDATE OF … ON '), "
        "obj_description(t.oid, 'pg_trigger'), "
        "(SELECT p.tgrelid::regclass::text FROM pg_trigger p WHERE p.oid = t.tgparentid) "
        "FROM pg_trigger t LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint "
        "WHERE k.oid IS NULL OR k.contype = 't' ORDER BY 1, 2"
    )
    functions = run(
        "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), "
        "pg_get_userbyid(p.proowner)::text, p.proacl::text "
        "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind = 'f' "
        "ORDER BY 1"
    )
    return {"triggers": triggers, "functions": functions}


def assert_same(now: State, before: State) -> None:
    """Demand that two states are the same; a failure shows the rows that are not."""
    for kind, rows in before.items():
        new, gone = set(now[kind]) - set(rows), set(rows) - set(now[kind])
        assert not new | gone, (
            f"{len(new)} new, such as {sorted(new)[:1]}; {sorted(gone)[:1]} gone"
        )


def make(verb: Verb, *selectors: str, **asked: Any) -> Plan:
    """Plan a verb on the default database, as a person called Ada."""
    request = Request(verb=verb, databases=("default",), selectors=selectors, actor=ME, **asked)
    return api.plan(request)


def carry_out(plan: Plan, *allowed: Hazard) -> RunReport:
    """Carry a plan out, and demand that nothing failed."""
    report = api.apply(plan, actor=ME, reason="a test", allowed=allowed)
    assert (report.stopped, [(one.step.uri, one.reason) for one in report.failed]) == ("", [])
    return report


def install(*selectors: str, **asked: Any) -> Plan:
    """Install, and demand that the plan after it is empty; return the plan that was needed."""
    plan = make(Verb.INSTALL, *selectors, **asked)
    carry_out(plan, *Hazard)
    again = make(Verb.INSTALL, *selectors, **asked)
    assert [(step.uri, step.reason) for step in again.work] == []
    return plan


def the_step(plan: Plan, uri: str) -> Step:
    """Return the one step of a plan about a trigger."""
    (step,) = [one for one in plan.steps if one.uri == uri]
    return step


def lines(step: Step) -> list[tuple[str, str]]:
    """Return a step's statements as (first words, lock), for tables of what is expected."""
    return [(shape(one.sql), one.lock.value) for one in step.statements]


def shape(statement: str) -> str:
    """Return what a statement does, without its names: its words in capitals up to the first name."""
    return statement.partition(' "')[0]


def execute(statements: Iterable[str]) -> None:
    """Send SQL as it is, as psql would."""
    with connection.cursor() as cursor:
        for one in statements:
            cursor.execute(one)


def by_hand(plan: Plan) -> None:
    """Send the statements of a plan, as somebody does who was handed its dry run."""
    execute(statement.sql for _, statement in plan.statements)


def take_back(plan: Plan) -> None:
    """Send what takes a plan's statements back, the last first."""
    execute(statement.undo for _, statement in reversed(plan.statements) if statement.undo)


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Roll back at the end what is done inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def inspected(uri: str) -> InspectedTrigger:
    """Return one trigger as it is now."""
    (one,) = api.inspect(uri)
    return one


def assert_installed(*selectors: str) -> None:
    """Demand that all selected triggers are what the code says, whatever mode they are in."""
    others = [
        (one.uri, one.status, one.facets, one.reason)
        for one in api.inspect(*selectors)
        if one.registered is not None
        and (one.status is not Status.INSTALLED or set(one.facets) - {Facet.ENABLED})
        and one.status is not Status.UNALLOWED
    ]
    assert others == []


def assert_round_trip(*selectors: str, **asked: Any) -> Plan:
    """Demand what every install must keep, from the present state; return its plan.

    Its SQL by hand and its application leave the same; after it everything is installed and a
    second plan is empty; and what takes it back brings the present state back, field by field.
    """
    before = state()
    plan = make(Verb.INSTALL, *selectors, **asked)
    assert plan.work, "nothing is damaged"
    with undone():
        by_hand(plan)
        with_psql = state()
        take_back(plan)
        assert_same(state(), before)
    carry_out(plan, *Hazard)
    after = state()
    assert_same(after, with_psql)
    assert_installed(*selectors)
    assert [(one.uri, one.reason) for one in make(Verb.INSTALL, *selectors, **asked).work] == []
    take_back(plan)
    assert_same(state(), before)
    execute(one.sql for _, one in plan.statements)
    assert_same(state(), after)
    return plan


@contextlib.contextmanager
def registered(trigger: pgtrigger.Trigger, model: type[models.Model]) -> Iterator[str]:
    """Declare one trigger more; yield its URI."""
    trigger.register(model)
    try:
        yield str(trigger.get_uri(model))
    finally:
        trigger.unregister(model)


Damage = Callable[[str, InspectedTrigger], None]
"""Does something to one live trigger; the first argument is its URI."""
