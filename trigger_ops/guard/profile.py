"""Which profile holds: *split*, where the roles that use the tables cannot alter them, or *single*."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.guard import LEDGER, TABLES
from trigger_ops.ledger.tables import read
from trigger_ops.sql.functions import PREFIX

# Whoever is a member of an owner can do what the owner can; whoever owns a schema can drop what is
# in it. A superuser is a member of everything. Rights to write our tables count however they came.
_ASK = """\
WITH roles AS (
    SELECT w.name::pg_catalog.text AS name, r.oid, r.rolsuper
      FROM pg_catalog.unnest(ARRAY[{roles}]::pg_catalog.name[]) AS w (name)
      LEFT JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) w.name
), objects AS (
    SELECT 'the table ' || pg_catalog.format('%I.%I', n.nspname, c.relname) AS what, c.relowner AS owner
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
     WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY[{tables}]::pg_catalog.oid[])
        OR (n.nspname OPERATOR(pg_catalog.=) {home} AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
            AND pg_catalog.starts_with(c.relname::pg_catalog.text, {prefix}))
    UNION ALL
    SELECT 'the function ' || pg_catalog.format('%I.%I', n.nspname, p.proname), p.proowner
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
     WHERE n.nspname OPERATOR(pg_catalog.=) {home} AND pg_catalog.starts_with(p.proname::pg_catalog.text, {prefix})
        OR p.proname OPERATOR(pg_catalog.=) '_pgtrigger_should_ignore'
    UNION ALL
    SELECT 'the schema ' || pg_catalog.quote_ident(n.nspname), n.nspowner
      FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) {home}
), own AS (
    SELECT c.oid, c.relname
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
     WHERE n.nspname OPERATOR(pg_catalog.=) {home} AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
       AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[{own}]::pg_catalog.name[])
)
SELECT r.name, r.oid IS NOT NULL, coalesce(r.rolsuper, false),
       ARRAY(SELECT o.what FROM objects o WHERE pg_catalog.pg_has_role(r.oid, o.owner, 'MEMBER') ORDER BY 1),
       ARRAY(SELECT o.relname::pg_catalog.text FROM own o
              WHERE pg_catalog.has_table_privilege(r.oid, o.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                 OR pg_catalog.has_any_column_privilege(r.oid, o.oid, 'INSERT, UPDATE, REFERENCES') ORDER BY 1)
  FROM roles r ORDER BY r.name"""

_NAMED_AT_MOST = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Whether the roles that use the tables could alter the guard.

    ``reasons`` say why it is *single*; none of them means *split*.
    """

    roles: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``split`` or ``single``."""
        return "single" if self.reasons else "split"


def read_profile(
    alias: str, home: str, *, roles: Sequence[str], tables: Collection[int]
) -> Profile:
    """Read what some roles could do to guarded tables (by OID) and to what guards them.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    question = sql.SQL(_ASK).format(
        roles=sql.SQL(", ").join(map(sql.Literal, roles)),
        tables=sql.SQL(", ").join(map(sql.Literal, sorted(tables))),
        home=sql.Literal(home),
        own=sql.SQL(", ").join(sql.Literal(one._meta.db_table) for one in (*LEDGER, *TABLES)),
        prefix=sql.Literal(PREFIX),
    )
    reasons = (_reason(*row) for row in read(alias, question))
    return Profile(roles=tuple(roles), reasons=tuple(filter(None, reasons)))


def _reason(
    role: str,
    exists: bool,  # noqa: FBT001 - a row of the catalog, unpacked
    superuser: bool,  # noqa: FBT001 - a row of the catalog, unpacked
    owns: Sequence[str],
    writes: Sequence[str],
) -> str:
    if not exists:
        return f'there is no role "{role}"'
    if superuser:
        return f'role "{role}" is a superuser'
    if owns:
        return f'role "{role}" owns {_some(owns)}, or is a member of its owner'
    return f'role "{role}" may write {_some(writes)}' if writes else ""


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    return f"{', '.join(names[:_NAMED_AT_MOST])}{more}"
