"""Which sessions the running code is in: a task and a thread have their own."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import datetime as dt
from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper


@dataclasses.dataclass(eq=False, kw_only=True, slots=True)
class Presence:
    """That code is in a session, on one connection.

    ``refused`` is the code (``TO0xx``) of the first statement that the database refused by a rule
    of sessions; ``live`` is False once the block has ended, wherever its code still runs.
    """

    id: int
    database: str
    uris: tuple[str, ...]
    triggers: tuple[str, ...]
    expires: dt.datetime
    home: str = dataclasses.field(repr=False)
    actor: str = dataclasses.field(repr=False)
    opened_here: bool = dataclasses.field(repr=False)
    connection: BaseDatabaseWrapper = dataclasses.field(repr=False)
    refused: str | None = None
    live: bool = dataclasses.field(default=True, repr=False)


_present: contextvars.ContextVar[tuple[Presence, ...]] = contextvars.ContextVar(
    "trigger_ops_sessions", default=()
)
_asking: contextvars.ContextVar[bool] = contextvars.ContextVar("trigger_ops_asking", default=False)


def sessions_on(connection: BaseDatabaseWrapper) -> tuple[Presence, ...]:
    """Return the sessions that the running code is in on a connection, innermost first."""
    return tuple(
        one for one in reversed(_present.get()) if one.live and one.connection is connection
    )


def is_inside(session: Presence) -> bool:
    """Tell whether the running code is in a session, be it over."""
    return session in _present.get()


def begin(session: Presence) -> None:
    """Let the running code be in one more session; it is in none twice."""
    if session not in _present.get():
        _present.set((*_present.get(), session))


def end(session: Presence) -> None:
    """Take the running code out of a session, wherever it was begun."""
    session.live = False
    _present.set(tuple(one for one in _present.get() if one is not session))


@contextlib.contextmanager
def outside_all() -> Iterator[None]:
    """Run what is inside as if no session had been opened."""
    before = _present.set(())
    try:
        yield
    finally:
        _present.reset(before)


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Run what is inside as questions of our own, whose refusal is told by whoever asks."""
    before = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(before)


def is_asking() -> bool:
    """Tell whether the running code asks a question of our own."""
    return _asking.get()
