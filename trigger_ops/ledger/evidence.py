"""What was done in sessions: transactions, statements, decisions, and rows that were written."""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.rights import SESSIONS, read_ours
from trigger_ops.ledger.sessions import numbers
from trigger_ops.ledger.tables import moment, named
from trigger_ops.models import Change, Decision, SessionStatement, SessionTransaction
from trigger_ops.records import ChangeRecord, DecisionRecord, StatementRecord, TransactionRecord

PAGE = 1000
"""How many changed rows are read at a time."""

_FIRST = -(2**31)  # Before any number that the column holds: none is passed over.

_TRANSACTIONS = """\
SELECT t.transaction, t.session_id, t.pid, t.role, t.application, t.address, pg_catalog.timezone('UTC', t.at)
  FROM {table} t WHERE t.session_id OPERATOR(pg_catalog.=) ANY ({ids}) ORDER BY t.id"""

# Those that a transaction was made for are kept with that.
_STATEMENTS = """\
SELECT m.id, m.template, m.rows, pg_catalog.timezone('UTC', m.at), m.error, m.transaction, m.took_ms
  FROM (SELECT s.id, s.template, s.rows, s.at, s.error, s.transaction, s.took_ms
          FROM {table} s WHERE s.session_id OPERATOR(pg_catalog.=) {session}
        UNION ALL
        SELECT OPERATOR(pg_catalog.-) t.id, t.template, NULL, t.at, '', t.transaction, NULL
          FROM {transactions} t WHERE t.session_id OPERATOR(pg_catalog.=) {session} AND t.template OPERATOR(pg_catalog.<>) '') m
 ORDER BY m.at, m.id"""

_DECISIONS = """\
SELECT d.transaction, d.trigger, d.session_id, d.role, pg_catalog.timezone('UTC', d.at)
  FROM {table} d WHERE d.session_id OPERATOR(pg_catalog.=) ANY ({ids}) ORDER BY d.id"""

_CHANGES = """\
SELECT c.id, c.session_id, c.number, c.schema, c."table", c.op, c.old::pg_catalog.text, c.new::pg_catalog.text, c.cause,
       c.transaction, c.role, c.application, c.address, pg_catalog.timezone('UTC', c.at)
  FROM {table} c
 WHERE c.session_id OPERATOR(pg_catalog.=) {session}
   AND (c.number, c.id) OPERATOR(pg_catalog.>) ({number}, {id})
 ORDER BY c.number, c.id LIMIT {limit}"""


def read_transactions(alias: str, home: str, sessions: Iterable[int]) -> list[TransactionRecord]:
    """Return the committed transactions that entered sessions, oldest first.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_TRANSACTIONS).format(
        table=named(home, SessionTransaction), ids=numbers(sessions)
    )
    return [
        TransactionRecord(
            transaction=transaction,
            session=session,
            pid=pid,
            role=role,
            application=application,
            address=address,
            at=moment(at),
        )
        for transaction, session, pid, role, application, address, at in read_ours(
            alias, home, statement, SESSIONS
        )
    ]


def read_statements(alias: str, home: str, session: int) -> list[StatementRecord]:
    """Return the statements of a session, in the order in which they were put on record.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_STATEMENTS).format(
        table=named(home, SessionStatement),
        transactions=named(home, SessionTransaction),
        session=sql.Literal(session),
    )
    return [
        StatementRecord(
            id=id_,
            template=template,
            rows=rows,
            at=moment(at),
            error=error,
            transaction=transaction,
            took_ms=took_ms,
        )
        for id_, template, rows, at, error, transaction, took_ms in read_ours(
            alias, home, statement, SESSIONS
        )
    ]


def read_decisions(alias: str, home: str, sessions: Iterable[int]) -> list[DecisionRecord]:
    """Return which triggers stood aside in sessions, oldest first.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_DECISIONS).format(table=named(home, Decision), ids=numbers(sessions))
    return [
        DecisionRecord(
            transaction=transaction, trigger=trigger, session=session, role=role, at=moment(at)
        )
        for transaction, trigger, session, role, at in read_ours(alias, home, statement, SESSIONS)
    ]


def read_changes(
    alias: str, home: str, session: int, *, limit: int | None = None
) -> Iterator[ChangeRecord]:
    """Yield the rows that a session wrote, in their order, read a page at a time.

    Numbers in old and new rows are whole, or :class:`decimal.Decimal` with all their digits.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    number, last, left = _FIRST, 0, limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        statement = sql.SQL(_CHANGES).format(
            table=named(home, Change),
            session=sql.Literal(session),
            number=sql.Literal(number),
            id=sql.Literal(last),
            limit=sql.Literal(size),
        )
        rows = read_ours(alias, home, statement, SESSIONS)
        for row in rows:
            yield _change(row)
        if len(rows) < size:
            return
        last, number = rows[-1][0], rows[-1][2]
        left = None if left is None else left - len(rows)


def _change(row: tuple[Any, ...]) -> ChangeRecord:
    id_, session, number, schema, table, op, old, new, cause, transaction, *rest = row
    role, application, address, at = rest
    return ChangeRecord(
        id=id_,
        session=session,
        number=number,
        schema=schema,
        table=table,
        op=op,
        old=_row(old),
        new=_row(new),
        cause=cause,
        transaction=transaction,
        role=role,
        application=application,
        address=address,
        at=moment(at),
    )


def _row(text: str | None) -> Mapping[str, Any] | None:
    if text is None:
        return None
    row: Mapping[str, Any] = json.loads(text, parse_float=decimal.Decimal)
    return row
