"""Reads one database: one catalog query for all triggers, one more for their surroundings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.utils import OperationalError

from trigger_ops.catalog.snapshot import (
    CatalogTable,
    CatalogTrigger,
    Clone,
    Extent,
    Server,
    Snapshot,
)
from trigger_ops.catalog.surroundings import read_surroundings
from trigger_ops.catalog.transactions import connection_of, discarded
from trigger_ops.sql import load

LOCK_NOT_AVAILABLE = "55P03"

_ONLY = re.compile(r"/\* only: (.*?) \*/")


def read_snapshot(
    using: str | None,
    *,
    tables: Iterable[str],
    only: Iterable[str] | None = None,
    surroundings: Extent = Extent.NOTHING,
    statement_timeout: int,
    lock_timeout: int,
) -> Snapshot:
    """Read every trigger of a database, and the tables named in ``tables`` that have none.

    With ``only`` these are tables of those names, and partitions. Timeouts are milliseconds. Takes no lock, but the server's own deparsing waits behind an
    ACCESS EXCLUSIVE lock: after ``lock_timeout`` the conditions of locked tables are left out.

    Raises:
        DatabaseUnreadable: when the database cannot be read at all.
    """
    parameters: dict[str, Any] = {
        "tables": sorted(set(tables)),
        "only": None if only is None else sorted(only),
        "definitions": True,
        "statement_timeout": str(statement_timeout),
        "lock_timeout": str(lock_timeout),
    }
    with discarded(connection_of(using), read_only=True) as cursor:
        server = pin_settings(cursor, parameters)
        rows = _trigger_rows(cursor, parameters)
        triggers, found = _fold(rows)
        around = read_surroundings(cursor, parameters, surroundings)
    return Snapshot(
        server=server,
        triggers=triggers,
        tables=found,
        surroundings=around,
    )


def read_schemas(using: str | None) -> list[str]:
    """Return the names of all schemas of a database, temporary ones left out."""
    with discarded(connection_of(using), read_only=True) as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(load("catalog")["schemas"])
        return [name for (name,) in cursor.fetchall()]


def pin_settings(cursor: Any, parameters: dict[str, Any]) -> Server:
    """Pin what texts depend on for the rest of the transaction; return the session as it was."""
    cursor.execute(load("catalog")["pin_settings"], parameters)
    row = _named(cursor)[0]
    path = split_search_path(row["search_path"], role=row["role"])
    return Server(
        version=row["server_version"],
        database=row["name"],
        role=row["role"],
        search_path=path,
        own_path=path,
        install_schema=row["install_schema"],
        in_recovery=row["in_recovery"],
        may_create_temporary=row["may_create_temporary"],
        identifier=row["identifier"] or "",
        read_only=row["read_only"],
    )


def split_search_path(value: str, *, role: str) -> tuple[str, ...]:
    """Split the ``search_path`` setting into schema names; ``$user`` becomes the role.

    ``current_schemas()`` is not used because it leaves out what the role has no USAGE on.
    """
    names: list[str] = []
    rest = value.strip()
    while rest:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and not (rest[end] == '"' and rest[end : end + 2] != '""'):
                end += 2 if rest[end] == '"' else 1
            name, rest = rest[1:end].replace('""', '"'), rest[end + 1 :]
        else:
            name, _, rest = rest.partition(",")
            name, rest = name.strip().lower(), "," + rest if rest else ""
        names.append(role if name == "$user" else name)
        rest = rest.strip().removeprefix(",").strip()
    return tuple(name for name in names if name)


def _named(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _trigger_rows(cursor: Any, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    query = load("catalog")["triggers"]
    if parameters["only"] is not None:
        query = _ONLY.sub(lambda found: found[1].replace("%%", "%"), query)
    cursor.execute('SAVEPOINT "trigger_ops_locks"')
    try:
        cursor.execute(query, parameters)
        rows = _named(cursor)
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_locks"')
        cursor.execute(query, {**parameters, "definitions": False})
        rows = _named(cursor)
        _fill_definitions(cursor, rows)
    return rows


def _fill_definitions(cursor: Any, rows: list[dict[str, Any]]) -> None:
    """Deparse table by table, giving up on those that somebody holds ACCESS EXCLUSIVE."""
    locked: set[int] = set()
    cursor.execute("SELECT set_config('lock_timeout', '20', true)")
    for row in rows:
        if not row["has_condition"] or row["parent_oid"] or row["table_oid"] in locked:
            continue
        cursor.execute('SAVEPOINT "trigger_ops_locks"')
        try:
            cursor.execute(load("catalog")["definition"], {"oid": row["trigger_oid"]})
            row["definition"] = cursor.fetchone()[0]
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_locks"')
            locked.add(row["table_oid"])


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE behind a Django database error, for psycopg 2 and 3 alike."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _fold(
    rows: Sequence[dict[str, Any]],
) -> tuple[tuple[CatalogTrigger, ...], tuple[CatalogTable, ...]]:
    parents = {row["trigger_oid"]: row["parent_oid"] for row in rows if row["trigger_oid"]}
    clones: defaultdict[int, list[Clone]] = defaultdict(list)
    tables: dict[int, CatalogTable] = {}
    for row in rows:
        if row["table_oid"] not in tables:
            tables[row["table_oid"]] = _table(row)
        if row["parent_oid"]:
            root = row["parent_oid"]
            while parents.get(root):
                root = parents[root]
            clones[root].append(_clone(row))
    triggers = tuple(
        _trigger(row, tuple(clones.get(row["trigger_oid"], ())))
        for row in rows
        if row["trigger_oid"] and not row["parent_oid"]
    )
    return triggers, tuple(tables.values())


def _table(row: dict[str, Any]) -> CatalogTable:
    return CatalogTable(
        oid=row["table_oid"],
        schema=row["table_schema"],
        name=row["table_name"],
        relkind=row["relkind"],
        columns_digest=row["columns_digest"],
        has_triggers=row["has_triggers"],
        owner=row["table_owner"],
        may_alter=row["may_alter"],
        may_create=row["may_create"],
    )


def _clone(row: dict[str, Any]) -> Clone:
    return Clone(
        schema=row["table_schema"],
        table=row["table_name"],
        enabled=row["enabled"],
        type_bits=row["type_bits"],
        function_oid=row["function_oid"],
        has_triggers=row["has_triggers"],
        columns=None if row["columns"] is None else tuple(row["columns"]),
        definition=row["definition"],
        differs=bool(row["differs_from_parent"]),
        oid=row["trigger_oid"],
        version=row["version"],
    )


def _trigger(row: dict[str, Any], clones: tuple[Clone, ...]) -> CatalogTrigger:
    raw = bytes(row["arguments"] or b"")
    arguments = tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:-1])
    return CatalogTrigger(
        oid=row["trigger_oid"],
        schema=row["table_schema"],
        table=row["table_name"],
        table_oid=row["table_oid"],
        table_owner=row["table_owner"],
        relkind=row["relkind"],
        has_triggers=row["has_triggers"],
        columns_digest=row["columns_digest"],
        name=row["trigger_name"],
        enabled=row["enabled"],
        type_bits=row["type_bits"],
        deferrable=row["deferrable"],
        initially_deferred=row["initially_deferred"],
        is_constraint=row["is_constraint"],
        old_table=row["old_table"],
        new_table=row["new_table"],
        arguments=arguments,
        columns=None if row["columns"] is None else tuple(row["columns"]),
        has_condition=row["has_condition"],
        definition=row["definition"],
        uses=tuple(row["uses"] or ()),
        comment=row["comment"],
        function_schema=row["function_schema"],
        function=row["function_name"],
        function_oid=row["function_oid"],
        language=row["language"],
        security_definer=row["security_definer"],
        volatility=row["volatility"],
        function_settings=tuple(row["function_settings"] or ()),
        function_owner=row["function_owner"],
        function_owner_rules_table=row["function_owner_rules_table"],
        body=row["body"],
        clones=clones,
        version=row["version"],
        function_version=row["function_version"],
        may_alter=row["may_alter"],
        may_create=row["may_create"],
        may_replace_function=row["may_replace_function"],
    )
