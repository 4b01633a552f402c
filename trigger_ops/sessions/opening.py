"""Opens and closes sessions in the database, and looks at what became of one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.transactions import first_line
from trigger_ops.durations import milliseconds
from trigger_ops.exceptions import SessionRefused
from trigger_ops.ledger.guard import guard_home
from trigger_ops.ledger.tables import moment, named
from trigger_ops.models import Session
from trigger_ops.records import SessionRequest
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.current import outside_all
from trigger_ops.sessions.encodings import fitted, json_text
from trigger_ops.sessions.refusals import refusal_code, state_of
from trigger_ops.sessions.statuses import Status, status_of
from trigger_ops.sessions.workers import ENTERED
from trigger_ops.sql import Composable
from trigger_ops.states import SessionState

_OPEN = "SELECT {home}.trigger_ops_open({asked}::pg_catalog.jsonb)"
_CLOSE = "SELECT {home}.trigger_ops_close({session}, {wanted}, {actor}, {cause})"

# Whoever is active past the end is expired, whether or not anybody has written that down.
_LOOK = """\
SELECT CASE WHEN s.state OPERATOR(pg_catalog.=) 'active'
             AND s.expires OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
            THEN 'expired' ELSE s.state END,
       s.uris::pg_catalog.text, s.triggers::pg_catalog.text, s.opener,
       pg_catalog.timezone('UTC', s.expires), s.end_cause
  FROM {sessions} s WHERE s.id OPERATOR(pg_catalog.=) {session}"""

# Where nothing can be written, nothing can be ignored, and there is nobody to tell of.
_ENTERED = """\
SELECT {home}.trigger_ops_tell(s.id, {kind}, {actor}, {detail}::pg_catalog.jsonb)
  FROM {sessions} s
 WHERE s.id OPERATOR(pg_catalog.=) {session} AND s.state OPERATOR(pg_catalog.=) 'active'
   AND s.expires OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
   AND s.role OPERATOR(pg_catalog.=) session_user
   AND pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off'"""

_AROUND = """\
SELECT pg_catalog.current_setting('transaction_isolation'),
       pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on'"""

READ_ONLY = "25006"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one session is now, by the database's clock."""

    state: SessionState
    uris: tuple[str, ...]
    triggers: tuple[str, ...]
    opener: str
    expires: dt.datetime | None
    end_cause: str


def open_session(alias: str, request: SessionRequest) -> int:
    """Open a session; return its number. It is active at once if it needs nobody's approval.

    Raises:
        SessionRefused: where our tables are missing, the server writes nothing, a second
            connection cannot be had, or the database refuses for a reason of its own.
    """
    with outside_all():
        home = guard_home(alias)
    if home is None:
        raise SessionRefused(
            f'The tables of sessions are missing on "{alias}": run manage.py migrate '
            f"--database {alias}."
        )

    def opening(raw: Any) -> Composable:
        asked = sql.Literal(json_text(_asked(request), raw))
        return sql.SQL(_OPEN).format(home=sql.Identifier(home), asked=asked)

    try:
        return int(_ask_beside(alias, opening)[0][0])
    except DatabaseError as error:
        raise _refusal(alias, error) from error


def close_session(
    alias: str, home: str, session: int, *, wanted: SessionState, actor: str, cause: str
) -> SessionState:
    """Bring a session to its end; return the state that it is in then, which may be another one.

    Raises:
        SessionRefused: when a second connection is needed and cannot be had.
        DatabaseError: for anything the database refuses.
    """

    def closing(raw: Any) -> Composable:
        return sql.SQL(_CLOSE).format(
            home=sql.Identifier(home),
            session=sql.Literal(session),
            wanted=sql.Literal(wanted.value),
            actor=sql.Literal(fitted(actor, raw)),
            cause=sql.Literal(fitted(cause, raw)),
        )

    return SessionState(_ask_beside(alias, closing)[0][0])


def look(
    alias: str, home: str, session: int, *, apart: bool = False, worker: str | None = None
) -> Look | None:
    """Return what a session is now, None where there is none of that number.

    ``worker`` is somebody who is about to work in it: that is put on record if they can.

    Raises:
        SessionRefused: when a second connection is needed and cannot be had.
        DatabaseError: for anything the database refuses.
    """
    statement = sql.SQL(_LOOK).format(sessions=named(home, Session), session=sql.Literal(session))

    def entering(raw: Any) -> Composable:
        return sql.SQL(_ENTERED).format(
            home=sql.Identifier(home),
            sessions=named(home, Session),
            session=sql.Literal(session),
            kind=sql.Literal(ENTERED),
            actor=sql.Literal(fitted(worker or "", raw)),
            detail=sql.Literal(json_text({"host": socket.gethostname(), "pid": os.getpid()}, raw)),
        )

    for state, uris, triggers, opener, expires, cause in _ask_beside(
        alias, lambda _: statement, apart=apart, then=entering if worker is not None else None
    ):
        return Look(
            state=SessionState(state),
            uris=tuple(json.loads(uris)),
            triggers=tuple(json.loads(triggers)),
            opener=opener,
            expires=None if expires is None else moment(expires),
            end_cause=cause,
        )
    return None


def joins_transaction(alias: str) -> bool:
    """Tell whether a session that is opened now joins a transaction of the caller's.

    Raises:
        SessionRefused: where the session could not live in it.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return False
    if connection.connection is None or status_of(connection) is Status.IDLE:
        return connection.in_atomic_block or (
            connection.connection is not None and not connection.autocommit
        )
    if connection.needs_rollback or status_of(connection) is not Status.IN_TRANSACTION:
        raise SessionRefused(
            f'The transaction on "{alias}" has failed already and can only be rolled back: open '
            "the session after that."
        )
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(_AROUND)
        isolation, is_read_only = cursor.fetchone()
    if isolation not in ("read committed", "read uncommitted"):
        raise SessionRefused(
            f"A session cannot begin inside a {isolation.upper()} transaction, which would not "
            "see its end: open the session first, and begin the transaction inside it."
        )
    if is_read_only:
        raise SessionRefused(
            f'The transaction on "{alias}" is read-only: open the session in one that may write.'
        )
    return True


def _ask_beside(
    alias: str,
    ask: Callable[[Any], Composable],
    *,
    apart: bool = False,
    then: Callable[[Any], Composable] | None = None,
) -> list[Any]:
    with beside(alias, apart=apart) as connection, connection.cursor() as cursor:
        cursor.execute(ask(connection.connection))
        rows = list(cursor.fetchall())
        if then is not None:
            cursor.execute(then(connection.connection))
        return rows


def _asked(request: SessionRequest) -> dict[str, Any]:
    return {
        "uris": request.uris,
        "triggers": request.triggers,
        "reason": request.reason,
        "ticket": request.ticket,
        "surface": request.surface,
        "opener": request.actor.name,
        "opener_key": request.actor.key,
        "opener_email": request.actor.email,
        "host": request.host,
        "needs": request.needs,
        "lasts": _interval(request.lasts),
        "idle": _interval(request.idle),
        "longest": _interval(request.longest),
        "waits": _interval(request.waits),
        "most_rows": request.most_rows,
        "most_extensions": request.most_extensions,
        "nonce": request.nonce,
    }


def _interval(length: dt.timedelta) -> str:
    return f"{milliseconds(length)} milliseconds"


def _refusal(alias: str, error: DatabaseError) -> SessionRefused:
    said = first_line(error)
    if refusal_code(error):
        return SessionRefused(f"{said.removeprefix('trigger_ops:').strip()}.")
    if state_of(error) == READ_ONLY:
        return SessionRefused(
            f'"{alias}" writes nothing, for it is read-only or a standby: open the session where '
            "rows can be written."
        )
    return SessionRefused(
        f'"{alias}" did not open the session ({said}): run manage.py pgtrigger guard '
        f"status{for_pgtrigger(alias)}."
    )
