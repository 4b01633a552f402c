"""A compiled trigger taken apart: each facet as PostgreSQL will store it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgtrigger.compiler import UpsertTriggerSql

from trigger_ops.registry.definition import (
    BEFORE,
    DELETE,
    INSERT,
    INSTEAD,
    ROW,
    TRUNCATE,
    UPDATE,
    Definition,
    definition_of,
    identifiers,
    split_table,
)


def definition(**changes: Any) -> Definition:
    given = {"pgid": "pgtrigger_x_00000", "func": "RETURN NEW;", "table": "shop_order"}
    return definition_of(
        UpsertTriggerSql(**{**given, "when": "BEFORE", "operation": "UPDATE", **changes})
    )


@pytest.mark.parametrize(
    ("operation", "events", "columns"),
    [
        ("UPDATE", UPDATE, None),
        ("INSERT OR UPDATE OR DELETE", INSERT | UPDATE | DELETE, None),
        ("TRUNCATE", TRUNCATE, None),
        ('UPDATE OF "a", "b"', UPDATE, {"a", "b"}),
        ('UPDATE OF "a", "b" OR INSERT', UPDATE | INSERT, {"a", "b"}),
        ('DELETE OR UPDATE OF "odd""one"', UPDATE | DELETE, {'odd"one'}),
        ("UPDATE OF Plain", UPDATE, {"plain"}),
        ('UPDATE OF "delete" OR INSERT', UPDATE | INSERT, {"delete"}),
    ],
)
def test_events_and_columns(operation: str, events: int, columns: set[str] | None) -> None:
    one = definition(operation=operation)
    assert (one.events, one.columns) == (events, None if columns is None else frozenset(columns))


@pytest.mark.parametrize(
    ("when", "bits"), [("BEFORE", BEFORE), ("AFTER", 0), ("INSTEAD OF", INSTEAD)]
)
def test_timing(when: str, bits: int) -> None:
    assert definition(when=when).timing == bits


@pytest.mark.parametrize(("level", "bit"), [("ROW", ROW), ("STATEMENT", 0)])
def test_level(level: str, bit: int) -> None:
    assert definition(level=level).level == bit


@pytest.mark.parametrize(
    ("referencing", "tables"),
    [
        ("", (None, None)),
        ("REFERENCING OLD TABLE AS old_values ", ("old_values", None)),
        (
            "REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
            ("old_values", "new_values"),
        ),
    ],
)
def test_transition_tables(referencing: str, tables: tuple[str | None, str | None]) -> None:
    one = definition(referencing=referencing)
    assert (one.old_table, one.new_table) == tables


@pytest.mark.parametrize(
    ("constraint", "timing", "deferral"),
    [
        ("", "", (False, False, False)),
        ("CONSTRAINT", "DEFERRABLE INITIALLY IMMEDIATE", (True, True, False)),
        ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED", (True, True, True)),
    ],
)
def test_deferral(constraint: str, timing: str, deferral: tuple[bool, bool, bool]) -> None:
    one = definition(constraint=constraint, timing=timing)
    assert (one.is_constraint, one.deferrable, one.initially_deferred) == deferral


@pytest.mark.parametrize(
    ("execute", "function", "arguments"),
    [
        ("pgtrigger_x_00000()", (None, "pgtrigger_x_00000"), ()),
        (
            'tsvector_update_trigger("vector", "pg_catalog.english", "a", "b")',
            (None, "tsvector_update_trigger"),
            ("vector", "pg_catalog.english", "a", "b"),
        ),
        ("\"Ops\".f('it''s', 7)", ("Ops", "f"), ("it's", "7")),
    ],
)
def test_what_is_executed(
    execute: str, function: tuple[str | None, str], arguments: tuple[str, ...]
) -> None:
    one = definition(execute=execute)
    assert (one.function, one.arguments) == (function, arguments)
    assert one.executes_own_function == (function[1] == one.pgid)


@given(st.text(st.characters(exclude_characters="${}\0", exclude_categories=["Cs"])))
def test_the_body_is_what_stands_between_the_dollars_byte_for_byte(func: str) -> None:
    one = definition(func=func)
    assert one.body is not None
    assert func in one.body
    assert f"$${one.body}$$" in one.install_sql


@pytest.mark.parametrize(
    ("db_table", "expected"),
    [
        ("shop_order", (None, "shop_order")),
        ('ledger"."entry', ("ledger", "entry")),
        ('"Quoted"', (None, "Quoted")),
        ("My Table", (None, "My Table")),
        ("with.dot", (None, "with.dot")),
        ('odd"name; --', (None, 'odd"name; --')),
    ],
)
def test_where_the_table_is(db_table: str, expected: tuple[str | None, str]) -> None:
    assert split_table(db_table) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1))
def test_quoted_identifiers_read_back_as_what_they_stand_for(names: list[str]) -> None:
    quoted = ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)
    assert identifiers(quoted) == names
