"""Connections that are lost in a session: while it is idle, and with its transaction."""

from __future__ import annotations

import pytest
from django.db import Error, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Receipt
from tests.sessions.conftest import Written, is_protected, renumber, session


def lose(written: Written) -> None:
    """End the backend as an administrator would; wait until it is gone."""
    with connection.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    assert written("SELECT pg_terminate_backend(%s, 20000)", pid) == [(True,)]


def test_a_connection_that_was_lost_while_idle_is_made_anew(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        renumber(receipt, "before")
        lose(written)
        with pytest.raises(Error, match=r"terminat|closed"), atomic():
            raise AssertionError("atomic() began")
        assert not connection.in_atomic_block
        with atomic():
            renumber(receipt, "after")
        assert connection.get_autocommit()
        renumber(receipt, "again")
    assert [new for *_, new in written.changes(running.id)] == ["before", "after", "again"]
    assert [error for *_, error in written.statements(running.id)].count("") == 3
    assert written.state(running.id) == "ended"
    assert is_protected(receipt)


def test_a_session_whose_transaction_was_lost_is_ended(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(Error, match=r"terminat|closed"), atomic(), session() as running:
        renumber(receipt)
        lose(written)
    assert written.state(running.id) == "ended"
    assert written("SELECT end_cause FROM trigger_ops_session") == [
        ("OperationalError was raised",)
    ]
    assert written.events(running.id)[-1] == "ended"
    assert written.changes(running.id) == []
    assert is_protected(receipt)


def test_a_session_is_ended_for_the_error_that_its_code_raised(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(KeyError), atomic(), session() as running:
        renumber(receipt)
        lose(written)
        raise KeyError
    assert written.state(running.id) == "ended"
    assert written("SELECT end_cause FROM trigger_ops_session") == [("KeyError was raised",)]
