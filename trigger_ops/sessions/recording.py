"""What is put on record of a session's statements, in its transactions or beside them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionRefused
from trigger_ops.ledger.sessions import REFUSED as REFUSED
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.current import Presence
from trigger_ops.sessions.encodings import fitted, json_text
from trigger_ops.sql import Composable

LOGGER = logging.getLogger("trigger_ops")

_RECORD = "SELECT {home}.trigger_ops_record({session}, {statements}::pg_catalog.jsonb)"
_TELL = "SELECT {home}.trigger_ops_tell({session}, {kind}, {actor}, {detail}::pg_catalog.jsonb)"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a session: ``error`` is its SQLSTATE, ``code`` that of a refusal, or ""."""

    session: Presence
    template: str
    rows: int | None = None
    took_ms: float | None = None
    error: str = ""
    code: str = ""
    message: str = ""


def recorded(statements: Iterable[Statement], raw: Any = None) -> list[Composable]:
    """Return what puts statements on record, in their order: one statement for each session.

    ``raw`` is the driver's connection, where it is not the one that the templates were made for.
    """
    return [
        sql.SQL(_RECORD).format(
            home=sql.Identifier(session.home),
            session=sql.Literal(session.id),
            statements=sql.Literal(json_text([_row(one) for one in some], raw)),
        )
        for session, some in groupby(statements, key=lambda one: one.session)
    ]


def _row(one: Statement) -> dict[str, object]:
    # No time: the database's clock is the one that counts.
    return {
        "template": one.template,
        "rows": one.rows,
        "took_ms": one.took_ms,
        "error": one.error,
    }


def told(
    session: int | Composable, home: str, kind: str, actor: str, detail: object, raw: Any = None
) -> Composable:
    """Return what puts an event on record, over the driver's connection ``raw``."""
    return sql.SQL(_TELL).format(
        home=sql.Identifier(home),
        session=sql.Literal(session) if isinstance(session, int) else session,
        kind=sql.Literal(kind),
        actor=sql.Literal(fitted(actor, raw)),
        detail=sql.Literal(json_text(detail, raw)),
    )


def log_failure(one: Statement) -> None:
    """Log at once that a statement of a session failed: nothing may be left to write it with."""
    LOGGER.warning(
        "Session %s: a statement %s (%s): %s",
        one.session.id,
        "was refused" if one.code else "failed",
        one.code or one.error or "no SQLSTATE",
        one.template,
    )


def record_failures(failures: Sequence[Statement], *, apart: bool = False) -> list[Statement]:
    """Put failed and refused statements on record, apart from what they were part of.

    Return those that could not be written, for want of a second connection as a rule: they are in
    the log already, and may be tried again. ``apart`` is for a connection that is being closed.
    """
    left: list[Statement] = []
    for session, some in groupby(failures, key=lambda one: one.session):
        ours = list(some)
        if not _written(session, ours, apart=apart):
            left += ours
    return left


def log_lost(failures: Sequence[Statement]) -> None:
    """Log that failed statements will not be on record."""
    LOGGER.error(
        "Session %s: %d failed statements could not be put on record: the connection was closed.",
        failures[0].session.id,
        len(failures),
    )


def _written(session: Presence, failures: Sequence[Statement], *, apart: bool) -> bool:
    try:
        with beside(session.database, apart=apart) as connection, connection.cursor() as cursor:
            for statement in _writing(session, failures, connection.connection):
                cursor.execute(statement)
    except (DatabaseError, InterfaceError, SessionRefused) as error:
        LOGGER.warning(
            "Session %s: %d failed statements are not on record yet: %s.",
            session.id,
            len(failures),
            first_line(error),
        )
        return False
    return True


def _writing(session: Presence, failures: Sequence[Statement], raw: Any) -> Iterator[Composable]:
    yield from recorded((one for one in failures if not one.code), raw)
    for one in failures:
        if one.code:
            detail = {"code": one.code, "message": one.message, "template": one.template}
            yield told(session.id, session.home, REFUSED, session.actor, detail, raw)
