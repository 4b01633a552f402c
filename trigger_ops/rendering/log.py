"""What ``log`` prints of the ledger: runs with their statements, a box table, CSV, JSON."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from trigger_ops.ledger.entries import Entry, Kind
from trigger_ops.rendering.colour import RED, Cell, drawn_table, painted
from trigger_ops.rendering.documents import Document
from trigger_ops.rendering.listings import defused
from trigger_ops.rendering.plans import one_line
from trigger_ops.rendering.wording import place, printable
from trigger_ops.states import ExitCode

LOG_SCHEMA = "trigger_ops.log/1"
FIELDS = (
    "id",
    "run",
    "kind",
    "at",
    "began",
    "took_ms",
    "verb",
    "actor",
    "reason",
    "database",
    "schema",
    "table",
    "uri",
    "trigger",
    "sql",
    "undo",
    "lock",
    "before",
    "after",
    "outcome",
    "detail",
)
_HEADINGS = ("AT", "RUN", "VERB", "ACTOR", "URI", "PLACE", "MS", "OUTCOME", "SQL")


def as_text(entries: Sequence[Entry], *, colour: bool = False, filtered: bool = False) -> str:
    """Return a block a run, in the order they come, its statements oldest first.

    ``filtered`` says that entries of a run may have been left out for another reason than their
    age; then a run without its last entry is not called unfinished.
    """
    runs: dict[object, list[Entry]] = {}
    for entry in entries:
        runs.setdefault(entry.run, []).append(entry)
    return "\n".join(
        line
        for run in runs.values()
        for line in _block(
            sorted(run, key=lambda entry: entry.id), colour=colour, filtered=filtered
        )
    )


def as_table(entries: Sequence[Entry], *, colour: bool) -> str:
    """Return a box table with a row an entry; nothing for no entry."""
    if not entries:
        return ""
    return drawn_table(_HEADINGS, [_cells(entry) for entry in entries], colour=colour)


def as_csv(entries: Sequence[Entry]) -> str:
    """Return CSV of every field with a heading line. No cell can start a formula.

    Invisible characters are spelled out, line feeds apart: JSON has the exact texts.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(
        [defused(printable(_spelled(value), keep="\n")) for value in _values(entry).values()]
        for entry in entries
    )
    return buffer.getvalue()


def document(entries: Sequence[Entry], exit_code: int = ExitCode.CLEAN) -> Document:
    """Return what ``log --format json`` prints, as plain values. Times are ISO 8601."""
    return {
        "schema": LOG_SCHEMA,
        "exit_code": int(exit_code),
        "entries": [_values(entry) for entry in entries],
    }


def _block(run: Sequence[Entry], *, colour: bool, filtered: bool) -> Iterator[str]:
    first, last = run[0], run[-1]
    reason = f": {first.reason}" if first.reason else ""
    header = printable(f"{_moment(first.at)} {first.verb} by {first.actor}{reason}")
    if last.kind == Kind.FINISHED:
        outcome = _joined(last.outcome, last.detail)
        yield f"{header} ({printable(outcome)})" if outcome else header
    elif filtered:
        yield header
    else:
        yield f"{header} ({painted('unfinished', RED if colour else None)})"
    if first.kind != Kind.STARTED and not filtered:
        yield "  … (older entries are not shown)"
    yield from (f"  {_statement(entry)}" for entry in run if entry.kind == Kind.STATEMENT)


def _statement(entry: Entry) -> str:
    where = place(entry.database, entry.schema, entry.table)
    told = _joined(entry.outcome, entry.detail)
    lock = f"lock {entry.lock}" if entry.lock else ""
    parts = [f"{entry.uri} ({where})", told, lock, f"{entry.took_ms:,.1f} ms"]
    head = ", ".join(printable(part) for part in parts if part)
    return f"{head}: {one_line(entry.sql)}" if entry.sql else head


def _joined(outcome: str, detail: str) -> str:
    return ": ".join(part for part in (outcome, detail) if part)


def _cells(entry: Entry) -> list[Cell]:
    texts = (
        _moment(entry.at),
        str(entry.run)[:8],
        str(entry.verb) if entry.kind == Kind.STATEMENT else f"{entry.verb} {entry.kind}",
        entry.actor,
        entry.uri,
        place(entry.database, entry.schema, entry.table),
        f"{entry.took_ms:,.1f}",
        _joined(entry.outcome, entry.detail),
        one_line(entry.sql),
    )
    return [(text, None) for text in texts]


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def _values(entry: Entry) -> Document:
    return {name: _plain(getattr(entry, name)) for name in FIELDS}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, (int, float, dict)) else str(value)


def _spelled(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
