"""The optional guard of DDL: event triggers that keep witnesses firing and the gate in place.

They and their functions live in a schema of their own, which belongs to a superuser: whoever owns
the database could drop a function from any other one, and the event trigger with it.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections, transaction
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.exceptions import Refused
from trigger_ops.inspection.guarding import DEPARSED, all_witnesses
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.inspection.own_objects import expected_own_functions
from trigger_ops.ledger.entries import (
    Author,
    Record,
    Run,
    insertion,
    write_finished,
    write_started,
)
from trigger_ops.ledger.guard import LEDGER, TABLES
from trigger_ops.ledger.tables import named, read, write
from trigger_ops.models import Guard
from trigger_ops.sql import load
from trigger_ops.sql.functions import ExpectedFunction, expected_functions
from trigger_ops.sql.own_tables import OWN_TRIGGERS
from trigger_ops.states import Enabled, Verb

SCHEMA = "trigger_ops_ddl_guard"
"""The schema of the event triggers' functions."""

EVENTS = {
    "trigger_ops_ddl_guard": (
        "ddl_command_end",
        "watch",
        (
            # ALTER INDEX renames tables too; others of the kind (SEQUENCE, VIEW …) do not (measured on 15 and 18).
            *("ALTER EXTENSION", "ALTER FOREIGN TABLE", "ALTER FUNCTION", "ALTER INDEX", "ALTER POLICY", "ALTER ROUTINE", "ALTER SCHEMA"),
            *("ALTER TABLE", "ALTER TRIGGER", "CREATE FOREIGN TABLE", "CREATE FUNCTION", "CREATE POLICY", "CREATE RULE", "CREATE SCHEMA"),
            *("CREATE TABLE", "CREATE TRIGGER"),
        ),
    ),
    "trigger_ops_drop_guard": (
        "sql_drop",
        "watch_drops",
        ("ALTER TABLE", "DROP EXTENSION", "DROP FUNCTION", "DROP LANGUAGE", "DROP OWNED", "DROP ROUTINE", "DROP SCHEMA", "DROP TABLE", "DROP TRIGGER", "DROP TYPE"),
    ),
    "trigger_ops_rewrite_guard": ("table_rewrite", "watch_rewrites", ("ALTER TABLE", "ALTER TYPE")),
}  # as a table  # fmt: skip
"""Each event trigger with its event, its function and the tags that it is for."""

_BODY = re.compile(r"\$body\$(.*)\$body\$", re.DOTALL)

_CREATE = (
    "CREATE EVENT TRIGGER {name} ON {event} WHEN TAG IN ({tags}) EXECUTE FUNCTION {function}()"
)

# What there was when it was last looked at, from which a change is told. A dump has names in the place
# of OIDs, which mean nothing where it is restored; an owner's may be missing there. It is learned anew
# each time, so that nothing is lost with the tables.
_KNOWN = (
    "DROP TABLE IF EXISTS {schema}.known, {schema}.known_tables",
    """\
CREATE TABLE {schema}.known (relation regclass, name name, is_clone boolean, enabled "char", definition text, does text, body text, dropped boolean,
    PRIMARY KEY (relation, name))""",
    "CREATE TABLE {schema}.known_tables (relation regclass PRIMARY KEY, owner name, shape jsonb)",
    "GRANT USAGE ON SCHEMA {schema} TO PUBLIC",
)

_MAY_LOOK = """\
SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) 2
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {schema} AND c.relname OPERATOR(pg_catalog.=) ANY ('{{known,known_tables}}'::pg_catalog.name[])
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')"""

_UNKNOWN = """\
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {home} AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[{own}]::pg_catalog.name[])
   AND NOT EXISTS (SELECT FROM {tables} k WHERE k.relation OPERATOR(pg_catalog.=) c.oid
                      AND k.owner OPERATOR(pg_catalog.=) pg_catalog.pg_get_userbyid(c.relowner))
UNION ALL
SELECT pg_catalog.format('%I on %I.%I', t.tgname, n.nspname, c.relname)
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE (pg_catalog.starts_with(t.tgname::pg_catalog.text, 'pgtrigger_') OR pg_catalog.starts_with(t.tgname::pg_catalog.text, 'trigger_ops_witness'))
   AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
   AND NOT EXISTS (SELECT FROM {triggers} k WHERE k.relation OPERATOR(pg_catalog.=) t.tgrelid AND k.name OPERATOR(pg_catalog.=) t.tgname)
 LIMIT 1"""

_LOOK = """\
SELECT e.evtname::pg_catalog.text, e.evtenabled::pg_catalog.text, e.evtevent::pg_catalog.text,
       n.nspname::pg_catalog.text, p.proname::pg_catalog.text, e.evttags
  FROM pg_catalog.pg_event_trigger e
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
 WHERE pg_catalog.starts_with(e.evtname::pg_catalog.text, 'trigger_ops_')"""

_BODIES = """\
SELECT p.proname::pg_catalog.text, p.prosrc
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {schema}"""

_IS_SUPERUSER = """\
SELECT r.rolname::pg_catalog.text, r.rolsuper FROM pg_catalog.pg_roles r
 WHERE r.rolname OPERATOR(pg_catalog.=) current_user"""


def statements(alias: str, home: str) -> list[str]:
    """Return what puts the guard of DDL in place, whatever is there of it."""
    schema = sql.Identifier(SCHEMA)
    composed = [
        *_dropped_events(),
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema),
        *(sql.SQL(text).format(schema=schema) for text in _KNOWN),
        *_functions(home).values(),
        # Event triggers call them, and nobody else has to: they do what they are told as a superuser.
        sql.SQL("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {} FROM PUBLIC").format(schema),
    ]
    for name, (event, function, tags) in EVENTS.items():
        composed += [
            sql.SQL(_CREATE).format(
                name=sql.Identifier(name),
                event=sql.SQL(event),
                tags=sql.SQL(", ").join(map(sql.Literal, tags)),
                function=sql.Identifier(SCHEMA, function),
            ),
            # Under session_replication_role = replica as well.
            sql.SQL("ALTER EVENT TRIGGER {} ENABLE ALWAYS").format(sql.Identifier(name)),
        ]
    composed.append(sql.SQL("SELECT {}()").format(sql.Identifier(SCHEMA, "learn")))
    composed.append(_marked(home, on=True))
    return _written(alias, composed)


def removal(alias: str, home: str) -> list[str]:
    """Return what takes the guard of DDL away."""
    schema = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA))
    return _written(alias, [*_dropped_events(), schema, _marked(home, on=False)])


def carry_out(
    alias: str, home: str, texts: Sequence[str], *, verb: Verb, actor: str, reason: str
) -> None:
    """Do it in one transaction, with an entry in the ledger for each statement.

    Raises:
        Refused: where the role is no superuser, which PostgreSQL wants for event triggers.
    """
    refuse_ordinary_role(alias)
    run = Run(id=uuid.uuid4(), verb=verb, author=Author(actor=actor, reason=reason))
    write_started(alias, home, run, detail="DDL guard")
    with transaction.atomic(using=alias):
        for text in texts:
            write(alias, text)
        records = [Record(database=alias, sql=text, outcome="done") for text in texts]
        write(alias, insertion(alias, home, run, records))
    write_finished(alias, home, run, outcome="done", detail="DDL guard")


def refuse_ordinary_role(alias: str) -> None:
    """Refuse a role that may not make or drop event triggers.

    Raises:
        Refused: naming it.
        DatabaseUnreadable: when the database cannot be asked.
    """
    role, superuser = read(alias, _IS_SUPERUSER)[0]
    if not superuser:
        raise Refused(
            f'The DDL guard is for superusers to change, and role "{role}" on "{alias}" is none: '
            f"connect as one, or run manage.py pgtrigger guard install{for_pgtrigger(alias)} "
            "without --ddl-guard."
        )


def fault(alias: str, home: str) -> str:
    """Say what is wrong with the guard of DDL, "" where nothing is.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    return next(_faults(alias, home), "")


def _faults(alias: str, home: str) -> Iterator[str]:
    found = {row[0]: row[1:] for row in read(alias, _LOOK)}
    for name, (event, function, tags) in EVENTS.items():
        if name not in found:
            yield f"{name} is missing"
            continue
        enabled, *rest, present_tags = found[name]
        if enabled != "A":
            yield f"{name} is not ENABLE ALWAYS"
        if rest != [event, SCHEMA, function] or sorted(present_tags or ()) != sorted(tags):
            yield f"{name} is for something else"
    question = sql.SQL(_BODIES).format(schema=sql.Literal(SCHEMA))
    bodies = dict(read(alias, question))
    for name, composed in _functions(home).items():
        expected = _BODY.search(_written(alias, [composed])[0])
        if expected is None or bodies.get(name) != expected[1]:
            yield f"has another function {SCHEMA}.{name}"
    yield from _unknown(alias, home)


def _unknown(alias: str, home: str) -> Iterator[str]:
    """Yield the first of what there is and the guard of DDL never saw, so that it tells no change of it.

    A restore may bring that about, and event triggers that were off.
    """
    question = sql.SQL(_MAY_LOOK).format(schema=sql.Literal(SCHEMA))
    if not read(alias, question)[0][0]:
        yield "does not let this role see what it knows"
        return
    question = sql.SQL(_UNKNOWN).format(
        home=sql.Literal(home),
        own=sql.SQL(", ").join(map(sql.Literal, _own_tables())),
        tables=sql.Identifier(SCHEMA, "known_tables"),
        triggers=sql.Identifier(SCHEMA, "known"),
    )
    for (name,) in read(alias, question):
        yield f"does not know {name}"


def _functions(home: str) -> dict[str, Any]:
    """Return the statements of the functions by name, in the order in which they are to be made."""
    gate = expected_functions("guard", home=home, schema="public")[-1].body
    own = {f"{one.name}({one.types})": _digest(one) for one in expected_own_functions(home)}
    return {
        name: sql.SQL(text).format(
            schema=sql.Identifier(SCHEMA),
            home=sql.Identifier(home),
            home_name=sql.Literal(home),
            gate=sql.Literal(gate),
            stock=sql.Literal(stock_ignore_body()),
            functions=sql.Literal(json.dumps(own, sort_keys=True)),
            tables=sql.Literal(json.dumps(_own_tables())),
            triggers=sql.Literal(json.dumps(_own_triggers(), sort_keys=True)),
            witnesses=sql.Literal(json.dumps(_witnesses(), sort_keys=True)),
        )
        for name, text in load("ddl_guard").items()
    }


def _own_tables() -> list[str]:
    return [model._meta.db_table for model in (*LEDGER, *TABLES)]


def _own_triggers() -> dict[str, dict[str, dict[str, object]]]:
    """Return what the triggers on our own tables have to be, by table and name."""
    found: defaultdict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    for one in OWN_TRIGGERS:
        found[one.table][one.name] = {"type": one.type_bits, "deferred": one.deferred}
    return found


def _witnesses() -> dict[str, dict[str, object]]:
    """Return what witnesses have to be, by name."""
    return {
        one.name: {
            "type": one.type_bits,
            "function": one.function,
            "enabled": "R" if one.enabled is Enabled.REPLICA else "A",
            "condition": DEPARSED if one.has_condition else None,
        }
        for one in all_witnesses()
    }


def _digest(one: ExpectedFunction) -> str:
    """Digest what a function does, as the function of that name in the database."""
    parts = [
        one.language,
        str(one.security_definer).lower(),
        one.volatility,
        ";".join(one.settings),
        one.body,
    ]
    # concat_ws leaves out what is null, as the settings of a function without any.
    text = " ".join(part for part in parts if part or part == one.body)
    return hashlib.sha256(text.encode()).hexdigest()


def _dropped_events() -> list[Any]:
    return [
        sql.SQL("DROP EVENT TRIGGER IF EXISTS {}").format(sql.Identifier(name)) for name in EVENTS
    ]


def _marked(home: str, *, on: bool) -> Any:
    return sql.SQL("UPDATE {} SET ddl = {}").format(named(home, Guard), sql.Literal(on))


def _written(alias: str, composed: Sequence[Any]) -> list[str]:
    connection = connections[alias]
    connection.ensure_connection()
    return [str(one.as_string(connection.connection)) for one in composed]
