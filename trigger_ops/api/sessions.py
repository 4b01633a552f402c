"""Audited sessions, in which named triggers stand aside for a while."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS

from trigger_ops.api.inspecting import known
from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import Actor
from trigger_ops.sessions import current
from trigger_ops.sessions.blocks import SessionBlock
from trigger_ops.sessions.opening import joins_transaction, look
from trigger_ops.sessions.refusals import is_trigger_error, refusal_code
from trigger_ops.sessions.requests import actor_of, guard_on, session_request
from trigger_ops.sessions.running import RunningSession, begin, open_here
from trigger_ops.sessions.scopes import refuse_deferred
from trigger_ops.sessions.watching import rejections

__all__ = ["RunningSession", "is_trigger_error", "refusal_code", "session"]


def session(
    *selectors: str,
    reason: str = "",
    actor: Actor | str | None = None,
    ticket: str | None = None,
    duration: str | dt.timedelta | None = None,
    using: str | None = None,
    history: bool = False,
    id: int | None = None,  # noqa: A002 - the name that callers write
    surface: str = "code",
) -> SessionBlock:
    """Have triggers stand aside for a block of code, on record: who, why, and which rows.

    Use it as ``with session("app.Model:name", reason="…") as running``, as ``async with``, or as a
    decorator of a function or an ``async def``, which then has a session for each call. Sessions
    nest, with each other and with ``pgtrigger.ignore()``. The session is ended with the block.

    ``session(id=12)`` works in a session that was opened, and where need be approved, before; it
    goes on after the block. ``actor`` is ``user:NAME`` or ``os:user@host``, the user that this
    process runs as if it is not given; ``duration`` is a time such as "15m". ``history`` lets
    triggers that write history stand aside too where a wide selector sweeps them in.

    Statements are kept as they are sent, with placeholders: parameters are never recorded, but
    literals that were typed into raw SQL are part of it. Only the connection of ``using`` in the
    thread or task that opened the session is in it. COPY, ``callproc()``, CALL and DO outside a
    transaction are not: use ``transaction.atomic()``. In a ``with`` block, a generator that is
    suspended leaves its caller in the session.

    When the block begins it raises, and nothing is changed:
        UnknownSelector, UnknownDatabase: naming the nearest match.
        BadDuration: for what is no duration.
        SessionRefused: in a sentence that says what to do; so does a session that is not approved.
        SessionOver: for an id whose session has ended.

    A statement that is refused inside raises the driver's own error; :func:`refusal_code` gives
    its code. What the block raises is never replaced. When it raised nothing, but its session was
    revoked before its end, or expired and refused something, SessionOver is raised; for an ``id``,
    whenever it has expired.
    """
    if id is not None:
        if selectors or reason or duration is not None or ticket is not None or history:
            raise SessionRefused(
                f"Session {id} was asked for already, with its triggers and its reason: give its "
                "id alone."
            )
        return SessionBlock(functools.partial(_resume, id, actor, using))
    return SessionBlock(
        _opening(selectors, reason, actor, ticket, duration, using, history, surface)
    )


def _opening(
    selectors: tuple[str, ...],
    reason: str,
    actor: Actor | str | None,
    ticket: str | None,
    duration: str | dt.timedelta | None,
    using: str | None,
    history: bool,  # noqa: FBT001 - always given by name
    surface: str,
) -> Callable[[], current.Presence]:
    def begin_new() -> current.Presence:
        alias = known(using or DEFAULT_DB_ALIAS)
        with rejections(alias, "a session", actor=actor, triggers=selectors, reason=reason):
            # What is asked here is none of the sessions that this one is opened in.
            with current.outside_all():
                joins = joins_transaction(alias)
                guard = guard_on(alias)
                request = session_request(
                    selectors,
                    alias=alias,
                    reason=reason,
                    actor=actor,
                    surface=surface,
                    ticket=ticket,
                    lasts=duration,
                    history=history,
                    owns_transaction=not joins,
                )
            return open_here(alias, guard.home, request)

    return begin_new


def _resume(number: int, actor: Actor | str | None, using: str | None) -> current.Presence:
    alias = known(using or DEFAULT_DB_ALIAS)
    with rejections(alias, "to work in a session", actor=actor, session=number):
        with current.outside_all():
            joins = joins_transaction(alias)
            guard = guard_on(alias)
            if joins:
                found = look(alias, guard.home, number)
                refuse_deferred(alias, found.triggers if found is not None else ())
        return begin(alias, guard.home, number, actor=actor_of(actor).name, opened_here=False)
