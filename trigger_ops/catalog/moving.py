"""Tells whether migrations are being applied while somebody looks."""

from __future__ import annotations

from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import DatabaseError

from trigger_ops.catalog.transactions import connection_of, discarded
from trigger_ops.exceptions import DatabaseUnreadable

_TIMEOUTS = """\
SELECT pg_catalog.set_config('statement_timeout', %s, true),
       pg_catalog.set_config('lock_timeout', %s, true)"""

# Only a table: a view of that name would run code of whoever made it.
_SCHEMA = """\
SELECT n.nspname::pg_catalog.text
  FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s (name, place)
  JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) s.name
   AND n.oid OPERATOR(pg_catalog.<>) pg_catalog.pg_my_temp_schema()
  JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
   AND c.relname OPERATOR(pg_catalog.=) 'django_migrations'::pg_catalog.name
 WHERE NOT c.relrowsecurity AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
 ORDER BY s.place LIMIT 1"""

_NEWEST = """\
SELECT pg_catalog.max(id)::pg_catalog.text
       OPERATOR(pg_catalog.||) '/'::pg_catalog.text
       OPERATOR(pg_catalog.||) pg_catalog.count(*)::pg_catalog.text
  FROM {table}"""


def migrations_mark(using: str, *, statement_timeout: int, lock_timeout: int) -> str | None:
    """Return a text that is another one after each migration that is applied or taken back.

    None where there is no record of migrations on the search_path, or it may not be read, or
    somebody holds it locked. Timeouts are milliseconds.
    """
    timeouts = [str(statement_timeout), str(lock_timeout)]
    try:
        with discarded(connection_of(using), read_only=True) as cursor:
            cursor.execute(_TIMEOUTS, timeouts)
            cursor.execute(_SCHEMA)
            found = cursor.fetchone()
            if found is None:
                return None
            table = sql.Identifier(found[0], "django_migrations")
            cursor.execute(sql.SQL(_NEWEST).format(table=table))
            return str(cursor.fetchone()[0])
    except (DatabaseUnreadable, DatabaseError):
        return None
