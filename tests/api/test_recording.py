"""One run at a time, whoever checks, from wherever, and whatever becomes of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from tests import damage
from tests.api.conftest import archive_at
from tests.api.processes import line_of, start, tell
from tests.damage import pgid, run
from tests.ledger.conftest import through
from tests.weaknesses.conftest import default_at
from tests.weaknesses.expectations import INVOICE
from trigger_ops import api
from trigger_ops.api import recording
from trigger_ops.drift import Report
from trigger_ops.exceptions import UnknownSelector
from trigger_ops.ledger import recording as books
from trigger_ops.ledger.runs import Wanted, begin, claim, release
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget, FindingEvent, Notice
from trigger_ops.records import FindingChange
from trigger_ops.signals import finding_changed
from trigger_ops.states import EventKind, ExitCode

Connect = Callable[..., BaseDatabaseWrapper]
NOTIFY = [{"name": "pager", "backend": "email", "to": ["ops@example.org"]}]
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def brief(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for others briefly, and let there be somebody to tell."""
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "100ms", "NOTIFY": NOTIFY}
    monkeypatch.setattr(recording, "PAUSE_SECONDS", 0.02)


def record(*databases: str, **options: Any) -> Report:
    return api.check(databases=list(databases or ["default"]), record=True, **options)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def c001() -> list[tuple[str, list[str]]]:
    """Return state and events of all findings about bodies, and demand one notice an event."""
    found = DriftFinding.objects.filter(code="trigger_ops.C001").order_by("pk")
    for one in found:
        assert Notice.objects.filter(event__finding=one).count() == one.events.count()
    return [
        ("over" if one.resolved else "open", list(one.events.values_list("kind", flat=True)))
        for one in found
    ]


@pytest.fixture
def gutted(own_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Let a trigger of `default` be gutted."""
    damage.gut(pgid(INVOICE))
    return own_database


def wanted(*aliases: str, scope: str = "elsewhere", lasts: dt.timedelta = DAY) -> Wanted:
    return Wanted(
        aliases=aliases,
        source="test",
        holder="os:bob@build",
        scope=scope,
        whole=True,
        asked=now(),
        lasts=lasts,
    )


def claimed(*aliases: str, scope: str = "elsewhere", lasts: dt.timedelta = DAY) -> list[uuid.UUID]:
    """Begin a run on the connection that is there, and claim its databases."""
    with books.recording() as book:
        other, is_new = begin(book, wanted(*aliases, scope=scope, lasts=lasts))
        assert is_new
        return list(claim(book, other.id, aliases, lasts).values())


# What is kept -----------------------------------------------------------------------------------


def test_a_run_says_who_looked_at_what_and_what_came_of_it(gutted: BaseDatabaseWrapper) -> None:
    report = record(source="command", holder="os:ann@web1")
    (made,) = DriftRun.objects.all()
    assert (made.id, made.source, made.holder, made.whole) == (
        report.run_id,
        "command",
        "os:ann@web1",
        True,
    )
    assert made.complete
    assert made.finished is not None
    assert made.began <= made.finished
    (target,) = made.targets.all()
    assert (target.state, target.triggers) == ("ok", report.targets[0].triggers)
    assert target.statuses == report.summary
    assert target.levels["CRITICAL"] == 1
    assert target.claimed_until is None


def test_a_check_with_a_selector_is_recorded_and_is_not_whole(gutted: BaseDatabaseWrapper) -> None:
    api.check(INVOICE, databases=["default"], record=True)
    made = DriftRun.objects.get()
    assert (made.whole, made.complete, made.scope) == (False, True, INVOICE)


def test_each_change_that_people_are_told_of_is_signalled_once(
    gutted: BaseDatabaseWrapper,
) -> None:
    with listening() as heard:
        record()
        record()
        damage.stock("install", INVOICE)
        record()
    assert heard == [(EventKind.OPENED, INVOICE), (EventKind.RESOLVED, INVOICE)]


@pytest.mark.parametrize("rollback", [True, False])
def test_what_may_still_be_rolled_back_is_not_signalled(
    gutted: BaseDatabaseWrapper, rollback: bool
) -> None:
    with listening() as heard:
        with transaction.atomic():
            record()
            assert c001() == [("open", ["opened"])]
            assert heard == []
            transaction.set_rollback(rollback)
        assert heard == ([] if rollback else [(EventKind.OPENED, INVOICE)])


@contextlib.contextmanager
def listening() -> Iterator[list[tuple[EventKind, str]]]:
    """Give what the signal says of C001, to a receiver that fails each time."""
    heard: list[tuple[EventKind, str]] = []

    def listen(change: FindingChange, **_: Any) -> None:
        if change.finding.code == "trigger_ops.C001":
            heard.append((change.kind, change.finding.uri))
            raise RuntimeError("a receiver that fails")

    finding_changed.connect(listen)
    try:
        yield heard
    finally:
        finding_changed.disconnect(listen)


def test_a_check_that_fails_leaves_nobody_waiting(gutted: BaseDatabaseWrapper) -> None:
    with pytest.raises(UnknownSelector):
        api.check("past.Nothing", databases=["default"], record=True)
    assert not DriftTarget.objects.filter(finished__isnull=True).exists()
    record()
    assert c001() == [("open", ["opened"])]


# Several at once --------------------------------------------------------------------------------


def test_a_check_that_was_asked_for_before_another_began_is_answered_by_it(
    gutted: BaseDatabaseWrapper,
) -> None:
    asked = now()
    first = record(asked=asked)
    second = record(asked=asked)
    assert (second.run_id, second.unrecorded) == (first.run_id, "")
    third = record()
    assert third.run_id != first.run_id
    assert DriftRun.objects.count() == 2
    assert c001() == [("open", ["opened"])]


def test_checks_of_other_scopes_or_databases_answer_for_nothing(
    gutted: BaseDatabaseWrapper,
) -> None:
    asked = now()
    record(asked=asked)
    api.check(INVOICE, databases=["default"], record=True, asked=asked)
    assert DriftRun.objects.count() == 2


@pytest.mark.parametrize("count", [2, 4])
def test_checks_at_once_in_threads_are_one_run(gutted: BaseDatabaseWrapper, count: int) -> None:
    name, barrier, asked = gutted.settings_dict["NAME"], threading.Barrier(count), now()
    reports: list[Report] = []

    def compete() -> None:
        with default_at(NAME=name):
            run("SELECT 1")
            barrier.wait(timeout=20)
            reports.append(record(asked=asked))

    threads = [threading.Thread(target=compete) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.exit_code for one in reports] == [ExitCode.FINDINGS] * count
    assert len({one.run_id for one in reports}) == 1
    (made,) = DriftRun.objects.all()
    assert made.complete
    assert c001() == [("open", ["opened"])]


_AT_ONCE = """
from django.conf import settings
settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": json.loads(sys.stdin.readline())}
print("ready", flush=True)
asked = dt.datetime.fromisoformat(sys.stdin.readline().strip())
report = api.check(databases=["default"], record=True, asked=asked)
print(json.dumps([str(report.run_id), report.unrecorded, int(report.exit_code)]), flush=True)
"""


def test_checks_at_once_in_processes_are_one_run(gutted: BaseDatabaseWrapper) -> None:
    processes = [start(_AT_ONCE) for _ in range(2)]
    try:
        for one in processes:
            tell(one, json.dumps(NOTIFY))
        assert [line_of(one) for one in processes] == ["ready"] * 2
        asked = now().isoformat()
        for one in processes:
            tell(one, asked)
        answers = [json.loads(line_of(one)) for one in processes]
        assert [one.wait(timeout=60) for one in processes] == [0, 0]
    finally:
        for one in processes:
            one.kill()
            one.communicate()
    assert answers[0] == answers[1]
    assert answers[0][1:] == ["", 1]
    (made,) = DriftRun.objects.all()
    assert (str(made.id), made.complete) == (answers[0][0], True)
    assert c001() == [("open", ["opened"])]


# Those that die, and those that hang ------------------------------------------------------------

_IN_THE_MIDDLE = """
from trigger_ops.api import checking
def hang(aliases, inspect):
    print("looking", flush=True)
    time.sleep(600)
checking.look = hang
api.check(databases=["default"], record=True)
"""


def test_a_check_that_was_killed_in_the_middle_is_in_nobodys_way(
    gutted: BaseDatabaseWrapper,
) -> None:
    process = start(_IN_THE_MIDDLE)
    try:
        assert line_of(process) == "looking"
        target = DriftTarget.objects.get()
        assert (target.state, target.claim is not None) == ("running", True)
    finally:
        process.kill()
        process.communicate()
    wait_until_gone(target.pid)
    report = record()
    assert (report.unrecorded, report.exit_code) == ("", ExitCode.FINDINGS)
    assert report.run_id != target.run_id
    assert DriftRun.objects.get(pk=report.run_id).complete
    assert c001() == [("open", ["opened"])]


def wait_until_gone(pid: int | None) -> None:
    deadline = time.monotonic() + 20
    while run("SELECT FROM pg_stat_activity WHERE pid = %s", pid):
        assert time.monotonic() < deadline


def test_a_run_that_nobody_will_finish_is_lost_in_the_end(
    gutted: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    other = second_connection()
    with through(other):
        claimed("default")
        ((pid,),) = run("SELECT pg_backend_pid()")
    other.close()
    wait_until_gone(pid)
    record()
    old = DriftRun.objects.get(source="test")
    assert old.finished is None  # it is too early to tell
    DriftRun.objects.filter(pk=old.pk).update(began=old.began - DAY)
    record()
    old.refresh_from_db()
    assert old.finished is not None
    assert (old.complete, old.targets.get().state) == (False, "lost")


@pytest.fixture
def stuck(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> tuple[BaseDatabaseWrapper, Sequence[uuid.UUID]]:
    """Let another check, of another scope, be at `default` for as long as it likes."""
    other = second_connection()
    with through(other):
        claims = claimed("default")
    other.inc_thread_sharing()
    return other, claims


def test_where_another_check_is_stuck_nothing_is_recorded_and_that_is_said(
    stuck: Any, make_database: Callable[..., str]
) -> None:
    damage.gut(pgid(INVOICE))
    with archive_at(NAME=make_database(empty=True)):
        report = record("default", "archive")
    assert report.unrecorded == (f'"default" was not recorded, because {recording.ELSEWHERE}.')
    assert not report.complete
    assert "trigger_ops.C001" in {one.id for one in report.findings}
    made = DriftRun.objects.get(pk=report.run_id)
    assert (made.finished is not None, made.complete) == (True, False)
    states = made.targets.order_by("pk").values_list("database", "state")
    assert list(states) == [("default", "lost"), ("archive", "ok")]
    assert c001() == []


def test_a_check_that_ends_in_time_is_waited_for(stuck: Any, settings: Any) -> None:
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "30s"}
    name, (_, claims) = connection.settings_dict["NAME"], stuck

    def finish() -> None:
        with default_at(NAME=name):
            deadline = time.monotonic() + 20
            while DriftRun.objects.count() < 2:
                assert time.monotonic() < deadline
            with books.recording() as book:
                release(book, claims)

    thread = threading.Thread(target=finish)
    thread.start()
    report = record()
    thread.join()
    assert (report.unrecorded, report.exit_code) == ("", ExitCode.CLEAN)
    assert DriftRun.objects.get(pk=report.run_id).complete


def test_who_was_overtaken_says_so_and_records_the_rest(
    gutted: BaseDatabaseWrapper,
    make_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = recording.Attempt.record

    def overtaken(self: recording.Attempt, looks: Any) -> None:
        DriftTarget.objects.filter(database="default").update(claim=uuid.uuid4())
        original(self, looks)

    monkeypatch.setattr(recording.Attempt, "record", overtaken)
    with archive_at(NAME=make_database(empty=True)):
        report = record("default", "archive")
    assert "CHECK_LIMIT" in report.unrecorded
    assert not report.complete
    assert DriftTarget.objects.get(database="archive").state == "ok"
    assert c001() == []


# Inside what somebody else opened ---------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_inside_a_callers_transaction_the_record_shares_its_fate(
    gutted: BaseDatabaseWrapper, isolation: str
) -> None:
    for rollback in (True, False):
        with transaction.atomic():
            run(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            for _ in range(2):
                assert record().unrecorded == ""
            assert c001() == [("open", ["opened"])]
            transaction.set_rollback(rollback)
        assert (c001() == []) is rollback


def test_without_autocommit_the_caller_commits(gutted: BaseDatabaseWrapper) -> None:
    connection.set_autocommit(False)
    try:
        assert record().unrecorded == ""
        connection.rollback()
        assert c001() == []
        assert record().unrecorded == ""
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert c001() == [("open", ["opened"])]


# Clocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-DAY, DAY, -dt.timedelta(minutes=7)])
def test_the_clock_of_this_host_decides_nothing(
    gutted: BaseDatabaseWrapper, jump: dt.timedelta
) -> None:
    ((before,),) = run("SELECT clock_timestamp()")
    with time_machine.travel(now() + jump, tick=True):
        first, second = record(), record()
    third = record()
    with time_machine.travel(now() + jump, tick=True):
        fourth = record()
    ((after,),) = run("SELECT clock_timestamp()")
    assert len({one.run_id for one in (first, second, third, fourth)}) == 4
    assert c001() == [("open", ["opened"])]
    row = DriftFinding.objects.get(code="trigger_ops.C001")
    assert before < row.first_seen < row.last_seen < after


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns"])
def test_the_zone_of_the_project_decides_nothing(
    gutted: BaseDatabaseWrapper, use_tz: bool, zone: str
) -> None:
    with override_settings(USE_TZ=use_tz, TIME_ZONE=zone):
        asked = now()
        first = record(asked=asked)
        assert record(asked=asked).run_id == first.run_id
        damage.stock("install", INVOICE)
        report = record()
        assert report.run_id != first.run_id
        last = api.last_run(dt.timedelta(minutes=1), databases=["default"])
        assert last.age is not None
        assert last.age < dt.timedelta(minutes=1)
        assert last.complete
    assert c001() == [("over", ["opened", "resolved"])]


@pytest.mark.parametrize("use_tz", [True, False])
def test_in_the_hour_that_comes_twice_a_check_at_work_is_still_at_work(
    own_database: BaseDatabaseWrapper, second_connection: Connect, use_tz: bool
) -> None:
    """A claim until 2:30 winter time must not be taken for one until 2:30 summer time."""
    second_half = dt.datetime(2051, 10, 29, 1, 30, tzinfo=dt.UTC)
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Europe/Berlin"):
        other = second_connection()
        with through(other):
            claimed("default")
        DriftTarget.objects.update(claimed_until=second_half)
        with books.recording():
            (target,) = DriftTarget.objects.all()
            assert target.claimed_until is not None
            assert books.aware(target.claimed_until) == second_half


def test_events_of_a_run_carry_its_number(gutted: BaseDatabaseWrapper) -> None:
    report = record()
    assert set(FindingEvent.objects.values_list("run", flat=True)) == {report.run_id}
    assert connections["default"].is_usable()
