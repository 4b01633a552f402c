"""Inspection inside the caller's transaction: it sees what the caller sees, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Invoice, Receipt
from tests import damage
from tests.damage import pgid, run
from tests.weaknesses.expectations import (
    INVOICE,
    assert_clean,
    bad,
    check,
    forget,
    only,
    status_of,
)
from trigger_ops import api
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.states import ExitCode, Status

SETTINGS = (
    "search_path",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "extra_float_digits",
    "bytea_output",
    "quote_all_identifiers",
    "jit",
    "statement_timeout",
    "lock_timeout",
    "enable_nestloop",
    "session_replication_role",
    "transaction_read_only",
    "transaction_isolation",
)


def session() -> dict[str, Any]:
    """Return everything about the session that a reading could have changed."""
    ((ignored,),) = run("SELECT current_setting('pgtrigger.ignore', true)")
    return {
        **{name: run(f"SELECT current_setting('{name}')")[0][0] for name in SETTINGS},
        "pgtrigger.ignore": ignored,
        "temporary": run("SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"),
        "locks": sorted(
            run(
                "SELECT COALESCE(relation::regclass::text, ''), mode FROM pg_locks "
                "WHERE pid = pg_backend_pid() "
                "AND mode NOT IN ('AccessShareLock', 'ExclusiveLock', 'SIReadLock')"
            )
        ),
    }


def odd_settings() -> None:
    """Give the session settings that no reading would choose."""
    run("SET LOCAL search_path = public, pg_temp")
    run("SET LOCAL TimeZone = 'Asia/Kathmandu'")
    run("SET LOCAL DateStyle = 'German, DMY'")
    run("SET LOCAL statement_timeout = '77s'")
    run("SET LOCAL lock_timeout = '66s'")
    run("SET LOCAL quote_all_identifiers = on")


def assert_it_goes_on(number: str) -> None:
    """Demand that the transaction still works and still has the caller's row."""
    assert Receipt.objects.filter(number=number).count() == 1
    Receipt.objects.create(number=f"{number}-after")


@pytest.mark.django_db
def test_inside_atomic_nothing_of_the_callers_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    with transaction.atomic():
        Receipt.objects.create(number="mine")
        odd_settings()
        before = session()
        assert_clean(check())
        assert session() == before
        assert_it_goes_on("mine")


@pytest.mark.django_db
def test_uncommitted_ddl_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    with transaction.atomic():
        damage.gut(pgid(INVOICE))
        assert status_of(check(), INVOICE) is Status.TAMPERED
        run("DROP TRIGGER {trigger} ON past_invoice", trigger=pgid(INVOICE))
        assert status_of(check(), INVOICE) is Status.UNINSTALLED
        damage.stock("install", INVOICE)
        assert_clean(check())


@pytest.mark.django_db
def test_after_an_error_inside_a_savepoint(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    Receipt.objects.create(number="mine")
    with pytest.raises(DatabaseError), transaction.atomic():
        run("SELECT 1 / 0")
    before = session()
    assert_clean(check())
    assert session() == before
    assert_it_goes_on("mine")


@pytest.mark.django_db
def test_a_broken_transaction_is_unknown_and_stays_as_broken_as_it_was() -> None:
    Receipt.objects.create(number="mine")
    point = transaction.savepoint()
    with pytest.raises(DatabaseError):
        run("SELECT 1 / 0")
    report = check()
    assert report.exit_code is ExitCode.INCOMPLETE
    assert not report.complete
    assert {one.status for one in report.databases[0].triggers} == {Status.UNKNOWN}
    assert report.targets[0].status == "unreachable"
    assert "aborted" in report.targets[0].reason
    with pytest.raises(DatabaseUnreadable, match="aborted"):
        api.inspect(INVOICE)
    with pytest.raises(DatabaseError):
        run("SELECT 1")
    transaction.savepoint_rollback(point)
    assert_it_goes_on("mine")
    assert_clean(check())


@pytest.mark.django_db
def test_a_transaction_that_django_calls_broken_is_unknown() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        report = check()
        assert report.exit_code is ExitCode.INCOMPLETE
        assert "can only be rolled back" in report.targets[0].reason
        assert transaction.get_rollback()
        transaction.set_rollback(False)
        assert_clean(check())


@pytest.fixture
def own(own_database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a database where nothing wraps the test in a transaction."""
    yield own_database
    if not own_database.get_autocommit():
        own_database.rollback()
        own_database.set_autocommit(True)


def test_autocommit_off_the_callers_transaction_stays_open(
    own: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch)
    own.set_autocommit(False)
    Receipt.objects.create(number="mine")
    damage.gut(pgid(INVOICE))
    before = session()
    assert bad(check()) == [("trigger_ops.C001", INVOICE)]
    assert session() == before
    assert_it_goes_on("mine")
    own.rollback()
    assert not Receipt.objects.exists()
    assert_clean(check())
    own.rollback()


def test_autocommit_off_and_broken_is_unknown(own: BaseDatabaseWrapper) -> None:
    own.set_autocommit(False)
    with pytest.raises(DatabaseError):
        run("SELECT 1 / 0")
    assert check().exit_code is ExitCode.INCOMPLETE
    own.rollback()
    assert_clean(check())
    own.rollback()


@pytest.mark.parametrize("mode", ["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"])
@pytest.mark.parametrize("access", ["READ WRITE", "READ ONLY"])
def test_every_kind_of_transaction(
    own: BaseDatabaseWrapper, mode: str, access: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a read-only one no stand-in can be made: what needs one is unknown, never green."""
    forget(monkeypatch)
    with transaction.atomic():
        run(f"SET TRANSACTION ISOLATION LEVEL {mode}, {access}")
        before = session()
        report = check()
        assert session() == before
        assert run("SELECT count(*) FROM past_receipt") == [(0,)]
    if access == "READ ONLY":
        assert {one for one, _ in bad(report)} == {"trigger_ops.W004"}
        assert report.exit_code is ExitCode.INCOMPLETE
        assert status_of(report, INVOICE) is Status.INSTALLED
    else:
        assert_clean(report)
    assert own.in_atomic_block is False


def test_a_read_only_transaction_with_remembered_forms_is_whole(own: BaseDatabaseWrapper) -> None:
    assert_clean(check())
    with transaction.atomic():
        run("SET TRANSACTION READ ONLY")
        assert_clean(check())
    assert own.get_autocommit()


def test_under_repeatable_read_the_snapshot_is_the_callers(
    own: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    assert_clean(check())
    with transaction.atomic():
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        run("SELECT count(*) FROM past_receipt")
        with second_connection().cursor() as cursor:
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {pgid(INVOICE)}() RETURNS trigger LANGUAGE plpgsql "
                "AS 'BEGIN RETURN OLD; END'"
            )
        assert_clean(check())
    assert bad(check()) == [("trigger_ops.C001", INVOICE)]
    assert own.in_atomic_block is False


@pytest.mark.django_db
def test_inside_ignore_and_schema_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    invoice = Invoice.objects.create(number="2026-900", total=1)
    with pgtrigger.ignore(INVOICE):
        assert_clean(check())
        assert Invoice.objects.filter(pk=invoice.pk).delete()[0] == 1
        assert_clean(check())
    with pgtrigger.schema("public", "ledger"):
        assert status_of(check(), INVOICE) is Status.INSTALLED
    invoice = Invoice.objects.create(number="2026-901", total=1)
    with pytest.raises(DatabaseError), transaction.atomic():
        invoice.delete()
    assert_clean(check())


def test_outside_a_transaction_the_session_is_as_before(
    own: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch)
    run("SET TimeZone = 'Asia/Kathmandu'")
    run("SET statement_timeout = '77s'")
    run("SET pgtrigger.ignore = '{{pgtrigger_x}}'")
    before = session()
    assert_clean(check())
    assert session() == before
    assert own.get_autocommit()


@pytest.mark.django_db
def test_an_error_in_one_condition_leaves_the_transaction_working(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget(monkeypatch)
    fine, bad_one = (
        pgtrigger.Protect(
            name="condition", operation=pgtrigger.Update, condition=pgtrigger.Condition(text)
        )
        for text in ("OLD.id > 0", "OLD.nonsense > 0")
    )
    with connection.cursor() as cursor:
        cursor.execute(str(fine.compile(Receipt).install_sql))  # type: ignore[arg-type]  # pgtrigger types a class as an instance
    Receipt.objects.create(number="mine")
    with bad_one.register(Receipt):
        report = check()
    assert status_of(report, "past.Receipt:condition") is Status.UNKNOWN
    assert bad(report) == [("trigger_ops.W004", "past.Receipt:condition")]
    assert report.exit_code is ExitCode.INCOMPLETE
    assert_it_goes_on("mine")


@pytest.mark.django_db
def test_a_finding_does_not_end_the_transaction() -> None:
    Receipt.objects.create(number="mine")
    damage.gut(pgid(INVOICE))
    only(check(), "C001", INVOICE)
    assert_it_goes_on("mine")
