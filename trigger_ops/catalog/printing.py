"""One trigger and its function as PostgreSQL itself prints them."""

from __future__ import annotations

from trigger_ops.catalog.reading import pin_settings
from trigger_ops.catalog.transactions import connection_of, discarded

_PRINTED = """\
SELECT pg_catalog.pg_get_functiondef(p.oid), pg_catalog.pg_get_triggerdef(t.oid, false)
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
 WHERE t.oid OPERATOR(pg_catalog.=) %s"""


def read_printed(
    using: str, oid: int, *, statement_timeout: int, lock_timeout: int
) -> tuple[str, str] | None:
    """Return the statements that create a trigger's function and the trigger, by its OID.

    Every name is qualified, whatever the search_path is. None where there is none any more.
    Timeouts are milliseconds; the server waits where somebody holds the table exclusively.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    with discarded(connection_of(using), read_only=True) as cursor:
        pin_settings(
            cursor,
            {"statement_timeout": str(statement_timeout), "lock_timeout": str(lock_timeout)},
        )
        cursor.execute(_PRINTED, [oid])
        row = cursor.fetchone()
    return None if row is None else (str(row[0]), str(row[1]))
