from __future__ import annotations

from typing import Any

import pytest

from tests.rendering.examples import PGID, a_catalog_trigger, a_registered_trigger, a_trigger
from trigger_ops.catalog.snapshot import Clone
from trigger_ops.inspection.comparison import structural_facets
from trigger_ops.registry.definition import DELETE, INSERT, INSTEAD, ROW, UPDATE
from trigger_ops.rendering.facets import facet_sides
from trigger_ops.states import Enabled, Facet, Status, Verdict

CLONE = Clone(schema="public", table="part_1", enabled="D", type_bits=DELETE | ROW, function_oid=9)

# What the code says, what PostgreSQL has, the facet, and both sides as they are shown.
CASES: list[tuple[dict[str, Any], dict[str, Any], Facet, str, str]] = [
    ({"body": "a\n"}, {"body": "b"}, Facet.BODY, "a\n", "b"),
    ({}, {"type_bits": DELETE | ROW}, Facet.TIMING, "BEFORE", "AFTER"),
    ({"timing": 0}, {"type_bits": INSTEAD | DELETE | ROW}, Facet.TIMING, "AFTER", "INSTEAD OF"),
    (
        {"events": INSERT | UPDATE | DELETE},
        {},
        Facet.EVENTS,
        "INSERT OR DELETE OR UPDATE",
        "DELETE",
    ),
    ({"level": 0}, {}, Facet.LEVEL, "FOR EACH STATEMENT", "FOR EACH ROW"),
    (
        {"columns": frozenset({"b", "a"})},
        {"columns": ("c",)},
        Facet.COLUMNS,
        "UPDATE OF a, b",
        "UPDATE OF c",
    ),
    ({"columns": frozenset({"a"})}, {}, Facet.COLUMNS, "UPDATE OF a", ""),
    ({"arguments": ("it's",)}, {}, Facet.ARGUMENTS, "'it''s'", ""),
    (
        {"is_constraint": True, "deferrable": True, "initially_deferred": True},
        {"is_constraint": True, "deferrable": True},
        Facet.DEFERRAL,
        "CONSTRAINT DEFERRABLE INITIALLY DEFERRED",
        "CONSTRAINT DEFERRABLE",
    ),
    (
        {"old_table": "old_values", "new_table": "new_values"},
        {"new_table": "n"},
        Facet.TRANSITION,
        "OLD TABLE AS old_values NEW TABLE AS new_values",
        "NEW TABLE AS n",
    ),
    (
        {},
        {"function_schema": "evil", "function": "noop", "language": "sql"},
        Facet.FUNCTION,
        f"public.{PGID}() LANGUAGE plpgsql",
        "evil.noop() LANGUAGE sql",
    ),
    (
        {},
        {"language": "sql"},
        Facet.FUNCTION,
        f"public.{PGID}() LANGUAGE plpgsql",
        f"public.{PGID}() LANGUAGE sql",
    ),
    (
        {},
        {"clones": (CLONE,)},
        Facet.FUNCTION,
        f"public.{PGID}() LANGUAGE plpgsql",
        f"public.{PGID}() LANGUAGE plpgsql; another one on public.part_1",
    ),
    (
        {"function": (None, "tsvector_update_trigger")},
        {"function": "tsvector_update_trigger", "function_schema": "evil", "language": "internal"},
        Facet.FUNCTION,
        "pg_catalog.tsvector_update_trigger()",
        "evil.tsvector_update_trigger()",
    ),
    (
        {},
        {"clones": (CLONE,)},
        Facet.EVENTS,
        "DELETE",
        "DELETE; public.part_1 AFTER DELETE",
    ),
    (
        {},
        {"security_definer": True, "function_settings": ("work_mem=64kB",)},
        Facet.SECURITY,
        "SECURITY INVOKER",
        "SECURITY DEFINER; SET work_mem=64kB",
    ),
    (
        {},
        {"function_owner": "mallory", "function_owner_rules_table": False},
        Facet.OWNER,
        "owner (owns the table)",
        "mallory",
    ),
]


@pytest.mark.parametrize(("code", "database", "facet", "registered", "installed"), CASES)
def test_a_differing_facet_shows_both_sides(
    code: dict[str, Any], database: dict[str, Any], facet: Facet, registered: str, installed: str
) -> None:
    live = a_catalog_trigger(**database)
    declared = a_registered_trigger(**code)
    assert declared.definition is not None
    assert facet in structural_facets(declared.definition, live)
    inspected = a_trigger(registered=declared, installed=live, facets=(facet,))
    assert facet_sides(inspected) == [(facet, registered, installed)]


def test_both_sides_of_a_condition_are_in_the_servers_spelling() -> None:
    inspected = a_trigger(
        facets=(Facet.CONDITION,),
        condition="(old.a = 1)",
        live_condition="(old.a = 2)",
        registered=a_registered_trigger(condition='WHEN (OLD."a" = 1)'),
        installed=a_catalog_trigger(has_condition=True),
    )
    assert facet_sides(inspected) == [(Facet.CONDITION, "(old.a = 1)", "(old.a = 2)")]


def test_a_condition_that_could_not_be_had_is_shown_as_the_code_spells_it() -> None:
    inspected = a_trigger(
        facets=(Facet.CONDITION,),
        registered=a_registered_trigger(condition='WHEN (OLD."a" = 1)'),
        installed=a_catalog_trigger(has_condition=True),
    )
    assert facet_sides(inspected) == [(Facet.CONDITION, '(OLD."a" = 1)', "(could not be read)")]


def test_a_partition_that_is_disabled_is_named() -> None:
    inspected = a_trigger(
        facets=(Facet.ENABLED,),
        enabled=Enabled.PARTIAL,
        installed=a_catalog_trigger(clones=(CLONE,)),
    )
    assert facet_sides(inspected) == [
        (Facet.ENABLED, "ENABLED", "ENABLED; public.part_1 DISABLED")
    ]


def test_mode_and_comment_are_shown_as_declared_and_as_found() -> None:
    inspected = a_trigger(
        facets=(Facet.ENABLED, Facet.COMMENT),
        enabled=Enabled.REPLICA,
        expected_mode=Enabled.ALWAYS,
        installed=a_catalog_trigger(comment=None),
    )
    assert facet_sides(inspected) == [
        (Facet.ENABLED, "ALWAYS", "REPLICA"),
        (Facet.COMMENT, "0" * 40, ""),
    ]


def test_a_missing_trigger_shows_all_that_should_be_there() -> None:
    inspected = a_trigger(status=Status.UNINSTALLED, verdict=Verdict.MISSING, installed=None)
    assert facet_sides(inspected) == [
        (Facet.TIMING, "BEFORE", ""),
        (Facet.EVENTS, "DELETE", ""),
        (Facet.LEVEL, "FOR EACH ROW", ""),
        (Facet.FUNCTION, f"{PGID}() LANGUAGE plpgsql", ""),
        (Facet.BODY, "\nBEGIN\n    RAISE EXCEPTION 'no';\nEND;\n", ""),
    ]


def test_an_orphan_shows_all_that_is_there() -> None:
    definition = (
        f"CREATE TRIGGER {PGID} BEFORE DELETE ON public.shop_order FOR EACH ROW "
        f"WHEN ((old.a = 1)) EXECUTE FUNCTION {PGID}()"
    )
    inspected = a_trigger(
        status=Status.PRUNE,
        verdict=Verdict.ORPHANED,
        registered=None,
        installed=a_catalog_trigger(has_condition=True, definition=definition),
    )
    assert [(facet, installed) for facet, _, installed in facet_sides(inspected)] == [
        (Facet.TIMING, "BEFORE"),
        (Facet.EVENTS, "DELETE"),
        (Facet.LEVEL, "FOR EACH ROW"),
        (Facet.CONDITION, "((old.a = 1))"),
        (Facet.FUNCTION, f"public.{PGID}() LANGUAGE plpgsql"),
        (Facet.BODY, "\nBEGIN\n    RAISE EXCEPTION 'no';\nEND;\n"),
    ]


def test_what_could_not_be_read_shows_nothing() -> None:
    inspected = a_trigger(status=Status.UNKNOWN, verdict=Verdict.UNVERIFIED, installed=None)
    assert facet_sides(inspected) == []


@pytest.mark.parametrize("facet", Facet)
def test_every_facet_has_two_sides(facet: Facet) -> None:
    ((shown, *_),) = facet_sides(a_trigger(facets=(facet,)))
    assert shown is facet
