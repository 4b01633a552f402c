"""Which tables triggers are on, and of which of them every written row has to be on record."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.sessions import texts
from trigger_ops.ledger.tables import read
from trigger_ops.registry.definition import BEFORE, ROW

# A trigger of a partitioned table has a copy of its name on each partition.
_PLACES = """\
SELECT g.tgname::pg_catalog.text, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, g.tgtype::pg_catalog.int4
  FROM pg_catalog.pg_trigger g
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) g.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE g.tgname OPERATOR(pg_catalog.=) ANY ({names}::pg_catalog.name[]) AND NOT g.tgisinternal"""

# Only tables without relatives: what is sent to those may be written to others.
_COUNTED = """\
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class o WHERE o.relname OPERATOR(pg_catalog.=) c.relname
           AND o.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p,v,f}}'::pg_catalog."char"[]))
  FROM pg_catalog.pg_trigger g
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) g.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE g.tgname OPERATOR(pg_catalog.=) 'trigger_ops_witness' AND g.tgenabled OPERATOR(pg_catalog.=) 'A'
   AND c.relkind OPERATOR(pg_catalog.=) 'r' AND NOT c.relhasrules
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i
        WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid OR i.inhparent OPERATOR(pg_catalog.=) c.oid)"""

Table = tuple[str, str]
"""Schema and name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A trigger on one table. ``is_sure`` says that it is asked about no row that is not written.

    That is so after the row; before it, another trigger may keep the row out, and so may ON
    CONFLICT. One for whole statements is asked where no row is written at all.
    """

    trigger: str
    table: Table
    for_rows: bool
    is_sure: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Witnessed:
    """What a report has to know of the tables of a database."""

    places: tuple[Place, ...]
    counted: dict[str, Table]

    def tables_of(self, trigger: str) -> set[Table]:
        """Return the tables that a trigger (pgid) is on now."""
        return {one.table for one in self.places if one.trigger == trigger}


def read_witnessed(alias: str, triggers: Iterable[str]) -> Witnessed:
    """Return where triggers (pgids) are, and the witnessed tables by what statements call them.

    A name that several tables have stands for none of them, unless a schema comes with it.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    places = tuple(
        Place(
            trigger=trigger,
            table=(schema, table),
            for_rows=bool(kind & ROW),
            is_sure=bool(kind & ROW) and not kind & BEFORE,
        )
        for trigger, schema, table, kind in read(
            alias, sql.SQL(_PLACES).format(names=texts(triggers))
        )
    )
    counted: dict[str, Table] = {}
    for schema, table, namesakes in read(alias, sql.SQL(_COUNTED).format()):
        counted[f"{schema}\0{table}"] = (schema, table)
        if namesakes == 1:
            counted[table] = (schema, table)
    return Witnessed(places=places, counted=counted)
