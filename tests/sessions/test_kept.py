"""Transactions that cannot write, from their beginning, from a savepoint on, or from then on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Customer, Receipt
from tests.sessions.conftest import (
    CLEAN,
    CUSTOMER,
    REASON,
    RECEIPT,
    Written,
    is_protected,
    renumber,
    session,
    settings_now,
)
from trigger_ops import api
from trigger_ops.sessions import kept
from trigger_ops.sessions.statements import may_end_reading, may_make_read_only

WAYS = [
    "SET TRANSACTION READ ONLY",
    "SET LOCAL transaction_read_only = on",
    "SELECT set_config('transaction_read_only', 'on', true)",
    "SELECT 1; SET TRANSACTION READ ONLY",
]


def raw(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


class TakenBack(Exception):
    pass


def released(way: str) -> None:
    with atomic():
        raw(way)
        assert Receipt.objects.count() == 1


def rolled_back(way: str) -> None:
    with contextlib.suppress(TakenBack), atomic():
        raw(way)
        with contextlib.suppress(TakenBack), atomic():
            raise TakenBack
        raise TakenBack


def updates(written: Written, number: int) -> int:
    """Return how many UPDATE statements of a session are on record."""
    return len([text for text, *_ in written.statements(number) if text.startswith("UPDATE")])


@contextlib.contextmanager
def by_number() -> Iterator[api.RunningSession]:
    """Be in a session that goes on after the block."""
    number = api.open_session(RECEIPT, reason=REASON).id
    with api.session(id=number) as running:
        yield running


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("read", [released, rolled_back], ids=lambda read: read.__name__)
@pytest.mark.parametrize("opened", [session, by_number], ids=["opened here", "goes on"])
def test_a_savepoint_that_only_reads_changes_nothing_for_what_follows(
    bound: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    opened: Callable[[], contextlib.AbstractContextManager[api.RunningSession]],
    read: Callable[[str], None],
    way: str,
) -> None:
    with atomic():
        with opened() as running:
            renumber(receipt, "before")
            read(way)
            renumber(receipt, "after")
            read(way)
        assert settings_now() == CLEAN
        assert is_protected(receipt)
    assert [new for *_, new in written.changes(running.id)] == ["before", "after"]
    assert updates(written, running.id) == 2
    findings = api.session_report(running.id).findings
    assert [one for one in findings if "is active still" not in one] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_session_is_left_where_its_transaction_cannot_write(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, way: str
) -> None:
    with atomic():
        with atomic():
            with session() as running:
                renumber(receipt, "before")
                raw(way)
            assert settings_now() == CLEAN
        assert is_protected(receipt)
    assert updates(written, running.id) == 1


def test_an_outer_session_is_in_what_follows_an_inner_one_that_only_read(
    bound: BaseDatabaseWrapper, receipt: Receipt, customer: Customer, written: Written
) -> None:
    with session(CUSTOMER) as outer, atomic():
        with atomic():
            with session() as inner:
                renumber(receipt, "inner")
                raw("SET TRANSACTION READ ONLY")
            assert settings_now()[0] == str(outer.id)
        assert is_protected(receipt)
        Customer.objects.update(email="ada@new.example")
    assert updates(written, inner.id) == 1
    assert len(written.changes(outer.id)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_was_written_before_a_transaction_only_reads_is_on_record(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, way: str
) -> None:
    with session() as running, atomic():
        renumber(receipt, "right")
        raw(way)
        assert Receipt.objects.get().number == "right"
    assert [new for *_, new in written.changes(running.id)] == ["right"]
    assert updates(written, running.id) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_transaction_that_only_reads_is_committed(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, way: str
) -> None:
    with session() as running, atomic():
        raw(way)
        assert Receipt.objects.count() == 1
    assert written.changes(running.id) == []


def test_every_transaction_of_a_connection_may_be_one_that_only_reads(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    try:
        with session() as running:
            raw("SET default_transaction_read_only = on")
            with atomic():
                assert Receipt.objects.count() == 1
            assert Receipt.objects.count() == 1
            raw("SET default_transaction_read_only = off")
            renumber(receipt, "right")
    finally:
        raw("SET default_transaction_read_only = off")
    assert [new for *_, new in written.changes(running.id)] == ["right"]


def test_a_transaction_that_may_write_after_all_is_in_the_session(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        raw("BEGIN READ ONLY")
        raw("SET TRANSACTION READ WRITE")
        renumber(receipt, "right")
        raw("COMMIT")
    assert [new for *_, new in written.changes(running.id)] == ["right"]
    assert updates(written, running.id) == 1


def test_a_statement_that_would_have_made_it_read_only_and_failed_takes_nothing_along(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running, atomic():
        renumber(receipt, "before")
        with pytest.raises(Exception, match="transaction_read_only"), atomic():
            raw("SET LOCAL transaction_read_only = perhaps")
        renumber(receipt, "after")
    assert [new for *_, new in written.changes(running.id)] == ["before", "after"]
    assert updates(written, running.id) == 2
    said = [error for text, _, error in written.statements(running.id) if "perhaps" in text]
    assert said == ["22023"]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        *((way, True) for way in WAYS),
        ("set transaction read\n write", True),
        ("SET default_transaction_read_only = on", True),
        ("UPDATE past_receipt SET number = 'read only'", False),
        ('SELECT "read only" FROM t -- read only', False),
        ("UPDATE past_receipt SET already_read = true", False),
        ("ROLLBACK TO SAVEPOINT s", False),
    ],
)
def test_what_says_that_nothing_is_written(statement: str, says: bool) -> None:
    assert may_make_read_only(statement) is says
    assert may_end_reading(statement) is (says or statement.startswith("ROLLBACK"))


def test_a_statement_that_says_nothing_of_it_costs_no_question(
    bound: BaseDatabaseWrapper, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(kept.Kept, "look", lambda _, **took: asked.append(took))
    with session(), atomic():
        with atomic():
            renumber(receipt, "read only")
        with contextlib.suppress(TakenBack), atomic():
            renumber(receipt)
            raise TakenBack
    assert asked == []
