"""Execute wrappers of others: django-pghistory's, and such as want nothing sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pghistory
import pytest
from django.apps import apps
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Receipt
from tests.sessions.conftest import RECEIPT, Written, is_protected, renumber, session
from trigger_ops import api
from trigger_ops.catalog.transactions import unwrapped, without_injection

TRACKED, EVENT = (apps.get_model("tutorial", name) for name in ("Tracked", "TrackedEvent"))
ADA = {"user": "ada"}


def change(tracked: Any) -> None:
    TRACKED.objects.filter(pk=tracked.pk).update(char_field="%s", int_field=2)


def no_session(tracked: Any) -> None:
    with pghistory.context(**ADA):
        change(tracked)


def session_in_context(tracked: Any) -> None:
    with pghistory.context(**ADA), session():
        change(tracked)


def context_in_session(tracked: Any) -> None:
    with session(), pghistory.context(**ADA):
        change(tracked)


def in_a_transaction(tracked: Any) -> None:
    with session(), atomic(), pghistory.context(**ADA):
        change(tracked)


def session_in_a_transaction(tracked: Any) -> None:
    with atomic(), pghistory.context(**ADA), session():
        change(tracked)


@pytest.mark.parametrize(
    "act",
    [
        no_session,
        session_in_context,
        context_in_session,
        in_a_transaction,
        session_in_a_transaction,
    ],
    ids=lambda act: act.__name__,
)
def test_pghistory_notes_its_context_in_sessions_too(
    guarded: BaseDatabaseWrapper, act: Callable[[Any], None]
) -> None:
    tracked = TRACKED.objects.create(int_field=1, char_field="a")
    before = EVENT.objects.count()
    act(tracked)
    contexts = EVENT.objects.order_by("pgh_id").values_list("pgh_context__metadata", flat=True)
    assert list(contexts)[before:] == [ADA] * (EVENT.objects.count() - before)
    assert EVENT.objects.count() > before


@pytest.mark.parametrize("order", ["context in session", "session in context"])
def test_a_session_is_what_it_is_within_pghistorys_context(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written, order: str
) -> None:
    def context() -> Any:
        return pghistory.context(**ADA)

    first, second = (session, context) if order == "context in session" else (context, session)
    with first() as one, second() as other:
        renumber(receipt, "right")
        with atomic():
            renumber(receipt, "righter")
    number = getattr(one, "id", None) if first is session else other.id
    assert [new for *_, new in written.changes(number)] == ["right", "righter"]
    templates = [template for template, *_ in written.statements(number)]
    assert [text.split()[0] for text in templates] == ["UPDATE", "UPDATE"]
    assert is_protected(receipt)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: api.inspect(RECEIPT),
        api.list_sessions,
        api.check,
        lambda: api.read_log(["default"]),
        lambda: api.open_session(RECEIPT, reason="the numbers were typed wrong"),
    ],
    ids=["inspect", "list sessions", "check", "read the log", "open"],
)
@pytest.mark.parametrize("place", ["autocommit", "atomic"])
def test_questions_are_answered_within_pghistorys_context(
    guarded: BaseDatabaseWrapper, receipt: Receipt, ask: Callable[[], object], place: str
) -> None:
    with pghistory.context(**ADA):
        if place == "atomic":
            with atomic():
                ask()
        else:
            ask()


class Unwanted(Exception):
    pass


def unwanted(execute: Any, sql: Any, *others: Any) -> Any:
    if "trigger_ops" in str(sql) and "nonsense" not in str(sql):
        raise Unwanted(str(sql))
    return execute(sql, *others)


def test_what_failed_is_told_whatever_a_wrapper_says_of_our_statements(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running, connection.execute_wrapper(unwanted):
        with pytest.raises(DatabaseError, match="nonsense"), connection.cursor() as cursor:
            cursor.execute("SELECT nonsense")
        assert api.inspect(RECEIPT)
    assert [error for *_, error in written.statements(running.id)] == ["42703"]
    assert written.state(running.id) == "ended"


def foreign(execute: Any, *arguments: Any) -> Any:
    return execute(*arguments)


def ours(execute: Any, *arguments: Any) -> Any:
    return execute(*arguments)


ours.__module__ = "trigger_ops.sessions.entering"


@pytest.mark.parametrize(
    ("scope", "left"), [(unwrapped, [ours]), (without_injection, [ours, foreign])]
)
def test_wrappers_are_left_out_and_put_back_in_their_order(
    guarded: BaseDatabaseWrapper, scope: Any, left: list[Any]
) -> None:
    def late(execute: Any, *arguments: Any) -> Any:
        return execute(*arguments)

    with (
        connection.execute_wrapper(ours),
        connection.execute_wrapper(foreign),
        pghistory.context(**ADA),
    ):
        context = connection.execute_wrappers[-1]
        with scope(connection):
            assert connection.execute_wrappers == left
            connection.execute_wrappers.insert(0, late)
            connection.execute_wrappers.remove(ours)
        assert connection.execute_wrappers == [late, foreign, context]
        connection.execute_wrappers[:1] = [ours]
    assert connection.execute_wrappers == []
