from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import atomic

from demo_site.past.models import Customer, Receipt
from tests.sessions.conftest import (
    CLEAN,
    CUSTOMER,
    Written,
    is_protected,
    renumber,
    revoke,
    session,
    settings_now,
)
from trigger_ops import api
from trigger_ops.exceptions import SessionOver
from trigger_ops.states import SessionState


def duplicate() -> None:
    pk = Receipt.objects.create(number="first").pk
    Receipt(pk=pk, number="second").save(force_insert=True)


def too_long() -> None:
    Receipt.objects.create(number="x" * 100)


def broken_raw() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM nowhere")


def python_error() -> None:
    raise ValueError("mine")


ERRORS = {
    "IntegrityError": (duplicate, IntegrityError),
    "DataError": (too_long, DataError),
    "ProgrammingError": (broken_raw, ProgrammingError),
    "ValueError": (python_error, ValueError),
}


def atomic_outside(act: Callable[[], None]) -> None:
    with atomic(), session():
        act()


def atomic_inside(act: Callable[[], None]) -> None:
    with session(), atomic():
        act()


def no_atomic(act: Callable[[], None]) -> None:
    with session():
        act()


PLACES = [atomic_outside, atomic_inside, no_atomic]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("error", ERRORS)
def test_g1_an_error_of_the_block_comes_out_as_itself(
    bound: BaseDatabaseWrapper, receipt: Receipt, place: Any, error: str
) -> None:
    act, kind = ERRORS[error]
    with pytest.raises(kind) as caught:
        place(act)
    assert caught.type is kind
    assert is_protected(receipt)
    assert settings_now() == CLEAN


@pytest.mark.parametrize("error", ERRORS)
def test_g1_an_error_handled_inside_is_none(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, error: str
) -> None:
    act, kind = ERRORS[error]
    with atomic(), session() as running:
        with pytest.raises(kind), atomic():
            act()
        assert renumber(receipt, "right") == 1
    assert written.changes(running.id)[-1] == ("UPDATE", "wrong", "right")
    assert is_protected(receipt)


def test_g1_an_error_handled_inside_without_a_savepoint_leaves_the_block_quietly(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with atomic():
        with session(), pytest.raises(ProgrammingError):
            broken_raw()
        connection.set_rollback(True)
    assert is_protected(receipt)


def test_g16_a_trigger_error_is_known_by_its_sqlstate(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with pytest.raises(ProgrammingError if is_psycopg3 else InternalError) as caught:
        renumber(receipt)
    assert api.is_trigger_error(caught.value)
    assert caught.value.__cause__ is not None
    assert api.is_trigger_error(caught.value.__cause__)
    assert api.refusal_code(caught.value) is None


@pytest.mark.parametrize(
    "act", [duplicate, too_long, broken_raw, python_error], ids=lambda act: act.__name__
)
def test_g16_no_other_error_is_one(bound: BaseDatabaseWrapper, act: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the case raises
        act()
    assert not api.is_trigger_error(caught.value)


def test_a_failed_statement_is_on_record_without_its_parameters(
    bound: BaseDatabaseWrapper,
    written: Written,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "trigger_ops"), session() as running:
        with pytest.raises(DataError):
            too_long()
        ((template, rows, error),) = written.statements(running.id)
    assert template.startswith('INSERT INTO "past_receipt"')
    assert "xxx" not in template
    assert (rows, error) == (None, "22001")
    assert "22001" in caplog.text
    assert "xxx" not in caplog.text


def test_a_failed_statement_of_a_transaction_outlives_it(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        with pytest.raises(DataError), atomic():
            renumber(receipt)
            too_long()
        assert [error for _, _, error in written.statements(running.id)] == ["22001"]
    assert written.changes(running.id) == []


def test_a_statement_after_a_revoke_is_refused_and_recorded(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError) as caught, session() as running:
        renumber(receipt, "right")
        revoke(written, running.id)
        renumber(receipt, "too late")
    assert api.refusal_code(caught.value) == "TO002"
    assert not api.is_trigger_error(caught.value)
    assert running.refused == "TO002"
    assert running.over(caught.value)
    assert running.state() is SessionState.REVOKED
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]
    assert written.events(running.id) == ["requested", "activated", "revoked", "refused"]


def test_a_revoke_between_statements_of_a_transaction_takes_all_of_it(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError) as caught, session() as running, atomic():
        renumber(receipt, "right")
        revoke(written, running.id)
        renumber(receipt, "too late")
    assert api.refusal_code(caught.value) == "TO002"
    assert written.changes(running.id) == []
    receipt.refresh_from_db()
    assert receipt.number == "wrong"


def test_a_revoke_before_the_commit_refuses_that(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError) as caught, session() as running, atomic():
        renumber(receipt, "right")
        revoke(written, running.id)
    assert api.refusal_code(caught.value) == "TO005"
    assert running.refused == "TO005"
    assert written.changes(running.id) == []
    assert "refused" in written.events(running.id)
    assert is_protected(receipt)


def test_a_refusal_that_the_block_swallows_comes_out_at_its_end(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(SessionOver, match="revoked"), session() as running:
        revoke(written, running.id)
        with pytest.raises(ProgrammingError):
            renumber(receipt)
    assert is_protected(receipt)


def test_a_block_whose_session_was_revoked_is_told_even_if_nothing_was_refused(
    bound: BaseDatabaseWrapper, written: Written
) -> None:
    with pytest.raises(SessionOver, match="revoked"), session() as running:
        revoke(written, running.id)


def test_what_the_block_raises_is_not_replaced_by_that(
    bound: BaseDatabaseWrapper, written: Written
) -> None:
    with pytest.raises(ValueError, match="mine"), session() as running:
        revoke(written, running.id)
        python_error()


def test_an_expired_session_refuses_the_next_statement(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError) as caught, session(duration="1s") as running:
        written("SELECT pg_sleep(1.1)::text")
        renumber(receipt)
    assert api.refusal_code(caught.value) == "TO002"
    assert running.over(caught.value)
    assert is_protected(receipt)


def test_a_statement_that_runs_into_the_end_is_stopped(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with pytest.raises(OperationalError) as caught, session(duration="1s") as running, atomic():
        renumber(receipt)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)::text")
    assert running.over(caught.value)
    assert is_protected(receipt)
    assert settings_now() == CLEAN


def test_a_connection_that_is_ended_for_a_revoke_is_recognised(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(Error) as caught, session() as running, atomic():
        renumber(receipt)
        revoke(written, running.id)
        written(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid = 1953656688 AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            running.id,
        )
        renumber(receipt)
    assert running.over(caught.value)
    connection.close()
    assert written.changes(running.id) == []
    assert is_protected(receipt)


def test_an_error_of_the_user_is_none_of_a_session_that_is_over(
    bound: BaseDatabaseWrapper,
) -> None:
    with session() as running:
        with pytest.raises(DataError) as caught:
            too_long()
        assert not running.over(caught.value)
        assert not running.over(ValueError())


def test_a_trigger_out_of_scope_stays_on(
    bound: BaseDatabaseWrapper, receipt: Receipt, customer: Customer, written: Written
) -> None:
    with session() as running:
        with pytest.raises((ProgrammingError, InternalError)) as caught:
            Customer.objects.update(email="ada@new.example")
        assert renumber(receipt, "right") == 1
    assert api.is_trigger_error(caught.value)
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]
    with session(CUSTOMER):
        assert Customer.objects.update(email="ada@new.example") == 1


def test_too_many_rows_are_refused(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"SESSION_ROWS": 2}
    with pytest.raises(ProgrammingError) as caught, session() as running:
        for number in ("a", "b", "c"):
            renumber(receipt, number)
    assert api.refusal_code(caught.value) == "TO007"
    assert running.refused == "TO007"
    assert [new for _, _, new in written.changes(running.id)] == ["a", "b"]
