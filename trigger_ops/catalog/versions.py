"""Asks, inside a change, whether things are still as they were planned, and what has become of them."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from trigger_ops.sql import load

HARMLESS = ("AccessShareLock", "RowShareLock")
"""Lock modes that conflict with no statement of ours but DROP; see :func:`read_blockers`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Blocker:
    """A session that holds what a change waits for.

    ``age`` is its transaction's, in seconds. It and ``state`` are None where this role may not
    know: that takes membership in the other's role, or in pg_read_all_stats.
    """

    pid: int
    user: str
    application: str
    state: str | None
    mode: str
    age: float | None

    def __str__(self) -> str:
        age = None if self.age is None else f"transaction open for {self.age:.0f} s"
        parts = (self.user, self.application, self.state, age, self.mode)
        return f"pid {self.pid} ({', '.join(part for part in parts if part)})"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """One trigger as a change left it. ``enabled`` is the catalog's letter."""

    enabled: str
    comment: str
    definition: str | None
    uses: tuple[str, ...]


_AS_MARKED = """\
(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.a, m.b, m.c, m.d, m.e, m.f, m.g, m.h) ORDER BY m.d)
   FROM ({marks}) AS m (a, b, c, d, e, f, g, h)) OPERATOR(pg_catalog.=) %(expected)s::pg_catalog.jsonb"""

Marks = tuple[tuple[int, str, int, str, str], ...]


def read_marks(
    cursor: Any, table_oid: int, names: Collection[str]
) -> tuple[tuple[str, str] | None, dict[str, Marks]]:
    """Return a table's present (schema, name), None if it is gone, and its triggers' versions."""
    cursor.execute(load("catalog")["marks"], {"table": table_oid, "names": sorted(names)})
    found: defaultdict[str, list[tuple[int, str, int, str, str]]] = defaultdict(list)
    place = None
    for schema, table, name, *mark in cursor.fetchall():
        place = (schema, table)
        if name is not None:
            found[name].append((mark[0], mark[1], mark[2], mark[3], mark[4]))
    return place, {name: tuple(sorted(marks)) for name, marks in found.items()}


def as_marked(
    connection: BaseDatabaseWrapper,
    table_oid: int,
    place: tuple[str, str],
    marks: Mapping[str, Marks],
) -> str:
    """Return a condition in SQL, without parameters: a table and its triggers are as they were.

    ``place`` is the (schema, name) of the table; ``marks`` are those of triggers by name, with ()
    for one that is not there.
    """
    rows = sorted((mark[0], [*place, name, *mark]) for name in marks for mark in marks[name])
    expected = [row for _, row in rows] or [[*place, None, None, None, None, None, ""]]
    parameters = {
        "table": table_oid,
        "names": sorted(marks),
        "expected": json.dumps(expected, ensure_ascii=False),
    }
    operations: Any = connection.ops  # Django's stubs do not know compose_sql
    marked = _AS_MARKED.format(marks=load("catalog")["marks"])
    return str(operations.compose_sql(marked, parameters))


def read_function_marks(cursor: Any, schema: str, name: str, arguments: int) -> Marks:
    """Return the version of one function, () where there is none."""
    parameters = {"schema": schema, "name": name, "arguments": arguments}
    cursor.execute(load("catalog")["function_marks"], parameters)
    return tuple((oid, version, 0, "", "") for oid, version in cursor.fetchall())


def read_blockers(cursor: Any, table_oid: int, *, key: int, exclusive: bool) -> list[Blocker]:
    """Return who stands in the way on a table, or holds the lock of applies: oldest first.

    ``exclusive`` is for statements that wait for readers too.
    """
    parameters = {
        "table": table_oid,
        "harmless": [] if exclusive else list(HARMLESS),
        "key_high": key >> 32,
        "key_low": key & 0xFFFFFFFF,
    }
    cursor.execute(load("catalog")["blockers"], parameters)
    return [
        Blocker(
            pid=pid,
            user=user or "",
            application=application or "",
            state=state,
            mode=mode,
            age=age,
        )
        for pid, user, application, state, mode, age in cursor.fetchall()
    ]


def left_from(rows: Collection[tuple[Any, ...]]) -> dict[str, Left]:
    """Read the rows of the query ``installed``, by trigger name."""
    return {
        name: Left(enabled=enabled, comment=comment, definition=definition, uses=tuple(uses or ()))
        for name, enabled, comment, definition, uses in rows
    }
