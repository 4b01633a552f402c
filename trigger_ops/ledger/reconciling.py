"""The evidence of sessions in numbers, as a report compares it: what was sent, decided, written.

A transaction may be in several sessions, and rows in it may belong to none: whatever was done in
the transactions of a session is read, whosever it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.evidence import read_decisions, read_transactions
from trigger_ops.ledger.rights import SESSIONS, read_ours
from trigger_ops.ledger.sessions import numbers, read_events
from trigger_ops.ledger.tables import moment, named
from trigger_ops.models import (
    Change,
    Decision,
    Session,
    SessionStatement,
    SessionTransaction,
)
from trigger_ops.records import DecisionRecord, EventRecord, TransactionRecord

_AROUND = """\
SELECT DISTINCT o.session_id
  FROM {transactions} t JOIN {transactions} o ON o.transaction OPERATOR(pg_catalog.=) t.transaction
 WHERE t.session_id OPERATOR(pg_catalog.=) ANY ({ids})"""

_SENT = """\
SELECT m.session_id, m.transaction, m.template, m.error, pg_catalog.count(*),
       pg_catalog.sum(m.rows)::pg_catalog.int8, pg_catalog.bool_and(m.rows IS NOT NULL),
       pg_catalog.count(*) FILTER (WHERE m.at OPERATOR(pg_catalog.>) least(s.ended, s.expires))
  FROM (SELECT n.session_id, n.transaction, n.template, n.error, n.rows, n.at FROM {statements} n
         WHERE n.session_id OPERATOR(pg_catalog.=) ANY ({ids})
        UNION ALL
        SELECT t.session_id, t.transaction, t.template, '', NULL, t.at FROM {transactions} t
         WHERE t.session_id OPERATOR(pg_catalog.=) ANY ({ids}) AND t.template OPERATOR(pg_catalog.<>) '') m
  LEFT JOIN {sessions} s ON s.id OPERATOR(pg_catalog.=) m.session_id
 GROUP BY m.session_id, m.transaction, m.template, m.error ORDER BY pg_catalog.min(m.at)"""

_WRITTEN = """\
SELECT c.session_id, c.transaction, c.schema, c."table", c.op, pg_catalog.count(*),
       pg_catalog.count(*) FILTER (WHERE c.at OPERATOR(pg_catalog.>) least(s.ended, s.expires))
  FROM {changes} c LEFT JOIN {sessions} s ON s.id OPERATOR(pg_catalog.=) c.session_id
 WHERE c.session_id OPERATOR(pg_catalog.=) ANY ({ids})
    OR c.session_id IS NULL AND c.transaction IN (SELECT t.transaction FROM {transactions} t
        WHERE t.session_id OPERATOR(pg_catalog.=) ANY ({ids}))
 GROUP BY c.session_id, c.transaction, c.schema, c."table", c.op
 ORDER BY c.transaction, c.schema, c."table", c.op"""

_STRAYS = """\
SELECT d.transaction, d.trigger, d.role, pg_catalog.timezone('UTC', d.at)
  FROM {decisions} d
 WHERE d.session_id IS NULL AND d.transaction OPERATOR(pg_catalog.=) ANY (ARRAY(
       SELECT t.transaction FROM {transactions} t
        WHERE t.session_id OPERATOR(pg_catalog.=) ANY ({ids})))
 ORDER BY d.id"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One text of a statement in one transaction of a session, however often it was sent.

    ``rows`` is their sum, of those that told; ``told`` says that all did. ``transaction`` is None
    for one that failed, with the SQLSTATE in ``error``. ``late`` is how many of them were put on
    record after the session's end.
    """

    session: int
    transaction: int | None
    template: str
    error: str
    times: int
    rows: int
    told: bool
    late: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Rows of one table that are on record for one operation. ``session`` None: outside any.

    ``late`` is how many of them were written after the session's end.
    """

    session: int | None
    transaction: int
    schema: str
    table: str
    op: str
    rows: int
    late: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that was done in the transactions of some sessions. ``strays`` belong to no session."""

    transactions: tuple[TransactionRecord, ...]
    sent: tuple[Sent, ...]
    written: tuple[Written, ...]
    decisions: tuple[DecisionRecord, ...]
    strays: tuple[DecisionRecord, ...]
    events: tuple[EventRecord, ...]


def read_evidence(alias: str, home: str, sessions: Collection[int]) -> Evidence:
    """Return the evidence of sessions, in as many queries for many as for one.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    if not sessions:
        return Evidence(transactions=(), sent=(), written=(), decisions=(), strays=(), events=())
    tables = {
        "transactions": named(home, SessionTransaction),
        "statements": named(home, SessionStatement),
        "changes": named(home, Change),
        "decisions": named(home, Decision),
        "sessions": named(home, Session),
    }

    def ask(statement: str, ids: Collection[int]) -> list[tuple[Any, ...]]:
        question = sql.SQL(statement).format(ids=numbers(ids), **tables)
        return read_ours(alias, home, question, SESSIONS)

    around = {*sessions, *(number for (number,) in ask(_AROUND, sessions))}
    return Evidence(
        transactions=tuple(read_transactions(alias, home, around)),
        sent=tuple(_sent(row) for row in ask(_SENT, around)),
        written=tuple(_written(row) for row in ask(_WRITTEN, around)),
        decisions=tuple(read_decisions(alias, home, around)),
        strays=tuple(_stray(row) for row in ask(_STRAYS, around)),
        events=tuple(read_events(alias, home, sessions)),
    )


def _sent(row: tuple[Any, ...]) -> Sent:
    session, transaction, template, error, times, rows, told, late = row
    return Sent(
        session=session,
        transaction=transaction,
        template=template,
        error=error,
        times=times,
        rows=rows or 0,
        told=told,
        late=late,
    )


def _written(row: tuple[Any, ...]) -> Written:
    session, transaction, schema, table, op, rows, late = row
    return Written(
        session=session,
        transaction=transaction,
        schema=schema,
        table=table,
        op=op,
        rows=rows,
        late=late,
    )


def _stray(row: tuple[Any, ...]) -> DecisionRecord:
    transaction, trigger, role, at = row
    return DecisionRecord(
        transaction=transaction, trigger=trigger, session=None, role=role, at=moment(at)
    )
