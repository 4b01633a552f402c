"""Waiting for locks: bounded, with pauses, and with the names of those who hold them."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    SHORT,
    Connect,
    ask,
    at_work,
    backend,
    carry_out,
    default_at,
    drop,
    install,
    ledger,
    name_of_database,
    outcomes,
    statuses,
)
from tests.damage import make_role, run
from trigger_ops.applier.waiting import FIRST, LONGEST, Waits
from trigger_ops.applier.workplaces import KEY
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.versions import read_blockers
from trigger_ops.states import ExitCode, Result, Verb

READ = "SELECT * FROM past_invoice"
WRITE = "INSERT INTO past_invoice (number, total) VALUES ('1', 1)"


@contextmanager
def holding(one: BaseDatabaseWrapper, statement: str) -> Iterator[BaseDatabaseWrapper]:
    """Keep a transaction open on one connection that has executed a statement."""
    one.set_autocommit(False)
    ask(one, statement)
    try:
        yield one
    finally:
        one.rollback()
        one.set_autocommit(True)


def test_pauses_grow_with_jitter_and_stay_within_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("trigger_ops.applier.waiting.time.sleep", slept.append)
    waits = Waits(dt.timedelta(seconds=20))
    while waits.pause():
        waits.add(0.25)
    assert waits.spent == pytest.approx(20, abs=0.5)
    assert all(0 <= one <= LONGEST for one in slept)
    assert FIRST <= slept[0] <= 3 * FIRST
    assert max(slept) > 5 * FIRST
    assert len(set(slept)) > len(slept) // 2


@pytest.mark.parametrize(
    ("longest", "budget", "spent", "patience"),
    [(0.25, 60, 0, 0.25), (600, 60, 0, 60), (600, 60, 59, 1), (0.25, 60, 60, FIRST)],
)
def test_a_try_waits_no_longer_than_what_is_left(
    longest: float, budget: float, spent: float, patience: float
) -> None:
    waits = Waits(dt.timedelta(seconds=budget))
    waits.add(spent)
    assert waits.patience(dt.timedelta(seconds=longest)) == dt.timedelta(seconds=patience)


@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        pytest.param(Verb.DISABLE, WRITE, id="writer"),
        pytest.param(Verb.UNINSTALL, READ, id="reader"),
    ],
)
def test_a_run_waits_for_a_transaction_to_end(
    own_database: BaseDatabaseWrapper, second_connection: Connect, verb: Verb, statement: str
) -> None:
    other = second_connection()
    with holding(other, statement):
        timer = threading.Timer(1, other.connection.rollback)
        timer.start()
        started = time.monotonic()
        report = carry_out(verb, INVOICE)
        timer.join()
    assert 0.9 < time.monotonic() - started < 8
    assert report.exit_code is ExitCode.CLEAN
    assert len(report.changed) == 1


@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        pytest.param(Verb.DISABLE, WRITE, id="writer"),
        pytest.param(Verb.UNINSTALL, READ, id="reader"),
    ],
)
def test_a_lock_that_never_comes_ends_the_run_and_names_who_has_it(
    own_database: BaseDatabaseWrapper, second_connection: Connect, verb: Verb, statement: str
) -> None:
    other = second_connection()
    ask(other, "SET application_name = 'nightly report'")
    with holding(other, statement):
        report = carry_out(verb, INVOICE, PAYROLL, budget=SHORT)
    assert report.exit_code is ExitCode.BUSY
    assert {one.result for one in report.results} == {Result.SKIPPED}
    user = other.settings_dict["USER"]
    assert f"pid {backend(other)} ({user}, nightly report, idle in transaction" in report.stopped
    assert "transaction open for " in report.stopped
    assert "Gave up waiting for the lock on public.past_invoice after " in report.stopped
    assert statuses(INVOICE, PAYROLL) == {INVOICE: "INSTALLED", PAYROLL: "INSTALLED"}
    kinds = [(kind, outcome) for kind, _, outcome in ledger()]
    assert kinds == [("started", ""), ("finished", "stopped")]
    assert at_work() == 0


def test_what_was_done_before_the_lock_that_never_came_stays_done(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    with holding(second_connection(), "LOCK TABLE past_payroll IN SHARE MODE"):
        report = carry_out(Verb.DISABLE, INVOICE, PAYROLL, budget=SHORT)
    assert {one.step.uri: one.result for one in report.results} == {
        INVOICE: Result.SWITCHED,
        PAYROLL: Result.SKIPPED,
    }
    assert report.exit_code is ExitCode.PARTIAL
    again = carry_out(Verb.DISABLE, INVOICE, PAYROLL)
    assert outcomes(again) == {PAYROLL: Result.SWITCHED}
    assert again.exit_code is ExitCode.CLEAN


def test_readers_are_never_held_up_longer_than_one_try(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    name, report_open, worst = name_of_database(), threading.Event(), []
    with holding(second_connection(), READ):

        def read_on() -> None:
            with default_at(NAME=name):
                run(READ)
                report_open.set()
                while not done.is_set():
                    started = time.monotonic()
                    run(READ)
                    worst.append(time.monotonic() - started)

        done = threading.Event()
        reader = threading.Thread(target=read_on)
        reader.start()
        report_open.wait(10)
        report = carry_out(
            Verb.UNINSTALL,
            INVOICE,
            budget=dt.timedelta(seconds=2),
            lock_timeout=dt.timedelta(milliseconds=100),
        )
        done.set()
        reader.join()
    assert report.exit_code is ExitCode.BUSY
    assert 0.02 < max(worst) < 0.35


def test_a_long_wait_does_not_let_the_announcement_expire(
    own_database: BaseDatabaseWrapper,
    second_connection: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trigger_ops.applier.running.HOLDS", dt.timedelta(seconds=3.5))
    other = second_connection()
    with holding(other, WRITE):
        timer = threading.Timer(6, other.connection.rollback)
        timer.start()
        report = carry_out(Verb.DISABLE, INVOICE)
        timer.join()
    assert report.stopped == ""
    assert outcomes(report) == {INVOICE: Result.SWITCHED}


WAITS_FOR_THE_LEDGER = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s "
    "AND relation = 'trigger_ops_ledgerentry'::regclass"
)


def test_a_deadlock_is_tried_again(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    run("SET deadlock_timeout = '1500ms'")
    other, ours = second_connection(), backend(own_database)
    ask(other, "SET deadlock_timeout = '30s'")
    other.inc_thread_sharing()

    def close_the_circle() -> None:
        while ask(other, WAITS_FOR_THE_LEDGER, ours) == [(0,)]:
            time.sleep(0.01)
        ask(other, "LOCK TABLE past_invoice IN SHARE MODE")
        other.connection.rollback()

    thread = threading.Thread(target=close_the_circle)

    def on_progress(done: int, total: int, table: str) -> None:
        if not done:
            other.set_autocommit(False)
            ask(other, "LOCK TABLE trigger_ops_ledgerentry IN SHARE MODE")
            thread.start()

    refusals: list[str | None] = []

    def note(execute: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return execute(*arguments)
        except DatabaseError as error:
            refusals.append(sqlstate(error))
            raise

    with own_database.execute_wrapper(note):
        report = carry_out(
            Verb.DISABLE,
            INVOICE,
            lock_timeout=dt.timedelta(seconds=20),
            on_progress=on_progress,
        )
    thread.join()
    assert refusals == ["40P01"]
    assert report.exit_code is ExitCode.CLEAN
    assert outcomes(report) == {INVOICE: Result.SWITCHED}


def test_a_locked_ledger_is_busy_and_not_waited_for_long(
    own_database: BaseDatabaseWrapper, second_connection: Connect, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"LOCK_TIMEOUT": 200}
    drop(INVOICE, "past_invoice")
    with holding(second_connection(), "LOCK TABLE trigger_ops_ledgerentry IN SHARE MODE"):
        report = install(INVOICE)
    assert report.exit_code is ExitCode.BUSY
    assert "The ledger cannot be written, so nothing was changed" in report.stopped
    assert statuses(INVOICE) == {INVOICE: "UNINSTALLED"}


def test_blockers_that_may_not_be_looked_at_are_named_without_a_guess(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    role = make_role("looker")
    other = second_connection()
    ((oid,),) = run("SELECT 'past_invoice'::regclass::oid")
    with holding(other, WRITE):
        run("SET ROLE {role}", role=role)
        with own_database.cursor() as cursor:
            (found,) = read_blockers(cursor, oid, key=KEY, exclusive=False)
        run("RESET ROLE")
    run("DROP ROLE {role}", role=role)
    assert (found.pid, found.user) == (backend(other), other.settings_dict["USER"])
    assert (found.state, found.age) == (None, None)
    assert str(found).endswith("RowExclusiveLock)")
    assert "for 0 s" not in str(found)


def test_the_lock_of_applies_has_a_name_in_the_sentence_too(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    drop(INVOICE, "past_invoice")
    other = second_connection()
    with holding(other, f"SELECT pg_advisory_xact_lock({KEY})"):
        report = install(INVOICE, budget=SHORT)
    assert report.exit_code is ExitCode.BUSY
    assert f"pid {backend(other)} " in report.stopped


@pytest.mark.parametrize("statement", [READ, WRITE])
def test_harmless_locks_are_not_called_blockers(
    own_database: BaseDatabaseWrapper, second_connection: Connect, statement: str
) -> None:
    ((oid,),) = run("SELECT 'past_invoice'::regclass::oid")
    counted: Callable[[bool], int] = lambda exclusive: len(  # noqa: E731 - as short as what it counts
        read_blockers(cursor, oid, key=KEY, exclusive=exclusive)
    )
    with holding(second_connection(), statement), own_database.cursor() as cursor:
        assert counted(False) == (statement == WRITE)
        assert counted(True) == 1
