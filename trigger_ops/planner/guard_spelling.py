"""The SQL of gate and witnesses."""

from __future__ import annotations

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.inspection.guarding import CONDITION, TRUNCATE, ExpectedWitness
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.registry.definition import DELETE, INSERT, ROW, UPDATE
from trigger_ops.sql import Composable
from trigger_ops.sql.functions import expected_functions

_EVENTS = {"INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE, "TRUNCATE": TRUNCATE}


def create_gate(schema: str, home: str) -> Composable:
    """Create or replace the ignore function of a schema with the gate."""
    found = expected_functions("guard", home=home, schema=schema)
    return next(one.statement for one in found if one.name == IGNORE_FUNCTION)


def create_witness(one: ExpectedWitness, home: str, *, replace: bool) -> Composable:
    """Create a witness; its mode is not part of this."""
    events = " OR ".join(word for word, bit in _EVENTS.items() if one.type_bits & bit)
    timing = "BEFORE" if one.type_bits & TRUNCATE else "AFTER"
    names = (("OLD", one.old_table), ("NEW", one.new_table))
    transition = [f"{word} TABLE AS {name}" for word, name in names if name]
    parts = [
        f" REFERENCING {' '.join(transition)}" if transition else "",
        f" FOR EACH {'ROW' if one.type_bits & ROW else 'STATEMENT'}",
        f" {CONDITION}" if one.has_condition else "",
        " EXECUTE FUNCTION ",
    ]
    return sql.Composed(
        [
            sql.SQL(f"CREATE {'OR REPLACE ' if replace else ''}TRIGGER "),
            sql.Identifier(one.name),
            sql.SQL(f" {timing} {events} ON "),
            sql.Identifier(one.table.schema, one.table.name),
            sql.SQL("".join(parts)),
            sql.Identifier(home, one.function),
            sql.SQL("("),
            sql.SQL(", ").join(map(sql.Literal, one.arguments)),
            sql.SQL(")"),
        ]
    )


def drop_own_function(home: str, name: str, arguments: str) -> Composable:
    """Drop a function of ours."""
    return sql.SQL("DROP FUNCTION {}({})").format(sql.Identifier(home, name), sql.SQL(arguments))
