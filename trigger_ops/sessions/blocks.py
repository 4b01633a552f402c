"""Sessions round blocks of code: a context manager, plain and asynchronous, and a decorator."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from trigger_ops.exceptions import NotDecorable
from trigger_ops.sessions import current
from trigger_ops.sessions.running import RunningSession, finish

LOGGER = logging.getLogger("trigger_ops")

F = TypeVar("F", bound=Callable[..., Any])


class SessionBlock:
    """Has triggers stand aside for what runs inside, each time anew.

    ``begin`` opens or finds the session and lets the running code be in it. Threads and tasks may
    be in one block at a time: each has a session of its own.
    """

    def __init__(self, begin: Callable[[], current.Presence]) -> None:
        self._begin = begin
        self._open: list[current.Presence] = []

    def __enter__(self) -> RunningSession:
        presence = self._begin()
        self._open.append(presence)
        return RunningSession(presence)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finish(self._own(), raised)

    async def __aenter__(self) -> RunningSession:
        opened: list[current.Presence] = []

        def close() -> None:
            if opened:
                finish(opened.pop(), cancelled)

        cancelled = await _done(lambda: opened.append(self._begin()))
        if cancelled is not None:
            await _done(close)
            raise cancelled
        current.begin(opened[0])
        self._open.append(opened[0])
        return RunningSession(opened[0])

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        presence = self._own()
        left = [presence]

        def leave() -> None:
            if left:
                finish(left.pop(), raised)

        try:
            cancelled = await _done(leave)
            if left:  # the thread was never asked
                await _done(leave)
        finally:
            current.end(presence)
        if cancelled is not None:
            raise cancelled

    def _own(self) -> current.Presence:
        """Take out the innermost session that the running code is in, of those begun here."""
        begun = self._open.copy()  # others may leave theirs meanwhile
        own = next(filter(current.is_inside, reversed(begun)), begun[-1])
        self._open.remove(own)
        return own

    def __call__(self, function: F) -> F:
        """Run each call of a function in a session of its own, or in the one that has an id.

        Raises:
            NotDecorable: for a generator: whoever iterates over it would be in the session too.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise NotDecorable(_generator(function))
        wrapped = self._asynchronous if inspect.iscoroutinefunction(function) else self._plain
        return wrapped(function)  # type: ignore[return-value]  # it is called as the function is

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*arguments: Any, **named: Any) -> Any:
            with SessionBlock(self._begin):
                result = function(*arguments, **named)
                if inspect.isgenerator(result) or inspect.iscoroutine(result):
                    result.close()
                    raise NotDecorable(_generator(function))
                if inspect.isasyncgen(result):
                    raise NotDecorable(_generator(function))
                return result

        return inside

    def _asynchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def inside(*arguments: Any, **named: Any) -> Any:
            async with SessionBlock(self._begin):
                return await function(*arguments, **named)

        return inside


async def _done(act: Callable[[], object]) -> asyncio.CancelledError | None:
    """Have something done in the thread where Django's asynchronous methods use the connection.

    A cancellation does not stop the thread. So it is waited for, and the cancellation returned: an
    error that comes beside one goes to the log.
    """
    doing = asyncio.ensure_future(sync_to_async(act, thread_sensitive=True)())
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError as error:
            cancelled = error
    if doing.cancelled():  # as the event loop ends, which cancels every task
        return cancelled or asyncio.CancelledError()
    if cancelled is None:
        doing.result()
    elif (failure := doing.exception()) is not None:
        LOGGER.warning("A session was cancelled, and failed", exc_info=failure)
    return cancelled


def _generator(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", repr(function))
    return (
        f"{name} gives what runs later, when its session has ended: open the session where that is "
        "iterated over or awaited."
    )
