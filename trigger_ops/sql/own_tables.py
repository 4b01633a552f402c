"""The triggers on our own tables, which hold their rules: for migrations, and for whoever checks them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.core.management.base import CommandError
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.sql import Composable

_BITS = {"ROW": 1, "BEFORE": 2, "INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnTrigger:
    """One trigger on a table of ours, which executes the function of its name. It is ENABLE ALWAYS.

    ``events`` are as in ``CREATE TRIGGER``; ``for_rows`` tells FOR EACH ROW; ``deferred`` one that
    fires at COMMIT, a constraint trigger.
    """

    name: str
    table: str
    timing: str
    events: tuple[str, ...]
    for_rows: bool = False
    deferred: bool = False

    @property
    def type_bits(self) -> int:
        """What ``pg_trigger.tgtype`` should hold."""
        words = (*self.events, self.timing, "ROW" if self.for_rows else "")
        return sum(_BITS.get(word, 0) for word in words)

    def creation(self, home: str) -> Composable:
        """Create it on its table in a schema; its mode is not part of this."""
        deferring = " DEFERRABLE INITIALLY DEFERRED" if self.deferred else ""
        level = "ROW" if self.for_rows else "STATEMENT"
        return sql.SQL(
            f"CREATE {'CONSTRAINT ' if self.deferred else ''}TRIGGER {{name}} {self.timing} "
            f"{' OR '.join(self.events)} ON {{table}}{deferring} FOR EACH {level} "
            "EXECUTE FUNCTION {function}()"
        ).format(
            name=sql.Identifier(self.name),
            table=sql.Identifier(home, self.table),
            function=sql.Identifier(home, self.name),
        )

    def switching(self, home: str) -> Composable:
        """Have it fire whatever ``session_replication_role`` is."""
        return sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(
            sql.Identifier(home, self.table), sql.Identifier(self.name)
        )


def _only_grows(table: str, name: str = "trigger_ops_evidence_guard") -> OwnTrigger:
    events = ("UPDATE", "DELETE", "TRUNCATE")
    return OwnTrigger(name=name, table=table, timing="BEFORE", events=events)


_EVIDENCE = (
    *("review", "sessionevent", "sessiontransaction", "sessionstatement"),
    *("decision", "change", "acknowledgement", "guardchange"),
)

OWN_TRIGGERS = (
    _only_grows("trigger_ops_ledgerentry", "trigger_ops_ledger_guard"),
    OwnTrigger(
        name="trigger_ops_state_machine",
        table="trigger_ops_session",
        timing="BEFORE",
        events=("INSERT", "UPDATE"),
        for_rows=True,
    ),
    OwnTrigger(
        name="trigger_ops_evidence_guard",
        table="trigger_ops_session",
        timing="BEFORE",
        events=("DELETE", "TRUNCATE"),
    ),
    OwnTrigger(
        name="trigger_ops_review_rules",
        table="trigger_ops_review",
        timing="BEFORE",
        events=("INSERT",),
        for_rows=True,
    ),
    OwnTrigger(
        name="trigger_ops_review_outcome",
        table="trigger_ops_review",
        timing="AFTER",
        events=("INSERT",),
        for_rows=True,
    ),
    OwnTrigger(
        name="trigger_ops_commit_check",
        table="trigger_ops_sessiontransaction",
        timing="AFTER",
        events=("INSERT",),
        for_rows=True,
        deferred=True,
    ),
    # A flush would switch the guard off and leave its gates.
    *(
        OwnTrigger(
            name="trigger_ops_evidence_guard",
            table=f"trigger_ops_{name}",
            timing="BEFORE",
            events=("TRUNCATE",),
        )
        for name in ("guard", "policy")
    ),
    *(
        OwnTrigger(
            name="trigger_ops_guard_log",
            table=f"trigger_ops_{name}",
            timing="AFTER",
            events=("INSERT", "UPDATE", "DELETE"),
            for_rows=True,
        )
        for name in ("guard", "policy")
    ),
    *(_only_grows(f"trigger_ops_{name}") for name in _EVIDENCE),
)
"""All of them, table by table."""


_THERE = """\
SELECT c.relname::pg_catalog.text, t.tgname::pg_catalog.text
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) %s"""

_EVENT_TRIGGERS = """\
SELECT e.evtname::pg_catalog.text, r.rolsuper
  FROM pg_catalog.pg_event_trigger e
 CROSS JOIN pg_catalog.pg_roles r
 WHERE pg_catalog.starts_with(e.evtname::pg_catalog.text, 'trigger_ops_')
   AND r.rolname OPERATOR(pg_catalog.=) current_user"""

_LEARN = """\
DO $do$ BEGIN
    IF pg_catalog.to_regprocedure('trigger_ops_ddl_guard.learn()') IS NOT NULL THEN
        PERFORM trigger_ops_ddl_guard.learn();
    END IF;
END $do$"""

# What migrations do -------------------------------------------------------------------------------


def put_on(schema_editor: Any, tables: Collection[str]) -> None:
    """Create the triggers of tables that a migration has just made."""
    home = _home(schema_editor)
    for one in OWN_TRIGGERS:
        if one.table in tables:
            _execute(schema_editor, (one.creation(home), one.switching(home)))


def put_missing_on(schema_editor: Any, tables: Collection[str]) -> None:
    """Create those triggers of tables that are not there yet."""
    home = _home(schema_editor)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_THERE, [home])
        there = set(cursor.fetchall())
    for one in OWN_TRIGGERS:
        if one.table in tables and (one.table, one.name) not in there:
            _execute(schema_editor, (one.creation(home), one.switching(home)))


def set_ddl_guard_aside(schema_editor: Any, *, aside: bool) -> None:
    """Let the event triggers of the DDL guard look away, or look again; none may be there.

    Raises:
        CommandError: where they are for a superuser to switch, and this role is none.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_EVENT_TRIGGERS)
        found = cursor.fetchall()
    if aside and any(not may for _, may in found):
        raise CommandError(
            "The DDL guard watches over the tables of trigger_ops, which this migration changes: "
            "run it as a superuser, who may set it aside meanwhile."
        )
    how = "DISABLE" if aside else "ENABLE ALWAYS"
    if found and not aside:
        _execute(schema_editor, [sql.SQL(_LEARN)])  # our tables are other ones by now
    for name, _ in found:
        statement = sql.SQL(f"ALTER EVENT TRIGGER {{}} {how}").format(sql.Identifier(name))
        _execute(schema_editor, [statement])


def execute(schema_editor: Any, texts: Iterable[str], **names: str) -> None:
    """Execute SQL in which ``{home}`` is the schema of our tables, and ``names`` are identifiers."""
    found = {"home": _home(schema_editor), **names}
    identifiers = {name: sql.Identifier(value) for name, value in found.items()}
    _execute(schema_editor, (sql.SQL(text).format(**identifiers) for text in texts))


def refuse_to_lose(schema_editor: Any, tables: Iterable[str], what: str) -> None:
    """Refuse to unapply a migration that made tables, while rows are in one of them.

    Django's test runner may: the name of its database begins with ``test_``.

    Raises:
        CommandError: naming the table, and what to do.
    """
    if schema_editor.collect_sql:
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_database()::pg_catalog.text")
        is_for_tests = cursor.fetchone()[0].startswith("test_")
        for table in () if is_for_tests else tables:
            query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
            cursor.execute(query)
            if cursor.fetchone()[0]:
                raise CommandError(
                    f'This would drop {what}, and "{table}" has rows, which nothing would bring '
                    "back: leave the migration applied, or unapply it in a database whose name "
                    "begins with test_."
                )


def _home(schema_editor: Any) -> str:
    """Return where the tables of a migration have just been made."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_schema()::pg_catalog.text")
        return str(cursor.fetchone()[0])


def _execute(schema_editor: Any, composed: Iterable[Composable]) -> None:
    for one in _written(schema_editor, composed):
        schema_editor.execute(one, params=None)


def _written(schema_editor: Any, composed: Iterable[Composable]) -> Iterator[str]:
    connection = schema_editor.connection
    connection.ensure_connection()
    return (str(one.as_string(connection.connection)) for one in composed)
