"""Several at once: our own runs, and stock pgtrigger beside us."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pgtrigger
import pytest
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    POSTING,
    PRICES,
    SHORT,
    VERSIONED,
    Connect,
    ask,
    at_work,
    carry_out,
    default_at,
    drop,
    install,
    ledger,
    name_of_database,
    statuses,
)
from tests.damage import gut, install_sql, pgid, run
from tests.ledger.conftest import through
from tests.weaknesses.expectations import assert_clean, check, the
from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.ledger.announcements import announce, withdraw
from trigger_ops.ledger.entries import Author, Run
from trigger_ops.planner import Request
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.states import ExitCode, Result, Verb

MINUTE = dt.timedelta(minutes=1)
ALL = (INVOICE, PAYROLL, PRICES, POSTING, *VERSIONED)


def damage_all() -> None:
    """Damage several tables, each in a way of its own, and the shared function."""
    gut(pgid(INVOICE))
    drop(PAYROLL, "past_payroll")
    run("DROP FUNCTION {name}()", name=pgid(PAYROLL))
    run("COMMENT ON TRIGGER {name} ON past_pricelist IS NULL", name=pgid(PRICES))
    drop(POSTING, "awkward_posting")
    for uri in VERSIONED:
        drop(uri, "tutorial_versioned")
        gut(pgid(uri))
    run(
        "CREATE OR REPLACE FUNCTION {name}(trigger_name name) RETURNS boolean LANGUAGE sql AS "
        "'SELECT false'",
        name=IGNORE_FUNCTION,
    )


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    """Do something in threads with a connection each, all at the same time."""
    name, barrier, answers = name_of_database(), threading.Barrier(count), []

    def work() -> None:
        try:
            with default_at(NAME=name):
                run("SELECT 1")
                barrier.wait(timeout=30)
                answers.append(act())
        except BaseException as error:  # noqa: BLE001 - kept for the test to look at
            answers.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def forget_our_tables() -> None:
    run("DROP TABLE trigger_ops_ledgerentry, trigger_ops_triggerlease, trigger_ops_runlease")


def in_a_transaction() -> RunReport:
    with transaction.atomic():
        return install(budget=MINUTE)


def under_repeatable_read() -> RunReport:
    run("SET default_transaction_isolation = 'repeatable read'")
    return install(budget=MINUTE)


@pytest.mark.parametrize(
    ("prepare", "act"),
    [
        pytest.param(lambda: None, lambda: install(budget=MINUTE), id="announced"),
        pytest.param(forget_our_tables, lambda: install(budget=MINUTE), id="without-our-tables"),
        pytest.param(lambda: None, in_a_transaction, id="in-transactions-of-callers"),
        pytest.param(lambda: None, under_repeatable_read, id="repeatable-read"),
    ],
)
def test_four_installs_at_once_all_end_well(
    own_database: BaseDatabaseWrapper,
    prepare: Callable[[], None],
    act: Callable[[], RunReport],
) -> None:
    prepare()
    damage_all()
    answers = at_once(4, act)
    assert [one for one in answers if not isinstance(one, RunReport)] == []
    assert [(one.stopped, one.failed, one.exit_code) for one in answers] == [("", (), 0)] * 4
    done = [result.step.uri for one in answers for result in one.changed]
    assert sorted(done) == sorted({*ALL, f"public.{IGNORE_FUNCTION}"})
    assert_clean(check())
    if prepare is not forget_our_tables:
        assert at_work() == 0


def test_stock_installs_beside_ours_are_no_error(own_database: BaseDatabaseWrapper) -> None:
    name, done, stock_errors = name_of_database(), threading.Event(), []

    def stock_loop() -> None:
        with default_at(NAME=name):
            while not done.is_set():
                try:
                    pgtrigger.install(*ALL)
                except Exception as error:  # noqa: BLE001 - kept for the test to look at
                    stock_errors.append(error)

    threads = [threading.Thread(target=stock_loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        reports = [install(*ALL, budget=MINUTE) for _ in range(12)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert [(one.stopped, [f.reason for f in one.failed]) for one in reports] == [("", [])] * 12
    assert install(*ALL).exit_code is ExitCode.CLEAN
    assert set(statuses(*ALL).values()) == {"INSTALLED"}


def stranger(lasts: dt.timedelta = MINUTE) -> Run:
    one = Run(
        id=uuid.uuid4(), verb=Verb.PRUNE, author=Author(actor="os:bob@build", reason="nightly")
    )
    assert announce("default", "public", one, lasts) is None
    return one


def test_a_second_run_waits_and_then_finds_nothing_to_do(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    drop(INVOICE, "past_invoice")
    other = second_connection()
    with through(other):
        run_of_bob = stranger()
    other.inc_thread_sharing()
    statement = install_sql(INVOICE)

    def finish() -> None:
        ask(other, statement)
        ask(other, "DELETE FROM trigger_ops_runlease WHERE run = %s", run_of_bob.id)

    timer = threading.Timer(0.7, finish)
    timer.start()
    report = install(INVOICE)
    timer.join()
    assert [(one.step.uri, one.result) for one in report.results] == [(INVOICE, Result.UNCHANGED)]
    assert report.exit_code is ExitCode.CLEAN
    assert [kind for kind, _, _ in ledger()] == ["started", "finished"]


def test_a_second_run_gives_up_when_its_budget_is_spent_and_says_who_is_at_work(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    drop(INVOICE, "past_invoice")
    other = second_connection()
    with through(other):
        bob = stranger()
        report_of_check = check()
        finding = the(report_of_check, "I013")
        assert "os:bob@build" in finding.message
    ((since, expires),) = run("SELECT since, expires FROM trigger_ops_runlease")
    report = install(INVOICE, budget=SHORT)
    assert report.exit_code is ExitCode.BUSY
    for part in (
        "prune by os:bob@build",
        f"pid {other.connection.info.backend_pid}",
        f"since {since.astimezone(dt.UTC):%H:%M:%SZ}",
        f"until {expires.astimezone(dt.UTC):%H:%M:%SZ}",
    ):
        assert part in report.stopped
    assert statuses(INVOICE) == {INVOICE: "UNINSTALLED"}
    with through(other):
        withdraw("default", "public", bob.id)
    assert "I013" not in {one.id.rpartition(".")[2] for one in check().findings}


def test_a_hazard_that_came_while_waiting_is_refused(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    carry_out(Verb.DISABLE, INVOICE, lasts=MINUTE, actor="user:eve")
    run("UPDATE trigger_ops_triggerlease SET ended = now()")
    asked = Request(verb=Verb.ENABLE, databases=("default",), selectors=(INVOICE,))
    planned = api.plan(asked)
    assert planned.hazards == {}
    other = second_connection()
    with through(other):
        bob = stranger()
    other.inc_thread_sharing()

    def finish() -> None:
        ask(other, "UPDATE trigger_ops_triggerlease SET ended = NULL")
        ask(other, "DELETE FROM trigger_ops_runlease WHERE run = %s", bob.id)

    timer = threading.Timer(0.5, finish)
    timer.start()
    report = api.apply(planned, actor="user:ada")
    timer.join()
    assert report.exit_code is ExitCode.REFUSED
    assert "REENABLES_DISABLED" in report.stopped
    assert run("SELECT tgenabled FROM pg_trigger WHERE tgname = %s", pgid(INVOICE)) == [("D",)]


def test_a_run_that_was_taken_over_from_changes_nothing_more(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    drop(INVOICE, "past_invoice")
    drop(PAYROLL, "past_payroll")
    other = second_connection()

    def on_progress(done: int, total: int, table: str) -> None:
        if done == 1 and table:
            with through(other):
                run("UPDATE trigger_ops_runlease SET expires = now() - interval '1 second'")
                stranger()

    report = install(INVOICE, PAYROLL, on_progress=on_progress)
    assert {one.step.uri: one.result for one in report.results} == {
        INVOICE: Result.CREATED,
        PAYROLL: Result.SKIPPED,
    }
    assert report.exit_code is ExitCode.PARTIAL
    assert "took over" in report.stopped
    assert statuses(INVOICE, PAYROLL) == {INVOICE: "INSTALLED", PAYROLL: "UNINSTALLED"}
    assert run("SELECT holder FROM trigger_ops_runlease") == [("os:bob@build",)]


def changed_meanwhile(report_of: Callable[..., RunReport], act: Callable[[], None]) -> RunReport:
    """Carry out a plan; before its first table, something else happens."""

    def on_progress(done: int, total: int, table: str) -> None:
        if not done:
            act()

    return report_of(on_progress=on_progress)


def test_an_orphan_beside_a_trigger_that_changed_meanwhile_is_pruned_all_the_same(
    own_database: BaseDatabaseWrapper,
) -> None:
    orphan = "pgtrigger_old_one_abcde"
    run(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        name=orphan,
    )
    run(
        "CREATE TRIGGER {name} BEFORE DELETE ON past_invoice FOR EACH ROW "
        "EXECUTE FUNCTION {name}()",
        name=orphan,
    )
    run(
        "COMMENT ON TRIGGER {name} ON past_invoice IS 'da39a3ee5e6b4b0d3255bfef95601890afd80709'",
        name=orphan,
    )
    gut(pgid(INVOICE))
    report = changed_meanwhile(install, lambda: gut(pgid(INVOICE), returning="NULL"))
    assert {one.result for one in report.changed} == {Result.REPLACED, Result.DROPPED}
    assert report.exit_code is ExitCode.CLEAN
    assert_clean(check())


def test_what_was_dropped_meanwhile_is_gone_already(own_database: BaseDatabaseWrapper) -> None:
    report = changed_meanwhile(
        lambda **kw: carry_out(Verb.UNINSTALL, INVOICE, **kw),
        lambda: drop(INVOICE, "past_invoice"),
    )
    assert [one.result for one in report.results] == [Result.UNCHANGED]
    assert report.exit_code is ExitCode.CLEAN


def test_a_table_that_was_renamed_meanwhile_is_a_failure_with_a_reason(
    own_database: BaseDatabaseWrapper,
) -> None:
    drop(INVOICE, "past_invoice")
    report = changed_meanwhile(
        lambda **kw: install(INVOICE, PAYROLL, **kw),
        lambda: run("ALTER TABLE past_invoice RENAME TO elsewhere") and None,
    )
    (failed,) = report.failed
    assert "dropped or renamed" in failed.reason
    assert report.exit_code is ExitCode.REFUSED


def test_strict_terms_refuse_what_has_changed_meanwhile(own_database: BaseDatabaseWrapper) -> None:
    gut(pgid(INVOICE))
    report = changed_meanwhile(
        lambda **kw: install(INVOICE, strict=True, **kw), lambda: drop(INVOICE, "past_invoice")
    )
    assert report.exit_code is ExitCode.REFUSED
    assert "has changed since the plan was made" in report.stopped
    assert statuses(INVOICE) == {INVOICE: "UNINSTALLED"}
