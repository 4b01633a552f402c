"""The ledger: who did what to which trigger, when, and how it ended."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import fnmatch
import json
import logging
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.rights import read_ours
from trigger_ops.ledger.tables import moment, named, write
from trigger_ops.models import LedgerEntry
from trigger_ops.states import Verb

LOGGER = logging.getLogger("trigger_ops")


class Kind(enum.StrEnum):
    """What a row of the ledger is about: a run's beginning, one statement, or a run's end."""

    STARTED = "started"
    STATEMENT = "statement"
    FINISHED = "finished"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Author:
    """Who does something, and why."""

    actor: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of one verb."""

    id: uuid.UUID
    verb: Verb
    author: Author


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What one executed statement leaves in the ledger."""

    database: str
    schema: str = ""
    table: str = ""
    uri: str = ""
    trigger: str = ""
    sql: str = ""
    undo: str = ""
    lock: str = ""
    before: dict[str, str] = dataclasses.field(default_factory=dict)
    after: dict[str, str] = dataclasses.field(default_factory=dict)
    outcome: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of the ledger.

    ``took_ms`` is how long after the previous row of the same run and transaction it was written,
    or after the transaction began, in whole milliseconds.
    """

    id: int
    run: uuid.UUID
    kind: str
    began: dt.datetime
    at: dt.datetime
    verb: str
    actor: str
    reason: str
    database: str
    schema: str
    table: str
    uri: str
    trigger: str
    sql: str
    undo: str
    lock: str
    before: dict[str, Any]
    after: dict[str, Any]
    outcome: str
    detail: str
    took_ms: int


_GIVEN = ("run", "kind", "verb", "actor", "reason")
_RECORDED = tuple(field.name for field in dataclasses.fields(Record))
_WRITTEN = (*_GIVEN, *_RECORDED)
_WRITTEN_COLUMNS = sql.SQL(", ".join(f'"{name}"' for name in _WRITTEN))
_TIMES = ("began", "at")
_DOCUMENTS = ("before", "after")
_COLUMNS = tuple(field.name for field in dataclasses.fields(Entry) if field.name != "took_ms")

_READ = """\
SELECT {columns}, pg_catalog.timezone('UTC', coalesce(
           (SELECT pg_catalog.max(p.at) FROM {table} AS p WHERE p.run OPERATOR(pg_catalog.=) e.run
               AND p.began OPERATOR(pg_catalog.=) e.began AND p.id OPERATOR(pg_catalog.<) e.id),
           e.began))
  FROM {table} AS e
 WHERE {conditions}
 ORDER BY e.id DESC LIMIT {limit}"""


def insertion(alias: str, home: str, run: Run, records: Sequence[Record]) -> Any:
    """Return one INSERT that enters executed statements, with every value inside it.

    It takes no parameters, so that it can travel in one message with the statements themselves:
    then its rows live and die with them.
    """
    return _insert(alias, home, run, Kind.STATEMENT, records)


def write_started(alias: str, home: str, run: Run, *, detail: str = "") -> None:
    """Enter that a run began, and log it. Inside the caller's transaction this joins it."""
    _write(alias, home, run, Kind.STARTED, Record(database=alias, detail=detail))


def write_finished(alias: str, home: str, run: Run, *, outcome: str, detail: str = "") -> None:
    """Enter how a run ended, and log it. Inside the caller's transaction this joins it."""
    _write(alias, home, run, Kind.FINISHED, Record(database=alias, outcome=outcome, detail=detail))


def read_entries(
    alias: str,
    home: str,
    *,
    selectors: Collection[str] = (),
    run: uuid.UUID | None = None,
    verb: Verb | None = None,
    actor: str | None = None,
    since: dt.datetime | None = None,
    kind: Kind | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Return rows of the ledger, newest first, that satisfy everything that is asked for.

    Selectors are those of the command line; they find the triggers of old rows too, whether or
    not the code still has them. Rows about no registered trigger match none.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    table = named(home, LedgerEntry)
    asked = {
        "run": None if run is None else str(run),
        "verb": None if verb is None else verb.value,
        "actor": actor,
        "kind": None if kind is None else kind.value,
    }
    conditions = [_equal(name, value) for name, value in asked.items() if value is not None]
    if since is not None:
        conditions.append(sql.SQL("e.at OPERATOR(pg_catalog.>=) {}").format(sql.Literal(since)))
    if selectors:
        uris = _uris(alias, home, selectors)
        if not uris:
            return []
        conditions.append(
            sql.SQL("e.uri OPERATOR(pg_catalog.=) ANY (ARRAY[{}]::pg_catalog.text[])").format(
                sql.SQL(", ").join(map(sql.Literal, uris))
            )
        )
    statement = sql.SQL(_READ).format(
        columns=sql.SQL(", ").join(map(_column, _COLUMNS)),
        table=table,
        conditions=sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
        limit=sql.Literal(limit),
    )
    return [_entry(row) for row in read_ours(alias, home, statement, [LedgerEntry])]


def matches(uri: str, selector: str) -> bool:
    """Tell whether a selector means the trigger of a URI, as ``registry.selectors`` does."""
    model = uri.partition(":")[0]
    app = model.partition(".")[0]
    names = [uri] if ":" in selector else [model] if "." in selector else [app]
    if any(character in selector for character in "*?["):
        return any(fnmatch.fnmatchcase(name, selector) for name in [*names, uri])
    return selector in names


# Writing ---------------------------------------------------------------------------------------


def _write(alias: str, home: str, run: Run, kind: Kind, record: Record) -> None:
    write(alias, _insert(alias, home, run, kind, [record]))
    LOGGER.info(
        'trigger_ops: %s %s on "%s", run %s by %r (%r) %s',
        run.verb.value,
        kind.value,
        alias,
        run.id,
        run.author.actor,
        run.author.reason,
        record.outcome,
    )


def _insert(alias: str, home: str, run: Run, kind: Kind, records: Sequence[Record]) -> Any:
    """Compose an INSERT. A literal without a type takes its column's, so nothing is cast."""
    given = (str(run.id), kind.value, run.verb.value, run.author.actor, run.author.reason)
    values = [value for record in records for value in (*given, *_values(record))]
    row = f"({', '.join(['%s'] * len(_WRITTEN))})"
    # The driver's own quoting: composed of sql.Literal, an install spent a fifth of its time here.
    operations: Any = connections[alias].ops  # Django's stubs do not know compose_sql
    rows = operations.compose_sql(", ".join([row] * len(records)), values)
    return sql.SQL("INSERT INTO {table} ({columns}) VALUES {rows}").format(
        table=named(home, LedgerEntry), columns=_WRITTEN_COLUMNS, rows=sql.SQL(rows)
    )


def _values(record: Record) -> Iterator[str]:
    for name in _RECORDED:
        value = getattr(record, name)
        yield json.dumps(value) if name in _DOCUMENTS else value


# Reading ---------------------------------------------------------------------------------------


def _uris(alias: str, home: str, selectors: Iterable[str]) -> list[str]:
    """Return the URIs in the ledger that any selector matches."""
    statement = sql.SQL("SELECT DISTINCT e.uri FROM {} AS e").format(named(home, LedgerEntry))
    wanted = list(selectors)
    known = [uri for (uri,) in read_ours(alias, home, statement, [LedgerEntry]) if uri]
    return [uri for uri in known if any(matches(uri, selector) for selector in wanted)]


def _equal(name: str, value: str) -> Any:
    return sql.SQL("e.{} OPERATOR(pg_catalog.=) {}").format(
        sql.Identifier(name), sql.Literal(value)
    )


def _column(name: str) -> Any:
    template = "e.{}"
    if name in _TIMES:
        template = "pg_catalog.timezone('UTC', e.{})"
    elif name in _DOCUMENTS:
        template = "e.{}::pg_catalog.text"
    return sql.SQL(template).format(sql.Identifier(name))


def _entry(row: Sequence[Any]) -> Entry:
    values = dict(zip(_COLUMNS, row[:-1], strict=True))
    values.update({name: moment(values[name]) for name in _TIMES})
    values.update({name: json.loads(values[name]) for name in _DOCUMENTS})
    took = values["at"] - moment(row[-1])
    return Entry(**values, took_ms=round(took / dt.timedelta(milliseconds=1)))
