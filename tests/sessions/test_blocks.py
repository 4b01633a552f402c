"""One block for several threads or tasks, and tasks that are cancelled as they enter or leave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.sessions.conftest import Written, is_protected, renumber, session
from trigger_ops import api
from trigger_ops.sessions import blocks
from trigger_ops.sessions.current import Presence


@pytest.mark.parametrize("leaves_first", ["first", "second"])
def test_threads_have_a_session_each_in_one_block(
    everywhere: BaseDatabaseWrapper, receipt: Receipt, written: Written, leaves_first: str
) -> None:
    block = session()
    is_in = {"first": threading.Event(), "second": threading.Event()}
    is_out = threading.Event()
    numbers: dict[str, int] = {}
    protected: dict[str, bool] = {}

    def act(name: str) -> None:
        try:
            if name == "second":
                assert is_in["first"].wait(20)
            with block as running:
                numbers[name] = running.id
                renumber(receipt, name)
                is_in[name].set()
                assert is_in["second"].wait(20)
                if name != leaves_first:
                    assert is_out.wait(20)
                    renumber(receipt, f"{name} again")
            protected[name] = is_protected(receipt)
        finally:
            is_out.set()
            connection.close()

    threads = [threading.Thread(target=act, args=[name]) for name in is_in]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert protected == {"first": True, "second": True}
    for name, number in numbers.items():
        again = [] if name == leaves_first else [f"{name} again"]
        assert [new for *_, new in written.changes(number)] == [name, *again]
        assert written.state(number) == "ended"


def test_tasks_have_a_session_each_in_one_block(
    everywhere: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    block = session()

    async def main() -> list[int]:
        both_in, first_out = asyncio.Event(), asyncio.Event()

        async def first() -> int:
            async with block as running:
                await both_in.wait()
            with pytest.raises(DatabaseError):
                await Receipt.objects.filter(pk=receipt.pk).aupdate(number="late")
            first_out.set()
            return running.id

        async def second() -> int:
            async with block as running:
                both_in.set()
                await first_out.wait()
                await Receipt.objects.filter(pk=receipt.pk).aupdate(number="right")
            return running.id

        return list(await asyncio.gather(first(), second()))

    first, second = asyncio.run(main())
    assert written.changes(first) == []
    assert [new for *_, new in written.changes(second)] == ["right"]
    assert [written.state(one) for one in (first, second)] == ["ended", "ended"]


def test_one_block_within_itself(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    block = session()
    with block as outer:
        with block as inner:
            renumber(receipt, "inner")
        assert written.state(inner.id) == "ended"
        renumber(receipt, "outer")
    assert [new for *_, new in written.changes(outer.id)] == ["outer"]
    assert is_protected(receipt)


def sessions(written: Written) -> list[tuple[str, str]]:
    return written("SELECT state, end_cause FROM trigger_ops_session ORDER BY id")


def by_its_caller(task: asyncio.Task[None]) -> None:
    task.cancel()


def twice(task: asyncio.Task[None]) -> None:
    task.cancel()
    asyncio.get_running_loop().call_soon(task.cancel)


def with_all_others(task: asyncio.Task[None]) -> None:
    """As an event loop does when it is closed: whatever runs in it, ours too."""
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        if one is not _main:
            one.cancel()


_main: asyncio.Task[None] | None = None


async def cancelled_while(
    act: Callable[[], Awaitable[None]],
    cancel: Callable[[asyncio.Task[None]], None],
    busy: threading.Event,
    goes_on: threading.Event,
) -> None:
    """Cancel what runs while a thread is busy with it, which goes on when that has been seen."""
    global _main
    _main = asyncio.current_task()
    task = asyncio.ensure_future(act())
    while not busy.is_set():
        await asyncio.sleep(0.001)
    cancel(task)
    for _ in range(20):
        await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


CANCELLATIONS = pytest.mark.parametrize(
    "cancel", [by_its_caller, twice, with_all_others], ids=lambda cancel: cancel.__name__
)
RUNS = pytest.mark.parametrize(
    "run",
    [lambda main: asyncio.run(main()), lambda main: async_to_sync(main)()],
    ids=["loop of its own", "within plain code"],
)


@CANCELLATIONS
@RUNS
def test_a_block_that_is_cancelled_as_it_is_entered_leaves_no_session(
    everywhere: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    run: Callable[[Callable[[], Awaitable[None]]], None],
    cancel: Callable[[asyncio.Task[None]], None],
) -> None:
    block = session()
    begin, busy, goes_on = block._begin, threading.Event(), threading.Event()

    def slowly() -> Presence:
        busy.set()
        assert goes_on.wait(20)
        presence: Presence = begin()
        time.sleep(0.01)  # as long as whoever lost interest takes to go
        return presence

    block._begin = slowly

    async def act() -> None:
        async with block:
            raise AssertionError("it was entered")

    async def main() -> None:
        await cancelled_while(act, cancel, busy, goes_on)
        assert await sync_to_async(is_protected)(receipt)

    run(main)
    assert sessions(written) == [("ended", "CancelledError was raised")]


@CANCELLATIONS
@RUNS
@pytest.mark.parametrize("is_late", [False, True], ids=["while it is left", "before it is"])
def test_a_block_that_is_cancelled_as_it_is_left_is_left(
    everywhere: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Callable[[], Awaitable[None]]], None],
    cancel: Callable[[asyncio.Task[None]], None],
    is_late: bool,
) -> None:
    busy, goes_on = threading.Event(), threading.Event()
    others: list[asyncio.Future[None]] = []

    def wait() -> None:
        busy.set()
        assert goes_on.wait(20)

    def slowly(presence: Presence, raised: BaseException | None) -> None:
        wait()
        api_finish(presence, raised)

    api_finish = blocks.finish

    async def act() -> None:
        async with session():
            if is_late:  # somebody else keeps the thread busy
                others.append(asyncio.ensure_future(sync_to_async(wait)()))
                await asyncio.sleep(0)
            else:
                monkeypatch.setattr(blocks, "finish", slowly)

    async def main() -> None:
        await cancelled_while(act, cancel, busy, goes_on)
        monkeypatch.setattr(blocks, "finish", api_finish)
        assert await sync_to_async(is_protected)(receipt)

    run(main)
    assert sessions(written) == [("ended", "")]


def test_a_block_that_is_cancelled_and_cannot_be_entered_is_cancelled(
    everywhere: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    block = session()
    busy, goes_on = threading.Event(), threading.Event()

    def failing() -> Presence:
        busy.set()
        assert goes_on.wait(20)
        raise api.SessionRefused("no")

    block._begin = failing

    async def act() -> None:
        async with block:
            raise AssertionError("it was entered")

    asyncio.run(cancelled_while(act, by_its_caller, busy, goes_on))
    assert "A session was cancelled, and failed" in caplog.text
