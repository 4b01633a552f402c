"""Where our tables are, and how statements reach them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops import conf
from trigger_ops.catalog.transactions import discarded, unwrapped, without_injection
from trigger_ops.models import LedgerEntry, RunLease, TriggerLease

_TABLES: tuple[type[models.Model], ...] = (LedgerEntry, TriggerLease, RunLease)

_RIGHTS: dict[type[models.Model], str] = {
    LedgerEntry: "INSERT",
    TriggerLease: "SELECT, INSERT, UPDATE",
    RunLease: "SELECT, INSERT, UPDATE, DELETE",
}
"""What a role needs on each that changes triggers."""

# Not to_regclass, which finds a temporary table of the same name first.
_HOME = """\
SELECT s.name::pg_catalog.text
  FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s (name, place)
  JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) s.name
   AND n.oid OPERATOR(pg_catalog.<>) pg_catalog.pg_my_temp_schema()
  JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
   AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[{names}]::pg_catalog.name[])
 GROUP BY s.name, s.place
HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) {count}
 ORDER BY s.place LIMIT 1"""


def home(alias: str) -> str | None:
    """Return the schema that has the ledger and both kinds of leases.

    None on a database that is not PostgreSQL, and where any of the three tables is missing from
    the schemas of the connection's search_path: `migrate` has not made them yet.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    if connections[alias].vendor != "postgresql":
        return None
    rows = read(alias, _question())
    return str(rows[0][0]) if rows else None


def home_in(connection: BaseDatabaseWrapper) -> str | None:
    """Return the same of a connection that is no alias's, as it stands: with no scope of ours."""
    with unwrapped(connection), connection.cursor() as cursor:
        cursor.execute(_question())
        row = cursor.fetchone()
    return str(row[0]) if row else None


def _question() -> Any:
    names = sql.SQL(", ").join(sql.Literal(model._meta.db_table) for model in _TABLES)
    return sql.SQL(_HOME).format(names=names, count=sql.Literal(len(_TABLES)))


def named(home: str, model: type[models.Model]) -> Any:
    """Return the name of one of our tables, whatever the search_path is."""
    return sql.Identifier(home, model._meta.db_table)


def grant(home: str, role: str) -> Any:
    """Return the statements that let a role record what it does, and hold leases: no more than that."""
    return sql.SQL("; ").join(
        sql.SQL(f"GRANT {rights} ON {{}} TO {{}}").format(named(home, model), sql.Identifier(role))
        for model, rights in _RIGHTS.items()
    )


def read(alias: str, statement: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that reads.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    with reading(alias), connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def write(alias: str, statement: Any) -> list[tuple[Any, ...]]:
    """Send one statement as it stands; return what it returns.

    Inside the caller's transaction it joins that. Neither ``pgtrigger.ignore()`` nor pghistory's
    ``context()`` reaches it: they would add parameters, which give every percent sign a meaning.
    """
    connection = connections[alias]
    with without_injection(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def moment(text: dt.datetime) -> dt.datetime:
    """Return a time that was read with ``timezone('UTC', …)``, which ``USE_TZ`` does not change."""
    return text.replace(tzinfo=dt.UTC)


@contextlib.contextmanager
def reading(alias: str) -> Iterator[None]:
    """Give a scope to read in: it waits for no lock for long, and leaves a transaction alone.

    Not ``transaction.atomic``: where the caller has autocommit off and the transaction is broken,
    that fails half-way and leaves the connection believing that it is in an atomic block.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        with transaction.atomic(using=alias):
            yield
        return
    timeouts = [str(conf.statement_timeout()), str(conf.lock_timeout())]
    with discarded(connection, read_only=True) as cursor:
        cursor.execute(
            "SELECT pg_catalog.set_config('statement_timeout', %s, true), "
            "pg_catalog.set_config('lock_timeout', %s, true)",
            timeouts,
        )
        yield
