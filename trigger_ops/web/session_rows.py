"""Rows that a session wrote, column by column, for its page and for a spreadsheet."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import decimal
import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.utils.translation import ngettext

from trigger_ops.records import ChangeRecord
from trigger_ops.registry.definition import split_table
from trigger_ops.rendering.listings import defused
from trigger_ops.rendering.session_documents import plain
from trigger_ops.rendering.wording import printable

LONGEST = 2_000
"""Characters of a text that a page shows; exports have all of them."""

CSV_COLUMNS = (
    *("number", "at", "transaction", "op", "schema", "table", "key", "column", "old", "new"),
    "cause",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column of a row: None is no row on that side, or one without it."""

    name: str
    old: str | None
    new: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShownChange:
    """A row that was written. ``key`` names it; of an UPDATE, ``columns`` are those that differ."""

    number: int
    at: dt.datetime
    transaction: int
    op: str
    sign: str
    table: str
    key: str
    cause: str
    columns: tuple[Column, ...]


def columns_of(change: ChangeRecord) -> list[Column]:
    """Return the columns of a row, old and new, whole; of an UPDATE those that differ."""
    old, new = change.old or {}, change.new or {}
    names = list({**old, **new})
    if change.old is not None and change.new is not None:
        names = [name for name in names if old.get(name) != new.get(name)]
    return [Column(name, _side(old, name), _side(new, name)) for name in names]


def shown_change(change: ChangeRecord) -> ShownChange:
    """Return a row as the page shows it."""
    return ShownChange(
        number=change.number,
        at=change.at,
        transaction=change.transaction,
        op=printable(change.op),
        sign={"INSERT": "+", "DELETE": "-", "UPDATE": "±"}.get(change.op, "○"),
        table=printable(f"{change.schema}.{change.table}"),
        key=shortened(printable(key_of(change))),
        cause=printable(change.cause),
        columns=tuple(
            Column(printable(one.name), _seen(one.old), _seen(one.new))
            for one in columns_of(change)
        ),
    )


def csv_lines(changes: Iterable[ChangeRecord]) -> Iterator[str]:
    """Yield CSV, a line a column that was written, after a heading. No cell starts a formula.

    Invisible characters are spelled out, line feeds apart: JSON has the exact texts.
    """
    writer = csv.writer(_Echo(), lineterminator="\n")
    yield writer.writerow(CSV_COLUMNS)
    for one in changes:
        place = (one.number, one.at.isoformat(), one.transaction, one.op, one.schema, one.table)
        for column in columns_of(one) or [Column("", None, None)]:
            cells = (*place, key_of(one), column.name, column.old, column.new, one.cause)
            yield writer.writerow(
                defused(printable("" if cell is None else str(cell), keep="\n")) for cell in cells
            )


def key_of(change: ChangeRecord) -> str:
    """Return the name and value of the primary key, "" where no model has it."""
    row = change.new if change.new is not None else change.old or {}
    name = _keys().get(change.table, "id")
    return f"{name} {_text(row[name])}" if name in row else ""


def shortened(text: str) -> str:
    """Return a text, cut where it is too long for a page, and then with how much is left out."""
    left = len(text) - LONGEST
    if left <= 0:
        return text
    told = ngettext(
        "%(text)s… and %(number)d character more", "%(text)s… and %(number)d characters more", left
    )
    return told % {"text": text[:LONGEST], "number": left}


class _Echo:
    """What a writer of CSV writes to: each line comes back to whoever had it written."""

    def write(self, line: str) -> str:
        return line


@functools.cache
def _keys() -> dict[str, str]:
    """Return the column of the primary key by the name of its table."""
    return {
        split_table(model._meta.db_table)[1]: str(model._meta.pk.column)
        for model in apps.get_models(include_auto_created=True)
        if getattr(model._meta.pk, "column", None)  # a composite key has none
    }


def _side(row: Any, name: str) -> str | None:
    return _text(row[name]) if name in row else None


def _seen(text: str | None) -> str | None:
    return None if text is None else shortened(printable(text, keep="\n"))


def _text(value: Any) -> str:
    """Return a value as people write it: a text as it is, anything else as JSON has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, decimal.Decimal):
        return str(value)
    if value is None:
        return "NULL"
    return json.dumps(plain(value), ensure_ascii=False)
