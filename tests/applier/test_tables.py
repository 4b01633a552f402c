"""What one table's transaction locks, leaves behind, and gives back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    POSTING,
    Connect,
    ask,
    at_work,
    backend,
    carry_out,
    drop,
    install,
    ledger,
    outcomes,
    statuses,
)
from tests.damage import gut, pgid, run
from tests.weaknesses.expectations import MEASUREMENT
from trigger_ops import api
from trigger_ops.planner import Request
from trigger_ops.states import Lock, Result, Verb

STRENGTH = [
    "",
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
]
MEASURED = {
    Lock.NONE: ("", "AccessShareLock"),
    Lock.SHARE_ROW_EXCLUSIVE: ("ShareRowExclusiveLock",),
    Lock.ACCESS_EXCLUSIVE: ("AccessExclusiveLock",),
}
LOCKS = (
    "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
    "WHERE l.pid = %s AND l.database = (SELECT oid FROM pg_database "
    "WHERE datname = current_database()) UNION ALL "
    "SELECT 'advisory', mode FROM pg_locks WHERE pid = %s AND locktype = 'advisory'"
)


@contextmanager
def watched(
    watched_one: BaseDatabaseWrapper, observer: BaseDatabaseWrapper
) -> Iterator[dict[str, str]]:
    """Look from outside, after each statement, at the locks held; keep the strongest of each."""
    strongest: dict[str, str] = {}
    pid = backend(watched_one)

    def look(execute: Callable[..., Any], *arguments: Any) -> Any:
        result = execute(*arguments)
        for name, mode in ask(observer, LOCKS, pid, pid):
            if STRENGTH.index(mode) > STRENGTH.index(strongest.get(name, "")):
                strongest[name] = mode
        return result

    with watched_one.execute_wrapper(look):
        yield strongest


def nothing() -> None:
    pass


def missing() -> None:
    drop(INVOICE, "past_invoice")


def body() -> None:
    gut(pgid(INVOICE))


def condition() -> None:
    run(
        "CREATE OR REPLACE TRIGGER {name} BEFORE DELETE ON past_invoice FOR EACH ROW "
        "WHEN (OLD.id > 5) EXECUTE FUNCTION {name}()",
        name=pgid(INVOICE),
    )


def comment() -> None:
    run("COMMENT ON TRIGGER {name} ON past_invoice IS 'old'", name=pgid(INVOICE))


def disabled() -> None:
    run("ALTER TABLE past_invoice DISABLE TRIGGER {name}", name=pgid(INVOICE))


def deferral() -> None:
    run("DROP TRIGGER {name} ON awkward_posting", name=pgid(POSTING))
    run(
        "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT OR UPDATE ON awkward_posting "
        "DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=pgid(POSTING),
    )


CASES = [
    pytest.param(Verb.INSTALL, INVOICE, nothing, Lock.NONE, id="nothing"),
    pytest.param(Verb.INSTALL, INVOICE, missing, Lock.SHARE_ROW_EXCLUSIVE, id="missing"),
    pytest.param(Verb.INSTALL, INVOICE, body, Lock.NONE, id="body"),
    pytest.param(Verb.INSTALL, INVOICE, condition, Lock.SHARE_ROW_EXCLUSIVE, id="condition"),
    pytest.param(Verb.INSTALL, INVOICE, comment, Lock.NONE, id="comment"),
    pytest.param(Verb.INSTALL, POSTING, deferral, Lock.ACCESS_EXCLUSIVE, id="constraint"),
    pytest.param(Verb.ENABLE, INVOICE, disabled, Lock.SHARE_ROW_EXCLUSIVE, id="enable"),
    pytest.param(Verb.DISABLE, INVOICE, nothing, Lock.SHARE_ROW_EXCLUSIVE, id="disable"),
    pytest.param(Verb.UNINSTALL, INVOICE, nothing, Lock.ACCESS_EXCLUSIVE, id="uninstall"),
]


@pytest.mark.parametrize(("verb", "uri", "damage", "lock"), CASES)
def test_the_strongest_lock_is_the_planned_one(
    own_database: BaseDatabaseWrapper,
    second_connection: Connect,
    verb: Verb,
    uri: str,
    damage: Callable[[], None],
    lock: Lock,
) -> None:
    damage()
    planned = api.plan(Request(verb=verb, databases=("default",), selectors=(uri,)))
    locks = [one.lock for _, one in planned.statements]
    assert max([Lock.NONE, *locks], key=list(Lock).index) is lock
    with watched(own_database, second_connection()) as held:
        report = api.apply(planned, actor="user:ada")
    table = "past_invoice" if uri == INVOICE else "awkward_posting"
    assert held.get(table, "") in MEASURED[lock]
    assert not report.failed
    assert bool(report.changed) is (damage is not nothing or verb is not Verb.INSTALL)
    assert (
        run("SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'")
        == []
    )
    assert run("SHOW lock_timeout") == [("0",)]


@pytest.mark.parametrize("damage", [nothing, body, comment])
def test_what_needs_no_lock_passes_an_open_reader_and_an_open_writer(
    own_database: BaseDatabaseWrapper, second_connection: Connect, damage: Callable[[], None]
) -> None:
    damage()
    reader, writer = second_connection(), second_connection()
    for one in (reader, writer):
        one.set_autocommit(False)
    ask(reader, "SELECT * FROM past_invoice")
    ask(writer, "INSERT INTO past_invoice (number, total) VALUES ('1', 1)")
    report = install(INVOICE, budget=dt.timedelta(milliseconds=1))
    assert (report.stopped, report.failed) == ("", ())
    assert statuses(INVOICE) == {INVOICE: "INSTALLED"}
    for one in (reader, writer):
        one.rollback()


def test_an_install_with_nothing_to_do_leaves_no_trace(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    api.remember_database("default")
    with watched(own_database, second_connection()) as held:
        report = install()
    assert report.changed == ()
    assert report.exit_code == 0
    carrying = {name for (name,) in run("SELECT DISTINCT tgrelid::regclass::name FROM pg_trigger")}
    carrying |= {name.replace('"', "").split(".")[-1] for name in carrying}
    assert {held[name] for name in carrying & held.keys()} <= {"AccessShareLock"}
    assert "advisory" not in held
    assert (ledger(), at_work()) == ([], 0)


def test_a_replaced_trigger_keeps_its_mode_on_every_partition(
    own_database: BaseDatabaseWrapper,
) -> None:
    name = pgid(MEASUREMENT)
    run("ALTER TABLE awkward_measurement DISABLE TRIGGER {name}", name=name)
    run("ALTER TABLE ONLY awkward_measurement ENABLE ALWAYS TRIGGER {name}", name=name)
    modes = (
        "SELECT tgrelid::regclass::text, tgenabled FROM pg_trigger WHERE tgname = %s ORDER BY 1"
    )
    before = run(modes, name)
    run("COMMENT ON TRIGGER {name} ON awkward_measurement IS NULL", name=name)
    run("ALTER FUNCTION {name}() SECURITY DEFINER", name=name)
    report = install(MEASUREMENT)
    assert outcomes(report) == {MEASUREMENT: Result.REPLACED}
    assert run(modes, name) == before


def test_each_statement_is_in_the_ledger_with_the_rows_of_its_run(
    own_database: BaseDatabaseWrapper,
) -> None:
    missing()
    report = install(INVOICE, PAYROLL)
    ours = run(
        "SELECT sql, undo, lock, actor, reason FROM trigger_ops_ledgerentry "
        "WHERE run = %s AND kind = 'statement' ORDER BY id",
        report.run,
    )
    planned = [one for result in report.results for one in result.step.statements]
    assert [tuple(row[:3]) for row in ours] == [(s.sql, s.undo, s.lock.value) for s in planned]
    assert {row[3:] for row in ours} == {("user:ada", "a test")}
    kinds = [kind for kind, _, _ in ledger()]
    assert kinds == ["started", *["statement"] * len(planned), "finished"]
    assert at_work() == 0


def meddler(act: str, tag: str) -> None:
    """Do something behind whoever executes a statement, as an event trigger can."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {act} END $$"
        )
        cursor.execute(
            f"CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('{tag}') "
            "EXECUTE FUNCTION meddle()"
        )


def test_a_trigger_that_an_event_trigger_drops_again_has_failed(
    own_database: BaseDatabaseWrapper,
) -> None:
    missing()
    meddler(f'DROP TRIGGER IF EXISTS "{pgid(INVOICE)}" ON past_invoice;', "COMMENT")
    report = install(INVOICE)
    assert outcomes(report) == {INVOICE: Result.FAILED}
    assert "not there after the change" in report.failed[0].reason
    assert report.exit_code == 4
    assert [kind for kind, _, _ in ledger()] == ["started", "finished"]


def test_a_mode_that_an_event_trigger_takes_back_has_failed_and_the_rest_is_done(
    own_database: BaseDatabaseWrapper,
) -> None:
    disabled()
    run("ALTER TABLE past_payroll DISABLE TRIGGER {name}", name=pgid(PAYROLL))
    meddler(
        "IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'past_invoice'::regclass AND "
        "tgenabled = 'O' AND NOT tgisinternal) THEN "
        f'ALTER TABLE past_invoice DISABLE TRIGGER "{pgid(INVOICE)}"; END IF;',
        "ALTER TABLE",
    )
    report = carry_out(Verb.ENABLE, INVOICE, PAYROLL)
    assert outcomes(report) == {INVOICE: Result.FAILED, PAYROLL: Result.SWITCHED}
    assert "not what was set" in report.failed[0].reason
    assert report.exit_code == 6
    assert [row for row in ledger() if row[0] == "statement"] == [
        ("statement", "past_payroll", "switched")
    ]
