"""What a role lacks to use our tables, and the statements that give it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from django.db import connections, models
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.reading import split_search_path, sqlstate
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.ledger.tables import home, named, read
from trigger_ops.models import (
    Acknowledgement,
    Change,
    Decision,
    Guard,
    GuardChange,
    LedgerEntry,
    Policy,
    Review,
    RunLease,
    Session,
    SessionEvent,
    SessionStatement,
    SessionTransaction,
    TriggerLease,
)

_READ: tuple[type[models.Model], ...] = (
    *(TriggerLease, RunLease, Guard, Policy, Change, Decision, Acknowledgement),
    *(GuardChange, LedgerEntry),
)
"""What a check reads: leases, runs at work, the guard, and what went past it."""

SESSIONS: tuple[type[models.Model], ...] = (
    *(Session, Review, SessionEvent, SessionTransaction, SessionStatement, Decision, Change),
)
"""What whoever reads sessions needs: they are judged by what was done in them."""

_DENIED = "42501"

# As the session has it: current_schemas() leaves out what the role has no USAGE on.
_PATH = """\
SELECT pg_catalog.current_setting('search_path'), current_user::pg_catalog.text"""

_LACKS = """\
SELECT n.nspname::pg_catalog.text, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), c.relname::pg_catalog.text
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) ANY (ARRAY[{path}]::pg_catalog.name[])
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
   AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[{names}]::pg_catalog.name[])
   AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            AND (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, r.name)) FROM pg_catalog.unnest(ARRAY[{rights}]) AS r (name)))"""


def lacking_rights(alias: str, place: str | None) -> str:
    """Say in one sentence what this role may not read of our tables, and what to type.

    "" where it may. ``place`` is the schema that has them; without one our tables are absent,
    unless they are in a schema of the search_path that the role has no right to look into.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    role, grants = _lacking(alias, place, _READ)
    if not grants:
        return ""
    return (
        f'Role "{role}" may not read what trigger_ops keeps on "{alias}", so that leases, runs at '
        f"work, the guard and what went past it are unknown: {grants}"
    )


def why_unread(alias: str, error: Exception) -> str:
    """Return why our tables could not be read: with what to type, where it is a right."""
    if is_denied(error.__cause__):
        with contextlib.suppress(DatabaseUnreadable):
            return lacking_rights(alias, home(alias)) or str(error)
    return str(error)


def read_ours(
    alias: str, home: str, statement: Any, tables: Sequence[type[models.Model]]
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that reads our tables.

    ``tables`` are those that whoever asks for such rows needs, one by one or together.

    Raises:
        DatabaseUnreadable: when the database cannot be asked; with what to type, where it is a right.
    """
    try:
        return read(alias, statement)
    except DatabaseUnreadable as error:
        if not is_denied(error.__cause__):
            raise
        role = grants = ""
        with contextlib.suppress(DatabaseUnreadable):
            role, grants = _lacking(alias, home, tables)
        if not grants:
            raise
        raise DatabaseUnreadable(
            f'Role "{role}" may not read what trigger_ops keeps on "{alias}": run {grants}'
        ) from error.__cause__


def grants_of(
    alias: str, error: Exception, tables: Sequence[type[models.Model]], rights: Sequence[str]
) -> str:
    """Return the statement that gives the rights that an error says are missing, "" for none."""
    if is_denied(error):
        with contextlib.suppress(DatabaseUnreadable):
            return _lacking(alias, None, tables, rights, absent=False)[1]
    return ""


def is_denied(error: BaseException | None) -> bool:
    """Tell whether what the driver raised says that a right was missing."""
    return error is not None and sqlstate(error) == _DENIED


def _lacking(
    alias: str,
    place: str | None,
    tables: Sequence[type[models.Model]],
    rights: Sequence[str] = ("SELECT",),
    *,
    absent: bool = True,
) -> tuple[str, str]:
    """Return the role, and the statements that give it what it lacks of some tables, "" for none.

    Without a ``place`` only schemas count that the role may not look into, unless the tables are
    known not to be ``absent``.
    """
    setting, role = read(alias, sql.SQL(_PATH))[0]
    path = [place] if place is not None else list(split_search_path(setting, role=role))
    names = [model._meta.db_table for model in tables]
    question = sql.SQL(_LACKS).format(path=_list(path), names=_list(names), rights=_list(rights))
    rows = read(alias, question)
    anywhere = place is not None or not absent
    lacking = {(schema, name) for schema, is_open, name in rows if anywhere or not is_open}
    schema = next((one for one in path if any(where == one for where, _ in lacking)), None)
    if schema is None:
        return role, ""
    named_ones = [named(schema, one) for one in tables if (schema, one._meta.db_table) in lacking]
    words = f"{', '.join(rights)} ON {{}}"
    statements = [_grant(words, sql.SQL(", ").join(named_ones), role)]
    if any(where == schema and not is_open for where, is_open, _ in rows):
        statements.insert(0, _grant("USAGE ON SCHEMA {}", sql.Identifier(schema), role))
    raw = connections[alias].connection
    return role, " ".join(str(one.as_string(raw)) for one in statements)


def _list(names: Sequence[str]) -> Any:
    return sql.SQL(", ").join(sql.Literal(name) for name in names)


def _grant(words: str, what: Any, role: str) -> Any:
    return sql.SQL(f"GRANT {words} TO {{}};").format(what, sql.Identifier(role))
