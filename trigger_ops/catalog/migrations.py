"""Reads which migrations a database has applied, schema by schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.reading import pin_settings
from trigger_ops.catalog.transactions import connection_of, discarded
from trigger_ops.sql import load

Applied = frozenset[tuple[str, str]]
CHUNK = 200


def read_applied(
    using: str | None,
    wanted: Callable[[str], bool],
    *,
    statement_timeout: int,
    lock_timeout: int,
) -> dict[str, Applied | None]:
    """Return the applied (app, name) pairs by schema, of the schemas that ``wanted`` takes.

    A schema whose record this role may not read gives None. A database where nothing was ever
    migrated gives an empty dict. Timeouts are milliseconds.

    Raises:
        DatabaseUnreadable: when the database cannot be read at all, or somebody holds the record
            locked for longer than ``lock_timeout``: without it a verdict would be a guess.
    """
    found: dict[str, Applied | None] = {}
    with discarded(connection_of(using), read_only=True) as cursor:
        parameters = {"statement_timeout": statement_timeout, "lock_timeout": lock_timeout}
        pin_settings(cursor, {key: str(value) for key, value in parameters.items()})
        cursor.execute(load("catalog")["migration_tables"])
        rows = [(schema, allowed) for schema, allowed in cursor.fetchall() if wanted(schema)]
        found.update({schema: None for schema, allowed in rows if not allowed})
        readable = [schema for schema, allowed in rows if allowed]
        if len(readable) > CHUNK:
            cursor.execute('SAVEPOINT "trigger_ops_records"')
        for start in range(0, len(readable), CHUNK):
            chunk = readable[start : start + CHUNK]
            pairs: dict[str, set[tuple[str, str]]] = {schema: set() for schema in chunk}
            if start:
                # Gives up the locks of the last chunk: thousands at once find no room.
                cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_records"')
            cursor.execute(_query(chunk))
            for schema, app, name in cursor.fetchall():
                pairs[schema].add((app, name))
            found.update({schema: frozenset(applied) for schema, applied in pairs.items()})
    return found


def _query(schemas: Sequence[str]) -> Any:
    one = "SELECT {name}::text, app::text, name::text FROM {table}"
    return sql.SQL(" UNION ALL ").join(
        sql.SQL(one).format(
            name=sql.Literal(schema), table=sql.Identifier(schema, "django_migrations")
        )
        for schema in schemas
    )
