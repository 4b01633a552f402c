"""PostgreSQL's own spelling of a WHEN condition, had from a stand-in.

The stand-in is a temporary table with the same columns and a trigger with the same WHEN that
executes a built-in function, deparsed under the same pinned settings as the live trigger. It
takes no lock on the real table and needs no right on it; everything is rolled back.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import DatabaseError

from trigger_ops.catalog.reading import pin_settings, sqlstate
from trigger_ops.catalog.transactions import connection_of, discarded, first_line
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.sql import load

BATCH = 400
FAILS_FOR_ALL = ("25006", "57014", "55P03")
"""SQLSTATEs that have nothing to do with one condition: read-only transaction, timeouts."""

_PLAIN = re.compile(r"^[\w$.]*$")
_TOKENS = re.compile(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|[()]|[^"\'()]+')


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StandIn:
    """One condition to be spelled out for one table.

    ``parts`` are the texts before the trigger's name, between name and ``ON``, and after the
    table; ``path`` is the search_path that an install would resolve names with.
    """

    key: str
    table_oid: int
    parts: tuple[str, str, str]
    path: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spelled:
    """What minting gave: canonical conditions by key, and reasons for those that failed.

    ``refused`` holds the reasons that have nothing to do with one condition.
    """

    conditions: dict[str, str] = dataclasses.field(default_factory=dict)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: list[str] = dataclasses.field(default_factory=list)


def spell(
    using: str | None,
    stand_ins: Sequence[StandIn],
    *,
    statement_timeout: int,
    lock_timeout: int,
) -> Spelled:
    """Have the server spell out conditions, batch by batch, leaving nothing behind.

    Timeouts are milliseconds. Stand-ins lock no table of the user's, but somebody may have locked
    the catalogs.
    """
    spelled = Spelled()
    groups: defaultdict[tuple[str, ...], list[StandIn]] = defaultdict(list)
    for stand_in in stand_ins:
        groups[stand_in.path].append(stand_in)
    for path, group in groups.items():
        for start in range(0, len(group), BATCH):
            batch = group[start : start + BATCH]
            try:
                _spell_batch(using, path, batch, spelled, statement_timeout, lock_timeout)
            except DatabaseUnreadable as error:
                spelled.failures.update({one.key: str(error) for one in batch})
                spelled.refused.append(str(error))
    return spelled


def _spell_batch(
    using: str | None,
    path: tuple[str, ...],
    batch: Sequence[StandIn],
    spelled: Spelled,
    statement_timeout: int,
    lock_timeout: int,
) -> None:
    connection = connection_of(using)
    with discarded(connection, read_only=False) as cursor:
        parameters = {
            "statement_timeout": str(statement_timeout),
            "lock_timeout": str(lock_timeout),
        }
        pin_settings(cursor, parameters)
        cursor.execute(
            load("catalog")["columns"], {"oids": sorted({one.table_oid for one in batch})}
        )
        columns: dict[int, str] = dict(cursor.fetchall())
        _create(cursor, path, list(enumerate(batch)), columns, spelled)
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(load("catalog")["stand_in_conditions"])
        for name, definition, uses in cursor.fetchall():
            one = batch[int(name.removeprefix("stand_in_"))]
            plain = " WHEN (" not in one.parts[1]
            spelled.conditions[one.key] = condition_text(definition, uses or (), plain=plain)


def _create(
    cursor: Any,
    path: tuple[str, ...],
    numbered: list[tuple[int, StandIn]],
    columns: dict[int, str],
    spelled: Spelled,
) -> None:
    """Create the stand-ins in one message; on an error halve, so that only the bad ones fail."""
    cursor.execute('SAVEPOINT "trigger_ops_stand_ins"')
    try:
        cursor.execute(_statements(cursor, path, numbered, columns))
    except DatabaseError as error:
        cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_stand_ins"')
        if sqlstate(error) in FAILS_FOR_ALL:
            spelled.refused.append(first_line(error))
        if spelled.refused or len(numbered) == 1:
            spelled.failures.update({one.key: first_line(error) for _, one in numbered})
            return
        middle = len(numbered) // 2
        _create(cursor, path, numbered[:middle], columns, spelled)
        _create(cursor, path, numbered[middle:], columns, spelled)


def _statements(
    cursor: Any,
    path: tuple[str, ...],
    numbered: Iterable[tuple[int, StandIn]],
    columns: dict[int, str],
) -> str:
    names: dict[int, str] = {}
    lines: list[str] = []
    for number, one in numbered:
        if one.table_oid not in names:
            names[one.table_oid] = f"pg_temp.trigger_ops_stand_in_{number}"
            declarations = columns.get(one.table_oid, "")
            lines.append(f"CREATE TEMPORARY TABLE {names[one.table_oid]} ({declarations})")
        before, between, after = one.parts
        lines.append(
            f"CREATE {before} TRIGGER stand_in_{number} {between} ON {names[one.table_oid]} {after} "
            "EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()"
        )
    schemas = sql.SQL(", ").join(sql.Identifier(name) for name in path) if path else sql.SQL("''")
    set_path = sql.SQL("SET LOCAL search_path = {}").format(schemas)
    return ";\n".join([set_path.as_string(cursor.connection), *lines])


def condition_text(definition: str, uses: Iterable[str], *, plain: bool) -> str:
    """Cut the condition out of a ``pg_get_triggerdef`` text and add what it depends on.

    ``IS DISTINCT FROM`` and implicit casts are printed without the operator or function that
    they really call, so a look-alike in another schema shows only in the dependencies.
    ``plain`` says that no name before the condition needs quotes.
    """
    start = definition.find(" WHEN (") if plain else _start_of_condition(definition)
    if start < 0:
        return ""
    end = definition.rfind(" EXECUTE FUNCTION ")
    condition = definition[start + len(" WHEN ") : end]
    return (
        "\n".join([condition, *(f"uses {name}" for name in sorted(uses))]) if uses else condition
    )


def clause_of(definition: str) -> str:
    """Cut the condition out of any ``pg_get_triggerdef`` text, "" where there is none."""
    return condition_text(definition, (), plain=False)


def is_plain(*names: str) -> bool:
    """Tell whether no name can hold text that looks like a clause."""
    return all(map(_is_plain, names))


@functools.lru_cache(maxsize=50_000)
def _is_plain(name: str) -> bool:
    return _PLAIN.match(name) is not None


def _start_of_condition(definition: str) -> int:
    for match in _TOKENS.finditer(definition):
        text = match.group()
        if text[0] not in "\"'()" and text.endswith(" WHEN "):
            return match.end() - len(" WHEN ")
    return -1
