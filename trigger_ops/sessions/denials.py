"""Denials: what was refused to somebody, in a session or without one, put on record beside it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionRefused
from trigger_ops.ledger.sessions import LARGEST, REJECTED
from trigger_ops.ledger.tables import home_in, named
from trigger_ops.models import Session
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.recording import told
from trigger_ops.sql import Composable

LOGGER = logging.getLogger("trigger_ops")

LONGEST = 1_000
"""Characters of a text that somebody gave which are recorded; whoever is refused may send any."""

_SESSION = "(SELECT s.id FROM {table} s WHERE s.id OPERATOR(pg_catalog.=) {number})"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """What was refused to somebody: a statement, or a request. It holds no parameters.

    ``session`` is the number of the session that it is about, which need not exist; None for none.
    """

    kind: str
    actor: str
    detail: Mapping[str, Any]
    session: int | None = None


def log_denial(alias: str, one: Denial, *, waits: bool) -> None:
    """Log a denial at once: nothing may be left to write it with.

    Whoever sent a request is told that it is refused; one that is on record by then is no warning.
    """
    level = logging.WARNING if waits or one.kind != REJECTED else logging.INFO
    LOGGER.log(level, "%s", _said(alias, one))


def log_unwritten(alias: str, denials: Sequence[Denial], error: BaseException) -> None:
    """Log denials that will not be on record."""
    for one in denials:
        LOGGER.error("Not on record (%s): %s", first_line(error), _said(alias, one))


def _said(alias: str, one: Denial) -> str:
    what = one.detail.get("request", "a statement")
    text = f'On "{alias}" {one.actor} was refused {what}: {one.detail["message"]}'
    return "".join(char if char.isprintable() else " " for char in text)


def write_denials(
    of: BaseDatabaseWrapper, denials: Sequence[Denial], *, apart: bool
) -> BaseException | None:
    """Put denials of a connection on record, all or none; return what stands in the way.

    ``apart`` is for a connection that is not to be touched, be it idle.
    """
    try:
        with beside(of.alias, apart=apart, of=of) as connection, connection.cursor() as cursor:
            home = home_in(connection)
            if home is None:
                return SessionRefused("the tables of sessions are missing")
            for one in denials:
                cursor.execute(_telling(home, one, connection.connection))
    except Exception as error:  # noqa: BLE001 - whoever was refused is told that, whatever fails here
        return error
    return None


def given(text: str) -> str:
    """Return a text that somebody gave as it is recorded: no longer than need be, without NUL."""
    kept = text.replace("\0", "").strip()
    return kept if len(kept) <= LONGEST else f"{kept[:LONGEST]}…"


def _telling(home: str, one: Denial, raw: Any) -> Composable:
    session: Composable = sql.Literal(None)
    if one.session is not None and 0 < one.session <= LARGEST:
        number = sql.Literal(one.session)
        session = sql.SQL(_SESSION).format(table=named(home, Session), number=number)
    return told(session, home, one.kind, one.actor, one.detail, raw)
