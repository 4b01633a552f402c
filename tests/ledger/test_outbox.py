"""What is taken from the outbox, by whom, in which order, and what becomes of it."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from tests.damage import run
from tests.notifications.recorded import DAY, HOUR, MINUTE, notice, pass_time, write
from tests.weaknesses.conftest import default_at
from trigger_ops.ledger import outbox
from trigger_ops.ledger.outbox import (
    give_up_strange,
    mark_failed,
    mark_sent,
    pause_after,
    standing,
    take,
    wake,
)
from trigger_ops.ledger.recording import recording
from trigger_ops.models import DriftFinding, FindingEvent, Notice
from trigger_ops.records import Message
from trigger_ops.states import EventKind

SECOND = dt.timedelta(seconds=1)

pytestmark = pytest.mark.usefixtures("own_database")


def taken(destination: str = "pager") -> Message:
    with recording() as book:
        message = take(book, destination)
    assert message is not None
    return message


def nothing(destination: str = "pager") -> bool:
    with recording() as book:
        return take(book, destination) is None


def sent(message: Message) -> None:
    with recording() as book:
        mark_sent(book, message)


def failed(message: Message, error: str = "It is down.") -> None:
    with recording() as book:
        mark_failed(book, message, error)


def events(message: Message) -> list[int]:
    return [one.id for one in message.changes]


def test_all_that_is_due_is_one_message() -> None:
    first, second = write(), write(EventKind.RESOLVED)
    write(EventKind.OPENED, "team")
    message = taken()
    assert events(message) == [first.pk, second.pk]
    assert (message.destination, message.attempt) == ("pager", 1)
    assert {notice(one).batch for one in (first, second)} == {message.id}
    assert len(events(taken("team"))) == 1
    assert nothing("nobody")


def test_a_change_is_told_as_it_was() -> None:
    event = write()
    DriftFinding.objects.update(
        digest="later", count=7, message="Changed again.", resolved=event.at
    )
    (change,) = taken().changes
    assert (change.kind, change.run) == (EventKind.OPENED, event.run)
    assert (change.finding.digest, change.finding.count) == ("digest", 1)
    assert change.finding.message == "The body was changed."
    assert change.finding.resolved == event.at


def test_what_was_taken_is_nobody_elses_for_a_while() -> None:
    message, later = (write(), taken())[1], write()
    assert events(taken()) == [later.pk]
    assert nothing()
    pass_time(outbox.HOLD - SECOND * 30)
    assert nothing()
    sent(message)
    pass_time(HOUR)
    assert events(taken()) == [later.pk]


def test_who_never_comes_back_has_the_same_message_sent_again() -> None:
    write()
    write()
    first = taken()
    write()
    pass_time(outbox.HOLD)
    again = taken()
    assert (again.id, again.changes) == (first.id, first.changes)
    assert (first.attempt, again.attempt) == (1, 2)


def test_what_has_arrived_is_over() -> None:
    event = write()
    sent(taken())
    assert notice(event).sent is not None
    pass_time(DAY)
    assert nothing()


@pytest.mark.parametrize(
    ("attempt", "pause"),
    [
        *((1, MINUTE), (2, 2 * MINUTE), (3, 4 * MINUTE), (6, 32 * MINUTE)),
        *((7, HOUR), (20, HOUR), (10_000, HOUR)),
    ],
)
def test_each_failure_doubles_the_pause_up_to_an_hour(attempt: int, pause: dt.timedelta) -> None:
    assert pause_after(attempt) == pause


def test_what_fails_is_tried_again_with_its_number() -> None:
    event = write()
    first = taken()
    failed(first)
    assert (notice(event).error, notice(event).attempts) == ("It is down.", 1)
    assert nothing()
    pass_time(MINUTE)
    second = taken()
    assert (second.id, second.attempt) == (first.id, 2)
    assert notice(event).error == ""
    failed(second)
    pass_time(2 * MINUTE - SECOND * 30)
    assert nothing()
    pass_time(SECOND * 30)
    assert taken().attempt == 3


def test_nobody_tries_for_longer_than_a_day() -> None:
    event = write()
    message = taken()
    pass_time(DAY - MINUTE)
    failed(message)
    assert notice(event).given_up is None
    pass_time(HOUR)
    failed(taken(), "Still down.")
    assert notice(event).given_up is not None
    assert notice(event).error == "Still down."
    pass_time(DAY)
    assert nothing()


def test_what_waited_for_days_is_tried_once_at_least() -> None:
    write()
    pass_time(3 * DAY)
    assert taken().attempt == 1


def test_a_message_that_kills_whoever_sends_it_is_given_up() -> None:
    event = write()
    for attempt in range(1, outbox.MOST_ATTEMPTS + 1):
        assert taken().attempt == attempt
        pass_time(outbox.HOLD)
    assert nothing()
    assert notice(event).given_up is not None
    assert notice(event).error == outbox.NOBODY_FINISHED


def test_who_comes_back_too_late_disturbs_nobody() -> None:
    event = write()
    late = taken()
    pass_time(outbox.HOLD)
    now = taken()
    failed(late)
    assert (notice(event).error, notice(event).attempts) == ("", 2)
    assert nothing()
    sent(late)  # it has arrived all the same
    failed(now)
    assert notice(event).sent is not None
    pass_time(DAY)
    assert nothing()


def test_one_message_has_only_so_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "AT_MOST", 2)
    made = [write().pk for _ in range(5)]
    messages = [taken(), taken(), taken()]
    assert [events(one) for one in messages] == [made[:2], made[2:4], made[4:]]
    assert len({one.id for one in messages}) == 3
    assert nothing()


def test_something_new_has_what_failed_before_it_tried_first() -> None:
    opened = write()
    failed(taken())
    with recording() as book:
        wake(book, "pager")
    assert nothing()
    resolved = write(EventKind.RESOLVED, finding=opened.finding)
    with recording() as book:
        wake(book, "pager")
    assert events(taken()) == [opened.pk]
    assert events(taken()) == [resolved.pk]


def test_what_somebody_is_sending_is_not_woken() -> None:
    write()
    taken()
    later = write()
    with recording() as book:
        wake(book, "pager")
    assert events(taken()) == [later.pk]
    assert nothing()


def test_where_one_message_arrives_those_that_failed_are_tried_at_once() -> None:
    old = write()
    failed(taken())
    write()
    sent(taken())
    assert events(taken()) == [old.pk]


def test_a_clock_that_was_set_back_keeps_nothing_waiting() -> None:
    write()
    pass_time(-30 * DAY)
    assert taken().attempt == 1
    assert nothing()


@pytest.mark.parametrize("use_tz", [True, False])
def test_no_hour_is_doubled_or_left_out(use_tz: bool) -> None:
    """Berlin, where the hour from 2 to 3 o'clock comes twice in October."""
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Europe/Berlin"):
        event = write()
        failed(taken())
        with recording() as book:
            left = standing(book, "pager", since=book.now)
            assert left.next_try is not None
            assert dt.timedelta() < left.next_try - book.now <= MINUTE
        ((seconds,),) = run(
            "SELECT extract(epoch FROM due)::float FROM trigger_ops_notice WHERE event_id = %s",
            event.pk,
        )
        assert seconds == pytest.approx(left.next_try.timestamp(), abs=1e-3)
        assert nothing()


def test_how_a_destination_stands() -> None:
    with recording() as book:
        since = book.now
        assert standing(book, "pager", since=since) == outbox.Standing()
    write()
    write()
    failed(taken())
    write()
    with recording() as book:
        left = standing(book, "pager", since=since)
    assert (left.waiting, left.error, left.given_up) == (3, "It is down.", 0)
    assert left.next_try is not None
    Notice.objects.filter(batch=None).update(given_up=left.next_try, error="Too long.")
    with recording() as book:
        assert standing(book, "pager", since=since).given_up == 1
        assert standing(book, "pager", since=since).error == "It is down."
        assert standing(book, "pager", since=since + DAY).given_up == 0


def test_destinations_that_are_gone_are_given_up_after_a_while() -> None:
    gone, known = write(EventKind.OPENED, "gone"), write()
    with recording() as book:
        assert give_up_strange(book, ["pager"]) == {}
    pass_time(outbox.STRANGE)
    write(EventKind.OPENED, "gone")
    with recording() as book:
        assert give_up_strange(book, ["pager"]) == {"gone": 1}
        assert give_up_strange(book, ["pager"]) == {}
    assert notice(gone, "gone").error == outbox.NO_SUCH
    assert notice(known).given_up is None
    assert Notice.objects.filter(given_up=None).count() == 2


def test_what_was_pruned_while_it_was_sent_is_no_matter() -> None:
    write()
    message = taken()
    FindingEvent.objects.all().delete()
    sent(message)
    failed(message)
    assert nothing()


def test_many_at_once_never_take_the_same(own_database: BaseDatabaseWrapper) -> None:
    name, count = own_database.settings_dict["NAME"], 4
    made = [write().pk for _ in range(40)]
    barrier = threading.Barrier(count)
    got: list[list[int]] = []

    def work() -> None:
        with default_at(NAME=name):
            run("SELECT 1")
            barrier.wait(timeout=20)
            while True:
                with recording() as book:
                    message = take(book, "pager")
                if message is None:
                    return
                got.append(events(message))
                time.sleep(0)
                sent(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "AT_MOST", 3)
        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(number for one in got for number in one) == made
    assert Notice.objects.filter(sent=None).count() == 0
