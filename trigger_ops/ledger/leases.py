"""Disables that end: which are open, and the statements that open and end them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.leases import Lease
from trigger_ops.ledger.entries import Author
from trigger_ops.ledger.tables import moment, named, read
from trigger_ops.models import TriggerLease
from trigger_ops.states import Enabled

REPLACED = "replaced"
"""The cause of a lease's end where another lease of the same trigger follows."""

_READ = """\
SELECT id::pg_catalog.text, uri, schema, "table", trigger, restore, holder, reason,
       pg_catalog.timezone('UTC', since), pg_catalog.timezone('UTC', expires),
       expires OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
  FROM {leases} WHERE ended IS NULL ORDER BY schema, "table", trigger"""

_OPEN = """\
INSERT INTO {leases} (id, uri, schema, "table", trigger, restore, holder, reason, expires)
VALUES ({id}, {uri}, {schema}, {table}, {trigger}, {restore}, {holder}, {reason},
        pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) {lasts})"""

_END = """\
UPDATE {leases} SET ended = pg_catalog.clock_timestamp(), end_cause = {cause}
 WHERE ended IS NULL AND schema OPERATOR(pg_catalog.=) {schema}
   AND "table" OPERATOR(pg_catalog.=) {table} AND trigger OPERATOR(pg_catalog.=) {trigger}"""


def read_leases(alias: str, home: str) -> tuple[Lease, ...]:
    """Return the leases of a database that have not been ended, expired ones included.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    rows = read(alias, sql.SQL(_READ).format(leases=named(home, TriggerLease)))
    return tuple(
        Lease(
            id=uuid.UUID(id_),
            uri=uri,
            database=alias,
            schema=schema,
            table=table,
            trigger=trigger,
            restore=Enabled(restore),
            holder=holder,
            reason=reason,
            since=moment(since),
            expires=moment(expires),
            live=live,
        )
        for id_, uri, schema, table, trigger, restore, holder, reason, since, expires, live in rows
    )


def opening(
    home: str,
    *,
    lease_id: uuid.UUID,
    uri: str,
    schema: str,
    table: str,
    trigger: str,
    restore: Enabled,
    author: Author,
    lasts: dt.timedelta,
) -> Any:
    """Return two statements for one message, without parameters: they replace any open lease."""
    end = ending(home, schema=schema, table=table, trigger=trigger, cause=REPLACED)
    values = {
        "id": str(lease_id),
        "uri": uri,
        "schema": schema,
        "table": table,
        "trigger": trigger,
        "restore": restore.value,
        "holder": author.actor,
        "reason": author.reason,
        "lasts": lasts,
    }
    opened = sql.SQL(_OPEN).format(
        leases=named(home, TriggerLease),
        **{name: sql.Literal(value) for name, value in values.items()},
    )
    return sql.SQL(";\n").join([end, opened])


def ending(home: str, *, schema: str, table: str, trigger: str, cause: str) -> Any:
    """Return the statement, without parameters, that ends a trigger's open lease, if it has one."""
    values = {"schema": schema, "table": table, "trigger": trigger, "cause": cause}
    return sql.SQL(_END).format(
        leases=named(home, TriggerLease),
        **{name: sql.Literal(value) for name, value in values.items()},
    )
