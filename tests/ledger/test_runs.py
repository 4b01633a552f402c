"""Who checks which database: one at a time, whoever dies, by the database's clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from trigger_ops.exceptions import Busy
from trigger_ops.ledger import runs
from trigger_ops.ledger.recording import Book, recording
from trigger_ops.models import DriftRun, DriftTarget
from trigger_ops.records import RunRecord, TargetRecord
from trigger_ops.states import TargetState

pytestmark = pytest.mark.usefixtures("own_database")

SECOND, MINUTE = dt.timedelta(seconds=1), dt.timedelta(minutes=1)
LIMIT, PATIENCE = 10 * MINUTE, 15 * SECOND
NOBODY = 2**22 + 7
"""No process has this number."""


def wanted(*aliases: str, asked: dt.datetime, **changes: Any) -> runs.Wanted:
    given = runs.Wanted(
        aliases=aliases or ("default", "archive"),
        source="celery",
        holder="worker@host",
        scope="",
        whole=True,
        asked=asked,
        lasts=LIMIT,
    )
    return dataclasses.replace(given, **changes)


def begun(*aliases: str, **changes: Any) -> tuple[RunRecord, bool]:
    with recording() as book:
        return runs.begin(book, wanted(*aliases, **{"asked": book.now, **changes}))


def sent(*aliases: str) -> RunRecord:
    """Begin a run, and note that its tasks were sent."""
    record, is_new = begun(*aliases)
    assert is_new
    with recording() as book:
        runs.mark_sent(book, record.id, [one.database for one in record.targets])
    return record


def claimed(record: RunRecord, *aliases: str) -> dict[str, uuid.UUID]:
    with recording() as book:
        return runs.claim(book, record.id, aliases, LIMIT)


def finished(claim: uuid.UUID, state: TargetState = TargetState.OK) -> RunRecord | None:
    with recording() as book:
        target = runs.hold(book, claim)
        return runs.finish_target(book, target, outcome(target.database, state))


def outcome(alias: str, state: TargetState = TargetState.OK) -> TargetRecord:
    return TargetRecord(
        database=alias,
        state=state,
        schemas=1,
        triggers=3,
        ms=7,
        reason="",
        statuses={"INSTALLED": 3},
        levels={},
    )


def orphan(*aliases: str) -> None:
    """Let nobody be behind the claims on these databases."""
    DriftTarget.objects.filter(database__in=aliases).update(pid=NOBODY)


def age(by: dt.timedelta) -> None:
    """Make everything as old as that: what the ledger has is compared with the clock only."""
    for model in (DriftRun, DriftTarget):
        for field in ("began", "finished", "sent", "claimed_until"):
            if any(one.name == field for one in model._meta.fields):
                table = model._meta.db_table
                run(f"UPDATE {table} SET {field} = {field} - %s", by)


def unattended(record: RunRecord) -> tuple[list[str], bool]:
    with recording() as book:
        again, left = runs.unattended(book, record.id, PATIENCE)
        return sorted(again), left


def target(alias: str) -> DriftTarget:
    return DriftTarget.objects.get(database=alias)


# Beginning -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "aliases", "is_new"),
    [
        ({}, (), False),
        ({}, ("archive",), False),
        ({"source": "command", "holder": "cron"}, (), False),
        ({"scope": "--schema-glob *"}, (), True),
        ({"whole": False}, (), True),
        ({}, ("default", "other"), True),
    ],
)
def test_a_run_under_way_answers_for_what_it_covers(
    changes: dict[str, Any], aliases: tuple[str, ...], is_new: bool
) -> None:
    first = sent()
    second, made = begun(*aliases, **changes)
    assert (made, second.id == first.id) == (is_new, not is_new)


def make_untouched(record: RunRecord) -> None:
    """Nobody has sent anything, nobody has claimed anything."""
    DriftTarget.objects.update(sent=None)


def make_claimed(record: RunRecord) -> None:
    assert claimed(record, "default")
    DriftTarget.objects.update(sent=None)


def make_abandoned(record: RunRecord) -> None:
    make_claimed(record)
    orphan("default")


def make_old(record: RunRecord) -> None:
    age(LIMIT + SECOND)


def make_old_but_moving(record: RunRecord) -> None:
    make_old(record)
    finished(claimed(record, "default")["default"])


def make_old_but_claimed(record: RunRecord) -> None:
    assert claimed(record, "default")
    age(LIMIT - MINUTE)
    DriftTarget.objects.update(sent=None)


@pytest.mark.parametrize(
    ("happens", "is_new"),
    [
        (make_untouched, True),
        (make_claimed, False),
        (make_abandoned, True),
        (make_old, True),
        (make_old_but_moving, False),
        (make_old_but_claimed, False),
    ],
)
def test_only_a_run_that_somebody_is_at_answers(
    happens: Callable[[RunRecord], None], is_new: bool
) -> None:
    first = sent()
    happens(first)
    second, made = begun()
    assert (made, second.id == first.id) == (is_new, not is_new)


@pytest.mark.parametrize(("waited", "is_new"), [(MINUTE, False), (dt.timedelta(0), True)])
def test_a_finished_run_answers_for_what_was_asked_before_it_began(
    waited: dt.timedelta, is_new: bool
) -> None:
    record = sent("default")
    finished(claimed(record, "default")["default"])
    with recording() as book:
        _, made = runs.begin(book, wanted("default", asked=book.now - waited))
    assert made is is_new


# Claims --------------------------------------------------------------------------------------------


def test_a_database_has_one_claim_at_a_time_over_all_runs() -> None:
    record = sent()
    other, is_new = begun("default", "other")
    assert is_new
    assert set(claimed(record, "default", "archive")) == {"default", "archive"}
    assert claimed(record, "default") == {}
    assert set(claimed(other, "default", "other")) == {"other"}


@pytest.mark.parametrize(
    ("by", "is_orphan", "is_had"),
    [(SECOND, False, False), (LIMIT + SECOND, False, True), (SECOND, True, True)],
    ids=["held", "out of time", "backend gone"],
)
def test_a_claim_lives_as_long_as_its_time_and_its_backend(
    by: dt.timedelta, is_orphan: bool, is_had: bool
) -> None:
    record = sent("default")
    (first,) = claimed(record, "default").values()
    age(by)
    if is_orphan:
        orphan("default")
    assert bool(claimed(record, "default")) is is_had
    if not is_had:
        assert finished(first) is not None
        return
    with pytest.raises(Busy, match="Somebody else took this check over"):
        finished(first)


def test_a_claim_ends_with_its_connection(
    second_connection: Callable[..., BaseDatabaseWrapper],
) -> None:
    record = sent("default")
    other = second_connection()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    claimed(record, "default")
    DriftTarget.objects.update(pid=pid)
    assert claimed(record, "default") == {}
    other.close()
    deadline = time.monotonic() + 20
    while run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
        assert time.monotonic() < deadline
    assert set(claimed(record, "default")) == {"default"}


def test_what_is_given_back_can_be_had_at_once_and_what_is_done_stays_done() -> None:
    record = sent()
    claims = claimed(record, "default", "archive")
    finished(claims["default"])
    with recording() as book:
        runs.release(book, claims.values())
    assert target("default").state == TargetState.OK
    assert target("archive").state == TargetState.WAITING
    assert set(claimed(record, "default", "archive")) == {"archive"}


# Ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [one for one in TargetState if one not in ("waiting", "running")]
)
def test_a_run_is_complete_if_every_database_was_read(state: TargetState) -> None:
    record = sent()
    claims = claimed(record, "default", "archive")
    assert finished(claims["default"]) is None
    ended = finished(claims["archive"], state)
    assert ended is not None
    assert ended.complete is (state is TargetState.OK)
    assert {one.database: one.state for one in ended.targets}["archive"] is state
    with recording() as book:
        assert runs.finish_run(book, record.id) is None, "it ends once"


def test_a_run_that_is_given_up_keeps_whoever_is_still_at_it() -> None:
    record = sent()
    (claim,) = claimed(record, "default").values()
    with recording() as book:
        assert runs.give_up(book, record.id) is None
    lost = target("archive")
    assert (lost.state, lost.reason) == (TargetState.LOST, runs.OVER)
    ended = finished(claim)
    assert ended is not None
    assert not ended.complete


def left_behind(record: RunRecord) -> bool:
    with recording() as book:
        return runs.is_left_behind(book, record.id, LIMIT)


@pytest.mark.parametrize(
    ("by", "happens", "is_left"),
    [
        (2 * LIMIT - SECOND, None, False),
        (2 * LIMIT + SECOND, None, True),
        (2 * LIMIT + SECOND, make_claimed, False),
        (2 * LIMIT + SECOND, make_old_but_moving, False),
    ],
    ids=["its time is not over", "over", "somebody is at it", "somebody was lately"],
)
def test_a_run_is_left_behind_when_nobody_was_at_it_for_long(
    by: dt.timedelta, happens: Callable[[RunRecord], None] | None, is_left: bool
) -> None:
    record = sent()
    age(by)
    if happens is not None:
        happens(record)
    assert left_behind(record) is is_left


# Sending again -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "by", "again"),
    [
        (1, PATIENCE - SECOND, False),
        (1, PATIENCE + SECOND, True),
        (2, PATIENCE + SECOND, False),
        (2, 2 * PATIENCE + SECOND, True),
        (5, 15 * PATIENCE, False),
        (5, 16 * PATIENCE + SECOND, True),
        (200, 365 * 24 * 60 * MINUTE, True),
    ],
)
def test_patience_with_a_task_that_nobody_takes_doubles(
    times: int, by: dt.timedelta, again: bool
) -> None:
    record = sent("default")
    DriftTarget.objects.update(times_sent=times)
    age(by)
    assert unattended(record) == (["default"] if again else [], True)


def test_whoever_is_gone_is_not_waited_for_and_whoever_is_at_it_is() -> None:
    record = sent("default", "archive", "other")
    claimed(record, "default", "archive")
    orphan("archive")
    assert unattended(record) == (["archive"], True)
    assert target("archive").times_sent == 1


def test_a_database_that_ends_whoever_checks_it_is_lost_after_a_while() -> None:
    record = sent("default", "archive")
    deaths = 0
    while True:
        assert set(claimed(record, "default")) == {"default"}
        orphan("default")
        deaths += 1
        again, left = unattended(record)
        assert left, "archive is still to be checked"
        if not again:
            break
        with recording() as book:
            runs.mark_sent(book, record.id, again)
    assert deaths == runs.MOST_DEATHS + 1
    lost = target("default")
    assert (lost.state, lost.reason) == (TargetState.LOST, runs.DEADLY)


def test_a_broker_that_sends_again_by_itself_has_the_same_limit() -> None:
    record = sent("default")
    for _ in range(runs.MOST_DEATHS + 1):
        claimed(record, "default")
        orphan("default")
    assert unattended(record) == ([], False)


def test_somebody_is_at_a_run_while_a_claim_lives() -> None:
    record = sent()

    def is_anybody_at() -> bool:
        with recording() as book:
            return runs.is_anybody_at(book, record.id)

    assert not is_anybody_at()
    claimed(record, "default")
    assert is_anybody_at()
    orphan("default")
    assert not is_anybody_at()


def test_times_come_with_a_zone_whatever_the_settings(settings: Any) -> None:
    settings.USE_TZ = False
    connection.close()  # as at the end of a request
    record = sent("default")
    finished(claimed(record, "default")["default"])

    def read(book: Book) -> RunRecord | None:
        return runs.read_run(book, record.id)

    with recording() as book:
        found, now = read(book), book.now
    assert found is not None
    assert found.finished is not None
    assert dt.timedelta(0) <= now - found.finished < MINUTE
    assert dt.timedelta(0) <= found.finished - found.began < MINUTE
