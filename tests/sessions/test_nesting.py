from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic
from django.db.utils import load_backend

from demo_site.past.models import Customer, Invoice, Receipt
from tests.sessions.conftest import (
    CLEAN,
    CUSTOMER,
    RECEIPT,
    Written,
    is_protected,
    renumber,
    session,
    settings_now,
)
from trigger_ops import api
from trigger_ops.exceptions import NotDecorable, TriggerOpsError


def mail(address: str) -> int:
    return Customer.objects.update(email=address)


def mail_is_protected() -> bool:
    try:
        with atomic():
            mail("?")
    except DatabaseError as error:
        return api.is_trigger_error(error)
    return False


@pytest.mark.parametrize("place", ["autocommit", "atomic", "atomic between"])
def test_sessions_nest(
    bound: BaseDatabaseWrapper, receipt: Receipt, customer: Customer, written: Written, place: str
) -> None:
    def act() -> tuple[int, int]:
        with session() as outer:
            renumber(receipt, "outer")
            between = atomic if place == "atomic between" else contextlib.nullcontext
            with between(), session(CUSTOMER) as inner:
                renumber(receipt, "both")
                mail("both@x.example")
            renumber(receipt, "outer again")
            assert mail_is_protected()
        return outer.id, inner.id

    if place == "atomic":
        with atomic():
            outer, inner = act()
    else:
        outer, inner = act()
    # A row belongs to the session that let it through.
    assert [new for _, _, new in written.changes(outer)] == ["outer", "both", "outer again"]
    assert [new for _, _, new in written.changes(inner)] == [None]
    assert is_protected(receipt)
    assert mail_is_protected()
    assert settings_now() == CLEAN


@pytest.mark.parametrize("place", ["autocommit", "atomic"])
@pytest.mark.parametrize("order", ["ignore in session", "session in ignore"])
def test_sessions_nest_with_ignore(
    guarded: BaseDatabaseWrapper,
    receipt: Receipt,
    customer: Customer,
    written: Written,
    order: str,
    place: str,
) -> None:
    blocks = [lambda: pgtrigger.ignore(CUSTOMER, databases=["default"]), session]
    outer, inner = blocks if order == "session in ignore" else blocks[::-1]

    def act() -> Any:
        with outer() as first:
            with inner() as second:
                assert renumber(receipt, "both") == 1
                assert mail("both@x.example") == 1
            if order == "ignore in session":
                assert mail_is_protected()
                assert renumber(receipt, "outer") == 1
            else:
                assert is_protected(receipt)
                assert mail("outer@x.example") == 1
        return first or second

    if place == "atomic":
        with atomic():
            running = act()
            assert is_protected(receipt)
            assert mail_is_protected()
    else:
        running = act()
    assert written.changes(running.id)[0] == ("UPDATE", "wrong", "both")
    assert is_protected(receipt)
    assert mail_is_protected()
    assert settings_now() == CLEAN


def test_g4_databases_do_not_share_a_scope(
    bound: BaseDatabaseWrapper,
    receipt: Receipt,
    customer: Customer,
) -> None:
    # Both aliases are one database here, so that each could let through what the other names.
    other = connections["archive"]
    with (
        _alias_at("archive", bound.settings_dict["NAME"]),
        session(using="default"),
        session(CUSTOMER, using="default") as inner,
    ):
        assert inner.database == "default"
        with connections["archive"].cursor() as cursor, pytest.raises(DatabaseError):
            cursor.execute("UPDATE past_receipt SET number = 'x'")
        renumber(receipt)
        mail("ada@x.example")
    assert connections["archive"] is other


def _alias_at(alias: str, name: str) -> Any:
    @contextlib.contextmanager
    def there() -> Iterator[None]:
        original = connections[alias]
        changed = {**copy.deepcopy(original.settings_dict), "NAME": name}
        connections[alias] = load_backend(changed["ENGINE"]).DatabaseWrapper(changed, alias)
        try:
            yield
        finally:
            connections[alias].close()
            connections[alias] = original

    return there()


def a_generator() -> Iterator[int]:
    yield 1


async def an_async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [a_generator, an_async_generator])
def test_g5_generators_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=f"{function.__name__} gives what runs later"):
        session()(function)
    assert issubclass(NotDecorable, TriggerOpsError)


@pytest.mark.parametrize(
    "function",
    [lambda: a_generator(), lambda: an_async_generator()],
    ids=["generator", "async generator"],
)
def test_g5_what_gives_a_generator_is_refused_when_it_does(
    bound: BaseDatabaseWrapper, function: Callable[..., Any]
) -> None:
    with pytest.raises(NotDecorable):
        session()(function)()


def test_a_decorated_function_has_a_session_for_each_call(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    @session()
    def renumbered(number: str, *, again: bool = False) -> str:
        """Renumber."""
        renumber(receipt, number)
        return renumbered(number * 2) if again else number

    assert renumbered("a", again=True) == "aa"
    assert renumbered.__doc__ == "Renumber."
    rows = written("SELECT session_id, new ->> 'number' FROM trigger_ops_change ORDER BY id")
    assert [number for _, number in rows] == ["a", "aa"]
    assert len({one for one, _ in rows}) == 2
    assert is_protected(receipt)


def test_g6_async_with_and_an_async_decorator(
    everywhere: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    @session()
    async def decorated() -> int:
        return await Receipt.objects.filter(pk=receipt.pk).aupdate(number="decorated")

    async def main() -> int:
        async with session() as running:
            await Receipt.objects.filter(pk=receipt.pk).aupdate(number="right")
            other = await Receipt.objects.acreate(number="gone")
            await other.adelete()
        with pytest.raises(DatabaseError):
            await Receipt.objects.filter(pk=receipt.pk).aupdate(number="late")
        assert await decorated() == 1
        return running.id

    for run in (async_to_sync(main), lambda: asyncio.run(main())):
        number = run()
        assert [(op, new) for op, _, new in written.changes(number)] == [
            ("UPDATE", "right"),
            ("INSERT", "gone"),
            ("DELETE", None),
        ]
        assert written.state(number) == "ended"
    assert is_protected(receipt)


def test_g6_another_task_on_the_same_connection_stays_protected(
    everywhere: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    async def other(entered: asyncio.Event, done: asyncio.Event) -> str:
        await entered.wait()
        try:
            await Receipt.objects.filter(pk=receipt.pk).aupdate(number="other")
        except DatabaseError as error:
            return "protected" if api.is_trigger_error(error) else str(error)
        finally:
            done.set()
        return "changed"

    async def main() -> str:
        entered, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(other(entered, done))
        async with session():
            await Receipt.objects.filter(pk=receipt.pk).aupdate(number="mine")
            entered.set()
            await done.wait()
            await Receipt.objects.filter(pk=receipt.pk).aupdate(number="mine again")
        return await task

    assert asyncio.run(main()) == "protected"
    assert async_to_sync(main)() == "protected"


def test_g6_a_task_that_outlives_the_block_is_protected_again(
    everywhere: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    async def later(ended: asyncio.Event) -> None:
        await ended.wait()
        await Receipt.objects.filter(pk=receipt.pk).aupdate(number="late")

    async def main() -> None:
        ended = asyncio.Event()
        async with session():
            task = asyncio.create_task(later(ended))
            await asyncio.sleep(0)
        ended.set()
        await task

    with pytest.raises(DatabaseError) as caught:
        asyncio.run(main())
    assert api.is_trigger_error(caught.value)


def test_g6_a_plain_block_round_async_code_holds_in_its_thread(
    everywhere: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    async def main() -> None:
        def act() -> None:
            with session():
                renumber(receipt, "right")

        await sync_to_async(act)()

    async_to_sync(main)()
    receipt.refresh_from_db()
    assert receipt.number == "right"


@pytest.mark.parametrize("place", ["autocommit", "atomic"])
def test_g14_another_thread_on_the_same_connection_stays_protected(
    bound: BaseDatabaseWrapper, receipt: Receipt, place: str
) -> None:
    errors: list[BaseException] = []

    def act() -> None:
        connections["default"] = bound
        try:
            with bound.cursor() as cursor:
                cursor.execute("SAVEPOINT other" if place == "atomic" else "SELECT 1")
                try:
                    cursor.execute("UPDATE past_receipt SET number = 'other'")
                except DatabaseError as error:
                    errors.append(error)
                    if place == "atomic":
                        cursor.execute("ROLLBACK TO SAVEPOINT other")
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    bound.inc_thread_sharing()
    try:
        with session(), atomic() if place == "atomic" else contextlib.nullcontext():
            renumber(receipt, "mine")
            thread = threading.Thread(target=act)
            thread.start()
            thread.join()
            renumber(receipt, "mine again")
    finally:
        bound.dec_thread_sharing()
    assert [api.is_trigger_error(one) for one in errors] == [True], errors
    receipt.refresh_from_db()
    assert receipt.number == "mine again"


def test_g14_another_thread_with_a_connection_of_its_own_stays_protected(
    everywhere: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    seen: list[bool] = []

    def act() -> None:
        seen.append(is_protected(receipt))
        connection.close()

    with session():
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
    assert seen == [True]


def test_an_id_form_goes_on_after_its_block(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    from tests.sessions.test_requests import opened

    number = opened()
    for value in ("first", "second"):
        with api.session(id=number) as running:
            renumber(receipt, value)
        assert is_protected(receipt)
    assert running.uris == (RECEIPT,)
    assert written.state(number) == "active"
    assert [new for _, _, new in written.changes(number)] == ["first", "second"]


def test_invoices_are_out_of_scope_of_all(guarded: BaseDatabaseWrapper) -> None:
    invoice = Invoice.objects.create(number="1", total=1)
    with session(), session(CUSTOMER), pytest.raises(DatabaseError):
        invoice.delete()
