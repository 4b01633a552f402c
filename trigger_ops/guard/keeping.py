"""Keeps the gate where it is: stock code that installs a trigger puts the stock function back.

Every installation of a trigger by django-pgtrigger brings the shared ignore function along. Where
the guard is on, the gate follows in the same transaction, so that nobody ever sees the other one.
Where the DDL guard is on too, what migrations do to triggers is entered into the ledger: whatever
is not there was done by somebody else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pgtrigger.core
import pgtrigger.migrations
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections, transaction
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.reading import split_search_path
from trigger_ops.catalog.transactions import first_line
from trigger_ops.ledger.entries import Author, Record, Run, insertion
from trigger_ops.ledger.tables import named, write
from trigger_ops.models import Guard
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.sql.functions import PREFIX, expected_functions
from trigger_ops.states import Verb

LOGGER = logging.getLogger("trigger_ops")

GATE = f"{PREFIX}gate"
_MARK = "trigger_ops_keeps_the_gate"

# Catalogs alone, so that it fails nowhere. The row's xmin changes with every new body. An array of
# texts, because names may hold anything but come after the first blank.
_LOOK = """\
SELECT n.nspname::pg_catalog.text, s.place IS NOT NULL, pg_catalog.has_table_privilege(c.oid, 'SELECT'),
       ARRAY(SELECT pg_catalog.concat_ws(' ', p.xmin, m.nspname)
               FROM pg_catalog.pg_proc p
               JOIN pg_catalog.pg_namespace m ON m.oid OPERATOR(pg_catalog.=) p.pronamespace
              WHERE p.proname OPERATOR(pg_catalog.=) '_pgtrigger_should_ignore'
                AND p.pronargs OPERATOR(pg_catalog.=) 1
                AND p.proargtypes[0] OPERATOR(pg_catalog.=) 'pg_catalog.name'::pg_catalog.regtype)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
   AND n.oid OPERATOR(pg_catalog.<>) pg_catalog.pg_my_temp_schema()
  LEFT JOIN pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s (name, place)
    ON s.name OPERATOR(pg_catalog.=) n.nspname
 WHERE c.relname OPERATOR(pg_catalog.=) {table}
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
   AND EXISTS (SELECT FROM pg_catalog.pg_proc g
                WHERE g.pronamespace OPERATOR(pg_catalog.=) n.oid
                  AND g.proname OPERATOR(pg_catalog.=) {gate})
 ORDER BY s.place"""

# pgtrigger.schema() leaves its search_path behind for the rest of a transaction.
_OWN_PATH = """\
SELECT s.reset_val, current_user::pg_catalog.text FROM pg_catalog.pg_settings AS s
 WHERE s.name OPERATOR(pg_catalog.=) 'search_path'"""


@dataclasses.dataclass(frozen=True, slots=True)
class Gates:
    """A database whose guard is on: the schema of our tables, and each ignore function's version.

    ``versions`` are by the schema of the function; ``ddl`` tells that the DDL guard is on.
    """

    home: str
    versions: Mapping[str, str]
    ddl: bool = False


def keep_gates() -> None:
    """Have the gate follow every installation of a trigger, from now on in this process.

    To be called when all apps are loaded; calling it again changes nothing.
    """
    migrations: Any = pgtrigger.migrations
    trigger: Any = pgtrigger.core.Trigger
    editor: Any = pgtrigger.migrations.DatabaseSchemaEditorMixin
    _replace(migrations, "_add_trigger", _following, _alias_of_editor, _added)
    _replace(migrations, "_remove_trigger", _following, _alias_of_editor, _removed)
    _replace(trigger, "install", _following, _alias_of_install, _installed)
    _replace(editor, "temporarily_drop_trigger", _entering)


@dataclasses.dataclass(frozen=True, slots=True)
class _Act:
    """What was done to a trigger; ``sql`` names it."""

    verb: Verb
    table: str
    trigger: str
    sql: str


def _replace(owner: Any, name: str, wrap: Callable[..., Any], *more: Any) -> None:
    original = getattr(owner, name)
    if not hasattr(original, _MARK):
        wrapped = functools.wraps(original)(wrap(original, *more))
        setattr(wrapped, _MARK, True)
        setattr(owner, name, wrapped)


def _following(
    original: Callable[..., Any],
    alias_of: Callable[..., str | None],
    act_of: Callable[..., _Act],
) -> Callable[..., Any]:
    """Return a function that does what the original does, and has the gate follow it."""

    def follow(*args: Any, **kwargs: Any) -> Any:
        alias = alias_of(*args, **kwargs)
        before = find_gates(alias) if alias is not None else None
        if alias is None or before is None:
            return original(*args, **kwargs)
        with transaction.atomic(using=alias):
            result = original(*args, **kwargs)
            _follow(alias, before)
            if before.ddl:
                _enter(alias, before.home, act_of(*args, **kwargs))
        return result

    return follow


def _entering(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what enters that a migration drops a trigger and puts it back, to change a column."""

    @contextlib.contextmanager
    def enter(editor: Any, trigger: str, table: str) -> Iterator[None]:
        alias = str(editor.connection.alias)
        gates = find_gates(alias)
        with original(editor, trigger, table):
            if gates is not None and gates.ddl:
                text = f"-- {trigger} is put back when a column of {table} has changed"
                _enter(alias, gates.home, _Act(Verb.INSTALL, table, trigger, text))
            yield

    return enter


def _alias_of_editor(schema_editor: Any, *_: Any, **__: Any) -> str | None:
    """Return where a schema editor executes; None where it only collects statements."""
    return None if schema_editor.collect_sql else str(schema_editor.connection.alias)


def _alias_of_install(_trigger: Any, _model: Any, database: str | None = None) -> str:
    return database or DEFAULT_DB_ALIAS


def _added(_editor: Any, model: Any, trigger: Any) -> _Act:
    return _installed(trigger, model)


def _removed(_editor: Any, model: Any, trigger: Any) -> _Act:
    one = _compiled(trigger, model)
    return _Act(Verb.UNINSTALL, one.sql.table, one.sql.pgid, one.uninstall_sql)


def _installed(trigger: Any, model: Any, database: str | None = None) -> _Act:
    one = _compiled(trigger, model)
    return _Act(Verb.INSTALL, one.sql.table, one.sql.pgid, one.install_sql)


def _compiled(trigger: Any, model: Any) -> Any:
    return trigger.compile(model) if isinstance(trigger, pgtrigger.core.Trigger) else trigger


def _enter(alias: str, home: str, act: _Act) -> None:
    """Enter what was done into the ledger, in its transaction: the DDL guard has noted it.

    What cannot be entered ends no migration; C007 tells of it then.
    """
    author = Author(actor=operating_system_actor(), reason="a migration, or pgtrigger.install()")
    run = Run(id=uuid.uuid4(), verb=act.verb, author=author)
    record = Record(
        database=alias, table=act.table, trigger=act.trigger, sql=act.sql, outcome="done"
    )
    try:
        with transaction.atomic(using=alias):
            write(alias, insertion(alias, home, run, [record]))
    except (DatabaseError, InterfaceError) as error:
        LOGGER.warning(
            'trigger_ops: what was done to %s on "%s" is not in the ledger: %s.',
            act.trigger,
            alias,
            first_line(error),
        )


def find_gates(alias: str) -> Gates | None:
    """Return where the gates of a database are; None where the guard is off or cannot be asked.

    Takes one query where it is off. What stands in the way of asking will stand in the way of
    whatever the caller does next, which then says so.
    """
    if connections[alias].vendor != "postgresql":
        return None
    try:
        found, readable = _look(alias)
        if found is None or not readable:
            return found
        on = write(alias, sql.SQL("SELECT g.ddl FROM {} g").format(named(found.home, Guard)))
    except (DatabaseError, InterfaceError):
        return None
    return dataclasses.replace(found, ddl=on[0][0]) if on else None


def _look(alias: str) -> tuple[Gates | None, bool]:
    """Return what the catalogs say, and whether this role may read the row of the guard.

    Our tables are looked for on the search_path alone: others may have made some like them.
    """
    rows = write(alias, _question())
    if rows and not rows[0][1]:
        path, role = write(alias, _OWN_PATH)[0]
        places = {name: place for place, name in enumerate(split_search_path(path, role=role))}
        rows = sorted((row for row in rows if row[0] in places), key=lambda row: places[row[0]])
    if not rows:
        return None, False
    home, _, readable, versions = rows[0]
    return Gates(home, _versions_of(versions)), readable


def _versions_of(texts: Iterable[str]) -> dict[str, str]:
    pairs = (one.partition(" ") for one in texts)
    return {schema: version for version, _, schema in pairs}


def _question() -> Any:
    return sql.SQL(_LOOK).format(table=sql.Literal(Guard._meta.db_table), gate=sql.Literal(GATE))


def _follow(alias: str, before: Gates) -> None:
    """Put the gate wherever an installation has just put pgtrigger's function.

    A gate that does not come back ends no migration, but it is said, and `check` says C006.
    """
    try:
        with transaction.atomic(using=alias):
            rows = write(alias, _question())
            after = _versions_of(rows[0][-1]) if rows else {}
            for schema, _ in after.items() - before.versions.items():
                gate = expected_functions("guard", home=before.home, schema=schema)[-1]
                write(alias, gate.statement)
    except (DatabaseError, InterfaceError) as error:
        LOGGER.warning(
            'trigger_ops: the gate on "%s" did not come back after an installation: %s; run '
            "manage.py pgtrigger guard install -d %s.",
            alias,
            first_line(error),
            alias,
        )
