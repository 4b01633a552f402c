"""Extends, ends and revokes sessions: of whatever process, on whatever machine."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.utils.translation import gettext_noop as _

from trigger_ops.catalog.reading import LOCK_NOT_AVAILABLE
from trigger_ops.durations import milliseconds
from trigger_ops.exceptions import Sentence, SessionRefused
from trigger_ops.ledger.sessions import LOCK
from trigger_ops.ledger.tables import moment, named
from trigger_ops.models import Session
from trigger_ops.records import SessionRecord
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.clearing import NO_RIGHT, Clearing
from trigger_ops.sessions.encodings import fitted
from trigger_ops.sessions.recording import told
from trigger_ops.sessions.refusals import state_of
from trigger_ops.sessions.reviewing import ask
from trigger_ops.sql import Composable
from trigger_ops.states import SessionState

PATIENCE_SECONDS = 0.04
"""How long the gate gets to stop a running statement by itself, before its connection is ended."""

GOING_SECONDS = 5.0
"""How long a backend that was told to go may take."""

PAUSE_SECONDS = 0.005

KILLED = "killed"
"""The kind of event that tells of ended connections."""

_EXTEND = (
    "SELECT pg_catalog.timezone('UTC', {home}.trigger_ops_extend({session}, {actor}, {longer}))"
)
_CLOSE = "SELECT {home}.trigger_ops_close({session}, {wanted}, {actor}, {cause})"

_LEFT = """\
SELECT CASE WHEN s.state OPERATOR(pg_catalog.=) 'active' AND s.expires OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
            THEN 'expired' ELSE s.state END,
       greatest(s.expires OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp(), interval '0')
  FROM {sessions} s WHERE s.id OPERATOR(pg_catalog.=) {session}"""

# The lock that a transaction takes as it enters a session (sql/sessions.sql, enter).
_HOLDING = """\
  FROM pg_catalog.pg_locks l
 WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.classid OPERATOR(pg_catalog.=) {lock}::pg_catalog.oid
   AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) {session}
   AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
   AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
        WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"""
_HOLDERS = f"SELECT DISTINCT l.pid {_HOLDING} ORDER BY l.pid"

# Only while it is in the session: a pooler may have given the backend to somebody else by now.
_TERMINATE = f"SELECT pg_catalog.pg_terminate_backend(l.pid) {_HOLDING} AND l.pid OPERATOR(pg_catalog.=) {{pid}} LIMIT 1"
_ROLE = "SELECT current_user::pg_catalog.text"

_OVER = (SessionState.EXPIRED, SessionState.ABANDONED)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """What came of a revocation. ``state`` is the session's, which may have ended before.

    ``stopped`` are the pids of backends that left by themselves, ``ended`` those whose connection
    was ended, among them whoever had locked the session; ``remaining`` those that are in the
    session still, because ``role`` has no right to end them: what they do is not kept, for they
    cannot commit, unless they had constraints checked before.
    """

    session: int
    state: SessionState
    was_over: bool
    stopped: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()
    remaining: tuple[int, ...] = ()
    role: str = ""


def left(alias: str, home: str, session: int) -> tuple[SessionState, dt.timedelta]:
    """Return what an entered session is now, and how long it lasts, beside any transaction.

    Raises:
        SessionRefused: when a second connection is needed and cannot be had.
        DatabaseError: when the database cannot be asked.
    """
    statement = sql.SQL(_LEFT).format(sessions=named(home, Session), session=sql.Literal(session))
    for state, remaining in ask(alias, lambda _raw: statement):
        return SessionState(state), remaining
    return SessionState.ABANDONED, dt.timedelta()


def extend(
    alias: str, home: str, session: SessionRecord, *, actor: str, longer: dt.timedelta
) -> dt.datetime:
    """Move the end of an active session; return it, which is never past the session's longest.

    Raises:
        SessionRefused: for one that is over, or was extended as often as it may be.
        DatabaseError: for anything else that the database refuses.
    """
    if session.state in _OVER:
        raise SessionRefused(
            _("Session %(number)s cannot be extended: it is %(state)s; open another one."),
            number=session.id,
            state=Sentence(session.state.value),
        )

    def extending(raw: Any) -> Composable:
        return sql.SQL(_EXTEND).format(
            home=sql.Identifier(home),
            session=sql.Literal(session.id),
            actor=sql.Literal(fitted(actor, raw)),
            longer=sql.Literal(f"{milliseconds(longer)} milliseconds"),
        )

    return moment(ask(alias, extending)[0][0])


def end(alias: str, home: str, session: SessionRecord, *, actor: str) -> SessionState:
    """End a session, or write down that it is over; return the state that it is in then.

    Whoever has locked it in an open transaction loses the connection.

    Raises:
        SessionRefused: when the database refuses, or the role has no right to end who locked it.
        DatabaseError: when it cannot do it now.
    """
    wanted = session.state if session.state in _OVER else SessionState.ENDED
    state, cleared = _close(alias, home, session.id, wanted=wanted, actor=actor, cause="")
    _tell_ended(alias, home, session.id, actor, cleared)
    return state


def revoke(alias: str, home: str, session: SessionRecord, *, actor: str, cause: str) -> Revocation:
    """Stop a session, and whoever is in it: first the row, committed, then the backends.

    Whoever has locked the row in an open transaction loses the connection before that. A statement
    that asks the gate stops by itself; what does not, such as an idle transaction, has its
    connection ended. Where the role has no right to that, nothing more can be written in the
    session all the same. One that was revoked before may have holders still: they are ended too.

    Raises:
        SessionRefused: when the database refuses, or the role has no right to end who locked it.
        DatabaseError: when it cannot do it now.
    """
    wanted = session.state if session.state in _OVER else SessionState.REVOKED
    was_over = session.state not in (SessionState.PENDING, SessionState.ACTIVE)
    state, cleared = _close(alias, home, session.id, wanted=wanted, actor=actor, cause=cause)
    if state is SessionState.ENDED:
        _tell_ended(alias, home, session.id, actor, cleared)
        return Revocation(session=session.id, state=state, was_over=True, ended=cleared)
    first, holders = _left_after_a_while(alias, session.id, PATIENCE_SECONDS)
    denied = {pid for pid in holders if not _terminated(alias, session.id, pid)}
    told_to_go = [pid for pid in holders if pid not in denied]
    _, left = _left_after_a_while(
        alias, session.id, GOING_SECONDS if told_to_go else 0, besides=denied
    )
    _tell_ended(alias, home, session.id, actor, (*cleared, *told_to_go))
    return Revocation(
        session=session.id,
        state=state,
        was_over=was_over or state is not wanted,
        stopped=tuple(pid for pid in first if pid not in holders),
        ended=(*cleared, *(pid for pid in told_to_go if pid not in left)),
        remaining=tuple(left),
        role=_role(alias) if left else "",
    )


def _close(
    alias: str, home: str, session: int, *, wanted: SessionState, actor: str, cause: str
) -> tuple[SessionState, tuple[int, ...]]:
    """Return the state that a session is in then, and who lost the connection for it."""

    def closing(raw: Any) -> Composable:
        return sql.SQL(_CLOSE).format(
            home=sql.Identifier(home),
            session=sql.Literal(session),
            wanted=sql.Literal(wanted.value),
            actor=sql.Literal(fitted(actor, raw)),
            cause=sql.Literal(fitted(cause, raw)),
        )

    try:
        return SessionState(ask(alias, closing)[0][0]), ()
    except DatabaseError as error:
        if state_of(error) != LOCK_NOT_AVAILABLE:
            raise
    clearing = Clearing(alias)
    try:
        state = SessionState(ask(alias, closing, around=clearing.around)[0][0])
    except DatabaseError as error:
        if state_of(error) != LOCK_NOT_AVAILABLE:
            raise
        _tell_ended(alias, home, session, actor, clearing.ended)
        refusal = clearing.refusal or _locked(alias, session, clearing.denied)
        if refusal is None:
            raise
        raise refusal from error
    return state, tuple(clearing.ended)


def _locked(alias: str, session: int, pids: Sequence[int]) -> SessionRefused | None:
    if not pids:
        return None
    return SessionRefused(
        _(
            "Session %(number)s goes on, for it is locked in an open transaction of the backend "
            "%(pids)s, which could not be ended: have a superuser run GRANT pg_signal_backend TO "
            '"%(role)s", or end it with pg_terminate_backend, and try again.'
        ),
        number=session,
        pids=", ".join(map(str, pids)),
        role=_role(alias),
    )


def _role(alias: str) -> str:
    return str(ask(alias, lambda _raw: sql.SQL(_ROLE))[0][0])


def _tell_ended(alias: str, home: str, session: int, actor: str, pids: Sequence[int]) -> None:
    if pids:
        ask(alias, lambda raw: told(session, home, KILLED, actor, {"pids": pids}, raw))


def _left_after_a_while(
    alias: str, session: int, seconds: float, *, besides: set[int] | None = None
) -> tuple[list[int], list[int]]:
    """Return who was in a session at first, and who still is when all or the time is gone."""
    deadline = time.monotonic() + seconds
    with beside(alias) as connection:
        first = now = _holders(connection, session)
        while set(now) - (besides or set()) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
            now = _holders(connection, session)
    return first, now


def _holders(connection: BaseDatabaseWrapper, session: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(_HOLDERS).format(session=sql.Literal(session), lock=sql.Literal(LOCK))
        )
        return [pid for (pid,) in cursor.fetchall()]


def _terminated(alias: str, session: int, pid: int) -> bool:
    """Have one backend ended; False where the role has no right to that."""
    statement = sql.SQL(_TERMINATE).format(
        session=sql.Literal(session), lock=sql.Literal(LOCK), pid=sql.Literal(pid)
    )
    try:
        with beside(alias) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        if state_of(error) != NO_RIGHT:
            raise
        return False
    return True
