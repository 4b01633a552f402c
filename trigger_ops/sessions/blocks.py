"""Sessions round blocks of code: a context manager, plain and asynchronous, and a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from trigger_ops.exceptions import NotDecorable
from trigger_ops.sessions import current
from trigger_ops.sessions.running import RunningSession, finish

F = TypeVar("F", bound=Callable[..., Any])


class SessionBlock:
    """Has triggers stand aside for what runs inside, each time anew.

    ``begin`` opens or finds the session and lets the running code be in it.
    """

    def __init__(self, begin: Callable[[], current.Presence]) -> None:
        self._begin = begin
        self._open: list[current.Presence] = []

    def __enter__(self) -> RunningSession:
        self._open.append(self._begin())
        return RunningSession(self._open[-1])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finish(self._open.pop(), raised)

    async def __aenter__(self) -> RunningSession:
        # In the thread where Django's asynchronous methods use the connection.
        presence = await sync_to_async(self._begin, thread_sensitive=True)()
        current.begin(presence)
        self._open.append(presence)
        return RunningSession(presence)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        presence = self._open.pop()
        try:
            await sync_to_async(finish, thread_sensitive=True)(presence, raised)
        finally:
            current.end(presence)

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


def _generator(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", repr(function))
    return (
        f"{name} gives what runs later, when its session has ended: open the session where that is "
        "iterated over or awaited."
    )
