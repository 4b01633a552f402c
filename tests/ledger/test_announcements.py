"""One run at a time says that it is at work; it is believed while its time and backend last."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from tests.ledger.conftest import make_run, through
from tests.ledger.test_entries import HOSTILE
from tests.weaknesses.conftest import default_at
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.leases import Announcement
from trigger_ops.ledger.announcements import announce, read_announcement, renewal, withdraw
from trigger_ops.ledger.entries import Run
from trigger_ops.models import RunLease
from trigger_ops.states import Verb

MINUTE = dt.timedelta(minutes=1)
PAST = dt.timedelta(seconds=-1)

Connect = Callable[..., BaseDatabaseWrapper]


def announced(one: Run, lasts: dt.timedelta = MINUTE) -> Announcement | None:
    return announce("default", "public", one, lasts)


def renewed(one: Run, lasts: dt.timedelta = MINUTE) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(renewal("public", one.id, lasts))
        return bool(cursor.fetchall())


def at_work() -> uuid.UUID | None:
    found = read_announcement("default", "public")
    return found.run if found else None


def backend() -> int:
    ((pid,),) = run("SELECT pg_backend_pid()")
    return int(pid)


@pytest.mark.usefixtures("own_database")
def test_a_run_announces_itself_and_withdraws() -> None:
    ada = make_run("ada", verb=Verb.PRUNE)
    assert at_work() is None
    assert announced(ada) is None
    found = read_announcement("default", "public")
    assert found is not None
    assert (found.run, found.verb, found.holder) == (ada.id, "prune", "ada")
    assert (found.database, found.pid) == ("default", backend())
    assert abs(found.expires - found.since - MINUTE) < dt.timedelta(seconds=1)
    assert abs(found.since - dt.datetime.now(dt.UTC)) < MINUTE
    withdraw("default", "public", ada.id)
    assert (at_work(), RunLease.objects.count()) == (None, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_a_holder_may_have_any_name(text: str) -> None:
    assert announced(make_run(text)) is None
    found = read_announcement("default", "public")
    assert found is not None
    assert found.holder == text


def test_a_second_run_is_told_who_is_at_work(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    ada, bob = make_run("ada"), make_run("bob")
    announced(ada)
    pid = backend()
    with through(second_connection()):
        found = announced(bob)
        assert found == read_announcement("default", "public")
        withdraw("default", "public", bob.id)
    assert found is not None
    assert (found.run, found.holder, found.pid) == (ada.id, "ada", pid)
    assert at_work() == ada.id
    withdraw("default", "public", ada.id)
    with through(second_connection()):
        assert announced(bob) is None


@pytest.mark.usefixtures("own_database")
def test_a_run_may_announce_itself_again() -> None:
    ada = make_run()
    assert announced(ada) is None
    assert announced(ada) is None
    assert at_work() == ada.id


def test_of_many_runs_at_once_one_is_let_through(own_database: BaseDatabaseWrapper) -> None:
    name, count = own_database.settings_dict["NAME"], 6
    for _ in range(5):
        barrier, answers = threading.Barrier(count), []

        def compete(barrier: Any = barrier, answers: Any = answers) -> None:
            with default_at(NAME=name):
                one = make_run()
                run("SELECT 1")
                barrier.wait(timeout=20)
                answers.append((one.id, announced(one)))
                barrier.wait(timeout=20)

        threads = [threading.Thread(target=compete) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == count
        (winner,) = [one for one, other in answers if other is None]
        assert {other.run for _, other in answers if other} == {winner}
        RunLease.objects.all().delete()


def test_a_run_whose_time_is_up_is_taken_over_from(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    ada, bob = make_run("ada"), make_run("bob")
    announced(ada, PAST)
    assert at_work() is None
    with through(second_connection()):
        assert announced(bob) is None
    assert not renewed(ada)
    withdraw("default", "public", ada.id)
    assert at_work() == bob.id


def test_a_run_whose_backend_is_gone_is_taken_over_from(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    ada, bob = make_run("ada"), make_run("bob")
    with through(second_connection()) as other:
        announced(ada)
        pid = backend()
        other.close()
    deadline = time.monotonic() + 20
    while run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert RunLease.objects.get().run == ada.id
    assert at_work() is None
    assert announced(bob) is None
    assert at_work() == bob.id


@pytest.mark.usefixtures("own_database")
def test_a_late_renewal_returns_nothing_and_changes_nothing() -> None:
    ada = make_run()
    announced(ada, PAST)
    before = RunLease.objects.values().get()
    assert not renewed(ada)
    assert RunLease.objects.values().get() == before


def test_a_renewal_moves_the_end_and_follows_the_run_to_its_backend(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    ada = make_run()
    announced(ada)
    with through(second_connection()):
        pid = backend()
        with own_database.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone() != (pid,)
        with connections["default"].cursor() as cursor:
            cursor.execute(renewal("public", ada.id, 5 * MINUTE))
            assert cursor.fetchall() == [(1,)]
        found = read_announcement("default", "public")
    assert found is not None
    assert found.pid == pid
    assert found.expires - found.since > 4 * MINUTE


@pytest.mark.usefixtures("own_database")
def test_a_run_that_was_never_announced_cannot_renew() -> None:
    announced(make_run())
    assert not renewed(make_run())


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_while_a_renewal_is_under_way_nobody_takes_over(
    own_database: BaseDatabaseWrapper,
    second_connection: Connect,
    settings: Any,
    isolation: str,
) -> None:
    """What others see has expired, but the holder's open transaction has renewed it."""
    settings.TRIGGER_OPS = {"LOCK_TIMEOUT": 100}
    ada, bob = make_run("ada"), make_run("bob")
    announced(ada, dt.timedelta(milliseconds=500))
    with transaction.atomic():
        assert renewed(ada)
        run("SELECT pg_sleep(0.6)")
        with through(second_connection()):
            run(f"SET default_transaction_isolation = '{isolation}'")
            assert at_work() is None
            found = announced(bob)
    assert found is not None
    assert found.run == ada.id
    assert at_work() == ada.id


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_who_waited_for_a_renewal_sees_it(
    own_database: BaseDatabaseWrapper, isolation: str
) -> None:
    name, ada = own_database.settings_dict["NAME"], make_run("ada")
    announced(ada, dt.timedelta(milliseconds=300))
    holds, answered = threading.Event(), threading.Event()

    def renew_slowly() -> None:
        with default_at(NAME=name):
            with transaction.atomic():
                assert renewed(ada)
                holds.set()
                run("SELECT pg_sleep(0.7)")
            answered.wait(timeout=20)

    thread = threading.Thread(target=renew_slowly)
    thread.start()
    run(f"SET default_transaction_isolation = '{isolation}'")
    assert holds.wait(timeout=20)
    run("SELECT pg_sleep(0.3)")
    found = announced(make_run("bob"))
    answered.set()
    thread.join()
    assert found is not None
    assert found.run == ada.id


def test_waiting_for_the_row_does_not_change_the_sessions_lock_timeout(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    run("SET lock_timeout = '77s'")
    announced(make_run())
    assert run("SHOW lock_timeout") == [("77s",)]
    with transaction.atomic():
        announced(make_run())
        assert run("SHOW lock_timeout") == [("77s",)]


@pytest.mark.django_db
def test_there_is_room_for_one_row() -> None:
    announced(make_run())
    values = {"run": uuid.uuid4(), "pid": 1, "expires": dt.datetime.now(dt.UTC)}
    with pytest.raises(IntegrityError), transaction.atomic():
        RunLease.objects.create(one=2, **values)
    with pytest.raises(IntegrityError), transaction.atomic():
        RunLease.objects.create(one=1, **values)


@pytest.mark.django_db
def test_without_our_table_whoever_reads_gets_one_sentence() -> None:
    with pytest.raises(DatabaseUnreadable, match="nowhere"):
        read_announcement("default", "nowhere")
    assert run("SELECT 1") == [(1,)]
