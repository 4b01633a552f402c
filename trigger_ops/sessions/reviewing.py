"""Gives a pending session somebody's yes or no."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import Actor
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.clearing import NO_RIGHT
from trigger_ops.sessions.encodings import fitted
from trigger_ops.sessions.opening import READ_ONLY
from trigger_ops.sessions.refusals import refusal_code, state_of
from trigger_ops.sql import Composable
from trigger_ops.states import SessionState

APPROVE, DENY = "approve", "deny"

_REVIEW = "SELECT {home}.trigger_ops_review({session}, {name}, {key}, {verdict}, {remark})"


def review(
    alias: str, home: str, session: int, *, reviewer: Actor, verdict: str, remark: str = ""
) -> SessionState:
    """Put one review on record; return the state that the session is in then.

    Raises:
        SessionRefused: for one's own request, a second vote, what is not pending any more, and
            somebody who is no user of Django.
        DatabaseError: for anything else that the database refuses.
    """

    def reviewing(raw: Any) -> Composable:
        return sql.SQL(_REVIEW).format(
            home=sql.Identifier(home),
            session=sql.Literal(session),
            name=sql.Literal(fitted(reviewer.name, raw)),
            key=sql.Literal(fitted(reviewer.key, raw)),
            verdict=sql.Literal(verdict),
            remark=sql.Literal(fitted(remark.replace("\0", "").strip(), raw)),
        )

    return SessionState(ask(alias, reviewing)[0][0])


def ask(
    alias: str,
    statement: Callable[[Any], Composable],
    *,
    around: Callable[[BaseDatabaseWrapper], contextlib.AbstractContextManager[None]] | None = None,
) -> list[tuple[Any, ...]]:
    """Call one of the database's functions for sessions, beside whatever transaction is open.

    ``statement`` makes it for the driver's connection, whose encoding texts have to fit. ``around``
    is what the call happens in, by the connection that it is made on.

    Raises:
        SessionRefused: when a rule of sessions refuses, the role has no right to the function,
            nothing can be written, or a second connection is needed and cannot be had.
        DatabaseError: for anything else that the database refuses.
    """
    try:
        with (
            beside(alias) as connection,
            connection.cursor() as cursor,
            around(connection) if around is not None else contextlib.nullcontext(),
        ):
            cursor.execute(statement(connection.connection))
            return list(cursor.fetchall())
    except DatabaseError as error:
        sentence = _refusal(alias, error)
        if sentence is None:
            raise
        raise SessionRefused(sentence) from error


def _refusal(alias: str, error: DatabaseError) -> str | None:
    said = first_line(error)
    if refusal_code(error):
        sentence = said.removeprefix("trigger_ops:").strip()
        return f"{sentence[:1].upper()}{sentence[1:]}."
    if state_of(error) == READ_ONLY:
        return (
            f'"{alias}" writes nothing, for it is read-only or a standby: name the database '
            "where sessions are opened."
        )
    if state_of(error) == NO_RIGHT:
        return (
            f'On "{alias}", {said}: add the role to TRIGGER_OPS["APP_ROLES"], and have the owner '
            f"of the tables run manage.py pgtrigger guard install{for_pgtrigger(alias)}."
        )
    return None
