"""The SQL of each statement: every name an identifier, every text a literal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.conditions import clause_of
from trigger_ops.catalog.reading import split_search_path
from trigger_ops.catalog.snapshot import CatalogTrigger, IgnoreFunction
from trigger_ops.inspection.comparison import BUILT_IN
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.registry.definition import BEFORE, EVENTS, INSTEAD, ROW, UPDATE, Definition
from trigger_ops.sql import Composable
from trigger_ops.states import Enabled

VOLATILITIES = {"v": "VOLATILE", "s": "STABLE", "i": "IMMUTABLE"}
MODES = {
    Enabled.ENABLED: "ENABLE",
    Enabled.DISABLED: "DISABLE",
    Enabled.REPLICA: "ENABLE REPLICA",
    Enabled.ALWAYS: "ENABLE ALWAYS",
}


def create_function(
    definition: Definition, schema: str, settings: Iterable[str] = ()
) -> Composable:
    """Create or replace a trigger's own function in its table's schema.

    ``settings`` are kept as ``pg_proc.proconfig`` has them: replacing would lose them.
    """
    return sql.Composed(
        [
            sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql").format(
                sql.Identifier(schema, definition.pgid)
            ),
            *(_setting(one) for one in settings),
            # Stored byte for byte, and compared so: not a literal, which would escape.
            sql.SQL(f" AS $${definition.body or ''}$$"),
        ]
    )


def recreate_function(live: CatalogTrigger) -> Composable:
    """Create or replace a live trigger's function as it is now."""
    return _function(
        sql.SQL("{}()").format(sql.Identifier(live.function_schema, live.function)),
        returns="trigger",
        language=live.language,
        volatility=live.volatility,
        security_definer=live.security_definer,
        settings=live.function_settings,
        body=live.body,
    )


def create_ignore_function(schema: str, body: str) -> Composable:
    """Create or replace the shared ignore function with pgtrigger's own body."""
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {}(trigger_name name) RETURNS boolean LANGUAGE plpgsql AS {}"
    ).format(sql.Identifier(schema, IGNORE_FUNCTION), sql.SQL(f"$${body}$$"))


def recreate_ignore_function(function: IgnoreFunction) -> Composable:
    """Create or replace an ignore function as it is now."""
    return _function(
        sql.Composed(
            [
                sql.Identifier(function.schema, IGNORE_FUNCTION),
                sql.SQL(f"({function.arguments})"),  # PostgreSQL's own spelling of them
            ]
        ),
        returns=function.returns,
        language=function.language,
        volatility="v",
        security_definer=function.security_definer,
        settings=function.settings,
        body=function.body,
    )


def _function(
    signature: Composable,
    *,
    returns: str,
    language: str,
    volatility: str,
    security_definer: bool,
    settings: Sequence[str],
    body: str,
) -> Composable:
    security = " SECURITY DEFINER" if security_definer else ""
    return sql.Composed(
        [
            sql.SQL("CREATE OR REPLACE FUNCTION "),
            signature,
            sql.SQL(f" RETURNS {returns} LANGUAGE "),
            sql.Identifier(language),
            sql.SQL(f" {VOLATILITIES[volatility]}{security}"),
            *(_setting(one) for one in settings),
            sql.SQL(" AS "),
            sql.Literal(body),
        ]
    )


def _setting(setting: str) -> Composable:
    name, _, value = setting.partition("=")
    parts = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
    if name == "search_path":
        # A list, kept as it was written: whatever it holds, only names come out again.
        names = split_search_path(value, role="$user") or ("",)
        listed = sql.SQL(", ").join(map(sql.Literal, names))
        return sql.Composed([sql.SQL(" SET search_path = "), listed])
    return sql.Composed([sql.SQL(" SET "), parts, sql.SQL(" = "), sql.Literal(value)])


def own_function(schema: str, name: str, owner: str) -> Composable:
    """Give a trigger's function to another role."""
    return sql.SQL("ALTER FUNCTION {}() OWNER TO {}").format(
        sql.Identifier(schema, name), sql.Identifier(owner)
    )


def drop_function(schema: str, name: str) -> Composable:
    """Drop a function of no arguments; PostgreSQL refuses if anything depends on it."""
    return sql.SQL("DROP FUNCTION {}()").format(sql.Identifier(schema, name))


def create_trigger(
    definition: Definition, schema: str, table: str, *, replace: bool
) -> Composable:
    """Create a trigger as the code says, on a table and with a function of one schema."""
    constraint, events, rest = definition.stand_in_parts
    kind = f"CREATE {'OR REPLACE ' if replace else ''}{constraint + ' ' if constraint else ''}"
    return sql.Composed(
        [
            sql.SQL(f"{kind}TRIGGER "),
            sql.Identifier(definition.pgid),
            sql.SQL(f" {' '.join(events.split())} ON "),
            sql.Identifier(schema, table),
            sql.SQL(f" {rest.strip()} EXECUTE FUNCTION "),
            _executed(definition, schema),
        ]
    )


def _executed(definition: Definition, schema: str) -> Composable:
    home, name = definition.function
    if definition.executes_own_function:
        home = schema
    elif home is None and name in BUILT_IN:
        home = "pg_catalog"
    function = sql.Identifier(home, name) if home else sql.Identifier(name)
    return _call(function, definition.arguments)


def _call(function: Composable, arguments: Iterable[str]) -> Composable:
    values = sql.SQL(", ").join(sql.Literal(one) for one in arguments)
    return sql.Composed([function, sql.SQL("("), values, sql.SQL(")")])


def recreate_trigger(live: CatalogTrigger) -> Composable:
    """Create a live trigger again as it is now; its mode and comment are not part of this."""
    clauses: list[Composable] = []
    if live.is_constraint:
        defer = "DEFERRABLE" if live.deferrable else "NOT DEFERRABLE"
        initially = "DEFERRED" if live.initially_deferred else "IMMEDIATE"
        clauses.append(sql.SQL(f" {defer} INITIALLY {initially}"))
    if live.old_table or live.new_table:
        clauses.append(sql.SQL(" REFERENCING"))
        for word, name in (("OLD", live.old_table), ("NEW", live.new_table)):
            if name:
                clauses.append(sql.Composed([sql.SQL(f" {word} TABLE AS "), sql.Identifier(name)]))
    level = "ROW" if live.type_bits & ROW else "STATEMENT"
    condition = clause_of(live.definition) if live.definition else ""
    when = f" WHEN {condition}" if condition else ""
    return sql.Composed(
        [
            sql.SQL(f"CREATE {'CONSTRAINT ' if live.is_constraint else ''}TRIGGER "),
            sql.Identifier(live.name),
            sql.SQL(f" {_timing(live)} "),
            _events(live),
            sql.SQL(" ON "),
            sql.Identifier(live.schema, live.table),
            *clauses,
            sql.SQL(f" FOR EACH {level}{when} EXECUTE FUNCTION "),
            _call(sql.Identifier(live.function_schema, live.function), live.arguments),
        ]
    )


def _timing(live: CatalogTrigger) -> str:
    if live.type_bits & INSTEAD:
        return "INSTEAD OF"
    return "BEFORE" if live.type_bits & BEFORE else "AFTER"


def _events(live: CatalogTrigger) -> Composable:
    found: list[Composable] = []
    for word, bit in EVENTS.items():
        if not live.type_bits & bit:
            continue
        if bit == UPDATE and live.columns:
            columns = sql.SQL(", ").join(map(sql.Identifier, live.columns))
            found.append(sql.Composed([sql.SQL("UPDATE OF "), columns]))
        else:
            found.append(sql.SQL(word))
    return sql.SQL(" OR ").join(found)


def drop_trigger(name: str, schema: str, table: str) -> Composable:
    """Drop a trigger."""
    return sql.SQL("DROP TRIGGER {} ON {}").format(
        sql.Identifier(name), sql.Identifier(schema, table)
    )


def comment(name: str, schema: str, table: str, text: str | None) -> Composable:
    """Write a trigger's comment, or take it away."""
    return sql.SQL("COMMENT ON TRIGGER {} ON {} IS {}").format(
        sql.Identifier(name), sql.Identifier(schema, table), sql.Literal(text)
    )


def switch(name: str, schema: str, table: str, mode: Enabled, *, only: bool = False) -> Composable:
    """Switch a trigger into another mode, on all partitions too unless ``only`` this table."""
    return sql.Composed(
        [
            sql.SQL(f"ALTER TABLE {'ONLY ' if only else ''}"),
            sql.Identifier(schema, table),
            sql.SQL(f" {MODES[mode]} TRIGGER "),
            sql.Identifier(name),
        ]
    )
