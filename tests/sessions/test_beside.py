from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Receipt
from tests.applier.conftest import backend
from tests.damage import make_role, run
from tests.sessions.conftest import (
    RECEIPT,
    Written,
    default_at,
    is_protected,
    renumber,
    session,
)
from tests.sessions.test_requests import opened
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.sessions.beside import beside


def ask(other: BaseDatabaseWrapper, statement: str) -> Any:
    with other.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_outside_a_transaction_it_is_the_own_connection(guarded: BaseDatabaseWrapper) -> None:
    with beside("default") as other:
        assert other is connection._connections["default"]
        assert other.in_atomic_block
        assert ask(other, "SHOW lock_timeout") == "1s"
    assert ask(guarded, "SHOW lock_timeout") == "0"


@pytest.mark.parametrize("how", ["atomic", "autocommit off", "begin"])
def test_inside_one_it_is_another_that_is_closed_again(
    guarded: BaseDatabaseWrapper, written: Written, how: str
) -> None:
    mine = backend(guarded)
    if how == "begin":
        run("BEGIN")
    elif how == "autocommit off":
        guarded.set_autocommit(False)
    try:
        with atomic() if how == "atomic" else contextlib.nullcontext():
            with beside("default") as other:
                assert backend(other) != mine
                assert ask(other, "SHOW lock_timeout") == "1s"
                theirs = backend(other)
                Receipt.objects.using(other.alias)
                ask(other, "INSERT INTO past_receipt (number) VALUES ('stays') RETURNING id")
            assert written("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", theirs) == [
                (0,)
            ]
            run("SELECT 1")
    finally:
        guarded.rollback()
        if how == "autocommit off":
            guarded.set_autocommit(True)
    assert written("SELECT count(*) FROM past_receipt") == [(1,)]


@pytest.mark.parametrize("connected", [False, True])
def test_without_autocommit_it_is_another_that_commits(
    guarded: BaseDatabaseWrapper, written: Written, connected: bool
) -> None:
    with default_at(AUTOCOMMIT=False) as own:
        if connected:
            own.ensure_connection()
        with beside("default") as other:
            assert other is not own
            ask(other, "INSERT INTO past_receipt (number) VALUES ('stays') RETURNING id")
        assert written("SELECT number FROM past_receipt") == [("stays",)]
        with session() as running:
            Receipt.objects.update(number="corrected")
            own.commit()
        own.rollback()
    assert written("SELECT number FROM past_receipt") == [("corrected",)]
    assert written.state(running.id) == "ended"


@pytest.mark.parametrize("apart", [False, True])
def test_an_error_takes_back_what_was_written(
    guarded: BaseDatabaseWrapper, written: Written, apart: bool
) -> None:
    with pytest.raises(ZeroDivisionError), beside("default", apart=apart) as other:
        ask(other, "INSERT INTO past_receipt (number) VALUES ('goes') RETURNING id")
        raise ZeroDivisionError
    assert written("SELECT count(*) FROM past_receipt") == [(0,)]


@pytest.mark.parametrize("apart", [False, True])
def test_nothing_reaches_it(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written, apart: bool
) -> None:
    statement = "UPDATE past_receipt SET number = 'x' RETURNING id"
    with session() as running, pgtrigger.ignore(RECEIPT, databases=["default"]):
        with pytest.raises(DatabaseError) as caught, beside("default", apart=apart) as other:
            ask(other, statement)
        assert api.is_trigger_error(caught.value)
    assert written.changes(running.id) == []


@pytest.fixture
def one_connection(guarded: BaseDatabaseWrapper) -> Iterator[Callable[[], Any]]:
    """Let `default` be a role that may have one connection at a time."""
    role = make_role("alone", options="LOGIN PASSWORD 'alone' CONNECTION LIMIT 1")
    run("GRANT {owner} TO {role}", owner=guarded.settings_dict["USER"], role=role)
    with default_at(USER=role, PASSWORD="alone"):
        yield lambda: None
    guarded.close()
    run("DROP ROLE {role}", role=role)


@pytest.mark.usefixtures("one_connection")
def test_without_a_second_connection_no_session_is_opened_in_a_transaction() -> None:
    receipt = Receipt.objects.create(number="wrong")
    with atomic():
        renumbered = session()
        with pytest.raises(SessionRefused, match=r"A second connection .* too many connections"):
            renumbered.__enter__()
        assert is_protected(receipt)
        assert Receipt.objects.count() == 1
    with session(), atomic():
        assert renumber(receipt) == 1
    assert is_protected(receipt)


@pytest.mark.usefixtures("one_connection")
def test_without_a_second_connection_failures_are_recorded_after_the_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    number = opened()
    with api.session(id=number):
        with pytest.raises(DatabaseError), atomic():
            run("SELECT nonsense")
        caplog.clear()
    rows = run("SELECT template, error FROM trigger_ops_sessionstatement")
    assert rows == [("SELECT nonsense", "42703")]
