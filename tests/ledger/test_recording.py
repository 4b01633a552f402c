"""One transaction at a time writes what checks found, by the database's clock."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from tests.damage import run
from tests.weaknesses.conftest import default_at, empty_database
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.ledger.recording import LOCK, Book, aware, reading_records, recording
from trigger_ops.models import DriftFinding, DriftRun

__all__ = ["empty_database"]

Connect = Callable[..., BaseDatabaseWrapper]

SETTINGS = ("statement_timeout", "lock_timeout", "TimeZone")


def settings_now() -> list[str]:
    return [run(f"SHOW {name}")[0][0] for name in SETTINGS]


def wait_until_free() -> None:
    """Wait for the server to notice that whoever held our lock has gone."""
    deadline = time.monotonic() + 20
    while not run("SELECT pg_try_advisory_xact_lock(%s)", LOCK)[0][0]:
        assert time.monotonic() < deadline


def make_run(book: Book, **values: Any) -> DriftRun:
    return DriftRun.objects.using(book.alias).create(source="test", **values)


@pytest.mark.usefixtures("own_database")
def test_a_book_knows_its_database_its_clock_and_its_backend() -> None:
    with recording() as book:
        ((pid, now),) = run("SELECT pg_backend_pid(), clock_timestamp()")
        assert (book.alias, book.pid) == ("default", pid)
        assert dt.timedelta() <= now - book.now < dt.timedelta(seconds=10)


@pytest.mark.usefixtures("own_database")
def test_while_somebody_writes_nobody_else_does_and_reading_goes_on(
    second_connection: Connect,
) -> None:
    other = second_connection()
    attempt = "SELECT pg_try_advisory_lock(%s)"
    with recording() as book:
        make_run(book)
        with other.cursor() as cursor:
            cursor.execute(attempt, [LOCK])
            assert cursor.fetchone() == (False,)
    with reading_records() as book, other.cursor() as cursor:
        cursor.execute(attempt, [LOCK])
        assert cursor.fetchone() == (True,)


def test_who_waits_for_the_lock_too_long_says_so(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    other = second_connection()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with (
            override_settings(TRIGGER_OPS={"STATEMENT_TIMEOUT": 100}),
            pytest.raises(
                NotRecorded, match=r'"default" cannot be recorded in: .* timeout'
            ) as said,
            recording(),
        ):
            pytest.fail("the lock was somebody else's")
    assert "\n" not in str(said.value)
    other.close()
    wait_until_free()
    with recording():
        pass


@pytest.mark.usefixtures("own_database")
def test_what_fails_leaves_nothing() -> None:
    def write_and(fail: Callable[[], object]) -> None:
        with recording() as book:
            make_run(book)
            fail()

    with pytest.raises(NotRecorded, match="division by zero"):
        write_and(lambda: run("SELECT 1 / 0"))
    with pytest.raises(KeyError):
        write_and(lambda: {}["missing"])
    assert not DriftRun.objects.exists()


# Where it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [recording, reading_records])
class TestAnywhere:
    @pytest.mark.usefixtures("empty_database")
    def test_before_migrate(self, opened: Any) -> None:
        with (
            pytest.raises(NotRecorded, match=r"manage\.py migrate trigger_ops --database default"),
            opened(),
        ):
            pytest.fail("there is no table")

    @override_settings(TRIGGER_OPS={"RECORD_DATABASE": "lite"})
    def test_not_postgresql(self, opened: Any) -> None:
        with pytest.raises(BadSettings, match='"lite", which is not PostgreSQL'), opened():
            pytest.fail("that is SQLite")

    @pytest.mark.parametrize(
        "settings", [{"PORT": "1"}, {"NAME": "no_such_database"}, {"USER": "nobody_at_all"}]
    )
    def test_unreachable(
        self, own_database: BaseDatabaseWrapper, opened: Any, settings: dict[str, str]
    ) -> None:
        secret = {"PASSWORD": "geheim-4711", "HOST": "127.0.0.1"}
        with (
            default_at(**secret, **settings),
            pytest.raises(NotRecorded, match='"default" cannot be recorded in') as said,
            opened(),
        ):
            pytest.fail("nobody is there")
        assert "geheim" not in str(said.value)
        assert "\n" not in str(said.value)

    def test_without_rights(self, own_database: BaseDatabaseWrapper, opened: Any) -> None:
        run("SET ROLE pg_monitor")
        with pytest.raises(NotRecorded, match="permission denied"), opened() as book:
            make_run(book)


def test_a_read_only_database_may_be_read(own_database: BaseDatabaseWrapper) -> None:
    run("SET default_transaction_read_only = on")
    with reading_records() as book:
        assert not DriftRun.objects.using(book.alias).exists()
    with pytest.raises(NotRecorded, match="read-only transaction"), recording() as book:
        make_run(book)


# Inside what somebody else opened -------------------------------------------------------------


@pytest.mark.parametrize("opened", [recording, reading_records])
@pytest.mark.parametrize("use_tz", [True, False])
def test_a_callers_transaction_keeps_its_settings(
    own_database: BaseDatabaseWrapper, opened: Any, use_tz: bool
) -> None:
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Europe/Berlin"), transaction.atomic():
        run("SET LOCAL statement_timeout = '77s'")
        run("SET LOCAL lock_timeout = '11s'")
        before = settings_now()
        with opened():
            assert settings_now()[:2] == ["30s", "30s"]
        assert settings_now() == before
        with pytest.raises(NotRecorded), opened():
            run("SELECT 1 / 0")
        assert settings_now() == before
        assert run("SELECT 1") == [(1,)]


def test_what_was_written_shares_the_fate_of_the_callers_transaction(
    own_database: BaseDatabaseWrapper,
) -> None:
    with transaction.atomic():
        with recording() as book:
            make_run(book)
        transaction.set_rollback(True)
    assert not DriftRun.objects.exists()


def test_without_autocommit_the_caller_commits(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    connection.set_autocommit(False)
    try:
        with recording() as book:
            make_run(book)
        with second_connection().cursor() as cursor:
            cursor.execute("SELECT count(*) FROM trigger_ops_driftrun")
            assert cursor.fetchone() == (0,)
            connection.commit()
            cursor.execute("SELECT count(*) FROM trigger_ops_driftrun")
            assert cursor.fetchone() == (1,)
    finally:
        connection.rollback()
        connection.set_autocommit(True)


@pytest.mark.django_db
def test_a_transaction_that_has_failed_gets_one_sentence() -> None:
    with transaction.atomic():
        with pytest.raises(DatabaseError), transaction.atomic():
            run("SELECT 1 / 0")
        with recording():
            pass
        transaction.set_rollback(True)
        with pytest.raises(NotRecorded, match="cannot be recorded in"), recording():
            pytest.fail("nothing can be written here")


# Clocks -----------------------------------------------------------------------------------------

# The hour from 2 to 3 o'clock comes twice in Berlin on that day.
TWICE = dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
FOUR = [TWICE - HOUR, TWICE, TWICE + HOUR, TWICE + 2 * HOUR]


@pytest.fixture(params=[(True, "UTC"), (True, "Europe/Berlin"), (False, "Europe/Berlin")])
def zone(request: pytest.FixtureRequest, own_database: BaseDatabaseWrapper) -> Iterator[None]:
    """Let a project have a zone, with and without `USE_TZ`."""
    use_tz, name = request.param
    with override_settings(USE_TZ=use_tz, TIME_ZONE=name):
        yield


@pytest.mark.usefixtures("zone")
def test_no_time_is_another_when_it_is_read_again() -> None:
    with recording() as book:
        made = [make_run(book, began=moment) for moment in FOUR]
    for opened in (recording, reading_records):
        with opened() as book:
            read = {one.pk: one for one in DriftRun.objects.using(book.alias)}
            assert [aware(read[one.pk].began) for one in made] == FOUR
            later = DriftRun.objects.using(book.alias).filter(began__gt=TWICE)
            assert later.count() == 2
    ((seconds,),) = run("SELECT extract(epoch FROM max(began))::bigint FROM trigger_ops_driftrun")
    assert seconds == FOUR[-1].timestamp()


@pytest.mark.usefixtures("zone")
def test_the_databases_own_default_is_now() -> None:
    with recording() as book:
        made = DriftRun.objects.using(book.alias).get(pk=make_run(book).pk)
        assert dt.timedelta() <= aware(made.began) - book.now < dt.timedelta(seconds=10)


def test_writers_from_many_threads_take_turns(own_database: BaseDatabaseWrapper) -> None:
    name, count = own_database.settings_dict["NAME"], 4
    barrier, times = threading.Barrier(count), []

    def write() -> None:
        with default_at(NAME=name):
            run("SELECT 1")
            barrier.wait(timeout=20)
            with recording() as book:
                began = book.now
                make_run(book)
                ((ended,),) = run("SELECT clock_timestamp()")
            times.append((began, ended))

    threads = [threading.Thread(target=write) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == count
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times))


def test_a_finding_that_is_open_is_open_once(own_database: BaseDatabaseWrapper) -> None:
    """The database itself refuses what the lock should have kept apart."""
    values = {
        "key": "k",
        "digest": "d",
        "code": "trigger_ops.C001",
        "level": "CRITICAL",
        "database": "default",
        "message": "m",
    }
    with recording() as book:
        seen = {"first_seen": book.now, "last_seen": book.now}
        DriftFinding.objects.create(**values, **seen, resolved=book.now)
        DriftFinding.objects.create(**values, **seen)
    with pytest.raises(NotRecorded, match="trigger_ops_one_open_finding"), recording() as book:
        DriftFinding.objects.create(**values, **seen)
    assert connections["default"].is_usable()
