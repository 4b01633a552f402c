"""What a role may not do is said before anything is tried, with the statement that ends it."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from tests.damage import gut, make_role, pgid, run, within
from trigger_ops import api
from trigger_ops.api.changing import apply, plan
from trigger_ops.exceptions import Refused
from trigger_ops.inspection import Scope
from trigger_ops.ledger import tables as own_tables
from trigger_ops.models import LedgerEntry, TriggerLease
from trigger_ops.planner import Plan, Request
from trigger_ops.states import ExitCode, Hazard, Status, Verb

pytestmark = pytest.mark.django_db

INVOICE = "past.Invoice:protect_deletes"
OPEN_POSITION = "awkward.OpenOrderLine:delete_marks_done"
_ADVICE = re.compile(r"(?:ALTER|GRANT) [^;]*;")


@pytest.fixture
def deployer() -> str:
    """A role that may record what it does, and owns nothing."""
    role = make_role("deployer")
    allow_records(role)
    return role


def allow_records(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(own_tables.grant("public", role))


@contextlib.contextmanager
def acting_as(role: str) -> Iterator[None]:
    run("SET LOCAL ROLE {role}", role=role)
    try:
        yield
    finally:
        run("RESET ROLE")


def asked(verb: Verb, **changes: object) -> Request:
    return Request(verb=verb, databases=("default",), selectors=(INVOICE,), **changes)  # type: ignore[arg-type]  # a test gives what it changes by name


def planned(role: str, request: Request) -> Plan:
    with acting_as(role):
        return plan(request)


def advised(plan: Plan) -> list[str]:
    """Return the statements that the obstacles name, one a sentence: the first of each."""
    return [_ADVICE.findall(sentence)[0] for sentence in plan.obstacles]


def alternatives(plan: Plan) -> list[str]:
    """Return the statements that the obstacles name, one a sentence: the last of each."""
    return [_ADVICE.findall(sentence)[-1] for sentence in plan.obstacles]


def follow(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def dropped() -> None:
    run("DROP TRIGGER {name} ON past_invoice", name=pgid(INVOICE))


SITUATIONS: dict[str, tuple[Verb, Callable[[], object]]] = {
    "disable": (Verb.DISABLE, lambda: None),
    "enable": (Verb.ENABLE, lambda: run("ALTER TABLE past_invoice DISABLE TRIGGER ALL")),
    "uninstall": (Verb.UNINSTALL, lambda: None),
    "install what is missing": (Verb.INSTALL, dropped),
    "install another body": (Verb.INSTALL, lambda: gut(pgid(INVOICE))),
    "restamp": (
        Verb.INSTALL,
        lambda: run("COMMENT ON TRIGGER {t} ON past_invoice IS NULL", t=pgid(INVOICE)),
    ),
}


@pytest.mark.parametrize("choose", [advised, alternatives], ids=["the first", "the last"])
@pytest.mark.parametrize(("verb", "weaken"), SITUATIONS.values(), ids=SITUATIONS)
def test_d9_the_statement_that_is_advised_lets_the_next_run_succeed(
    verb: Verb,
    weaken: Callable[[], object],
    choose: Callable[[Plan], list[str]],
    deployer: str,
) -> None:
    weaken()
    entries = LedgerEntry.objects.count()
    first = planned(deployer, asked(verb))
    assert first.exit_code == 4
    assert f'Role "{deployer}" does not own table "public"."past_invoice"' in first.obstacles[0]
    with acting_as(deployer), pytest.raises(Refused, match=deployer):
        apply(first, actor="os:test")
    assert LedgerEntry.objects.count() == entries
    follow(choose(first))
    while (again := planned(deployer, asked(verb))).obstacles:
        assert again.obstacles != first.obstacles
        first = again
        follow(choose(first))
    with acting_as(deployer):
        report = apply(again, actor="os:test")
    assert (report.exit_code, [one.reason for one in report.failed]) == (0, [])
    assert len(report.changed) == 1


def test_d9_no_right_to_create_in_the_schema_is_said_with_the_grant(deployer: str) -> None:
    run("CREATE SCHEMA {schema}", schema='Odd "schema"')
    table = within('Odd "schema"', "past_invoice")
    run("CREATE TABLE {table} (LIKE public.past_invoice)", table=table)
    run("ALTER TABLE {table} OWNER TO {role}", table=table, role=deployer)
    run("GRANT USAGE ON SCHEMA {schema} TO {role}", schema='Odd "schema"', role=deployer)
    request = asked(Verb.INSTALL, scope=Scope(path=('Odd "schema"', "public")))
    first = planned(deployer, request)
    (sentence,) = first.obstacles
    assert f'Role "{deployer}" may not create functions in schema "Odd "schema""' in sentence
    assert f'GRANT CREATE ON SCHEMA "Odd ""schema""" TO "{deployer}";' in sentence
    follow(advised(first))
    with acting_as(deployer):
        report = apply(plan(request), actor="os:test")
    assert (report.exit_code, len(report.changed)) == (0, 1)


def test_d9_a_function_of_another_role_is_named_with_its_owner(deployer: str) -> None:
    other = make_role("somebody")
    run("ALTER TABLE past_invoice OWNER TO {role}", role=deployer)
    run("GRANT CREATE ON SCHEMA public TO {role}", role=deployer)
    gut(pgid(INVOICE))
    run("ALTER FUNCTION {function}() OWNER TO {role}", function=pgid(INVOICE), role=other)
    first = planned(deployer, asked(Verb.INSTALL))
    (sentence,) = first.obstacles
    assert f'belongs to "{other}", and role "{deployer}" may not replace it' in sentence
    follow(advised(first))
    with acting_as(deployer):
        report = apply(plan(asked(Verb.INSTALL)), actor="os:test")
    assert report.exit_code == 0
    assert api.inspect(INVOICE)[0].status is Status.INSTALLED


def test_d9_the_ignore_function_of_another_role_is_no_obstacle_while_it_is_right(
    deployer: str,
) -> None:
    """Stock replaces it with each trigger: must be owner of function."""
    other = make_role("somebody")
    run("ALTER FUNCTION _pgtrigger_should_ignore(name) OWNER TO {role}", role=other)
    run("ALTER TABLE past_invoice OWNER TO {role}", role=deployer)
    run("GRANT CREATE ON SCHEMA public TO {role}", role=deployer)
    dropped()
    run("DROP FUNCTION {function}()", function=pgid(INVOICE))
    assert planned(deployer, asked(Verb.INSTALL)).obstacles == ()
    run(
        "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
        "LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$"
    )
    first = planned(deployer, asked(Verb.INSTALL))
    (sentence,) = first.obstacles
    assert '"public"."_pgtrigger_should_ignore"(name) belongs to' in sentence
    follow(advised(first))
    assert planned(deployer, asked(Verb.INSTALL)).obstacles == ()


def test_a_role_that_may_not_use_our_tables_is_told_the_grant() -> None:
    role = make_role("stranger")
    with pytest.raises(Refused) as caught:
        planned(role, asked(Verb.DISABLE))
    assert f'Role "{role}" may not use the tables of trigger_ops' in str(caught.value)
    follow(_ADVICE.findall(str(caught.value)))
    assert planned(role, asked(Verb.INSTALL)).obstacles == ()
    assert granted_to(role) == GUIDE


GUIDE = {
    "trigger_ops_ledgerentry": {"INSERT"},
    "trigger_ops_runlease": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "trigger_ops_triggerlease": {"SELECT", "INSERT", "UPDATE"},
}
"""What the operator's guide says that a role needs."""


def granted_to(role: str) -> dict[str, set[str]]:
    rows = run(
        "SELECT table_name::text, array_agg(privilege_type::text) "
        "FROM information_schema.role_table_grants WHERE grantee = %s GROUP BY 1",
        role,
    )
    return {table: set(rights) for table, rights in rows}


def test_what_is_advised_is_enough_to_disable_on_a_lease_and_to_end_that() -> None:
    role = make_role("operator")
    with pytest.raises(Refused) as caught:
        planned(role, asked(Verb.DISABLE))
    follow(_ADVICE.findall(str(caught.value)))
    run("ALTER TABLE past_invoice OWNER TO {role}", role=role)
    lasts = dt.timedelta(minutes=5)
    for request in (asked(Verb.DISABLE, lasts=lasts, actor="os:ann@web1"), asked(Verb.ENABLE)):
        with acting_as(role):
            report = apply(
                plan(request),
                actor="os:ann@web1",
                reason="counted twice in March",
                allowed=frozenset(Hazard),
            )
        assert report.exit_code is ExitCode.CLEAN
    assert TriggerLease.objects.get().ended is not None


def test_a_plan_that_does_nothing_needs_no_right(deployer: str) -> None:
    found = planned(deployer, asked(Verb.INSTALL))
    assert (found.obstacles, found.work, found.exit_code) == ((), (), 0)


def test_a_role_with_a_hostile_name_is_written_as_one() -> None:
    role = make_role('odd"name; --')
    allow_records(role)
    first = planned(role, asked(Verb.DISABLE))
    (sentence,) = first.obstacles
    quoted = role.replace('"', '""')
    assert f'ALTER TABLE "public"."past_invoice" OWNER TO "{quoted}";' in sentence


def test_a_server_that_starts_transactions_read_only_is_refused() -> None:
    run("SET LOCAL default_transaction_read_only = on")
    found = plan(asked(Verb.DISABLE))
    assert found.exit_code == 4
    (sentence,) = found.obstacles
    assert sentence == (
        'The server of "default" starts transactions READ ONLY: run this against the primary, '
        "as a role that may write."
    )
    assert plan(asked(Verb.INSTALL)).obstacles == ()
