"""Compares one definition with one live trigger, facet by facet."""

from __future__ import annotations

from trigger_ops.catalog.conditions import clause_of
from trigger_ops.catalog.reading import split_search_path
from trigger_ops.catalog.snapshot import CatalogTrigger, Clone
from trigger_ops.registry.definition import (
    BEFORE,
    DELETE,
    INSERT,
    INSTEAD,
    ROW,
    TRUNCATE,
    UPDATE,
    Definition,
)
from trigger_ops.states import Facet

TIMING_BITS = BEFORE | INSTEAD
EVENT_BITS = INSERT | DELETE | UPDATE | TRUNCATE

VOLATILE = "v"
"""``provolatile`` as pgtrigger makes it; any other does not see what its own statement wrote."""

# Functions of pg_catalog that pgtrigger's classes execute instead of one of their own.
BUILT_IN = frozenset({"tsvector_update_trigger", "tsvector_update_trigger_column"})


def structural_facets(definition: Definition, live: CatalogTrigger) -> frozenset[Facet]:
    """Return the facets that differ, all but the condition: that one needs the server's help.

    The body is compared byte for byte with ``prosrc``, unless another function is executed:
    then that is the difference.
    """
    pairs = {
        Facet.TIMING: (definition.timing, live.type_bits & TIMING_BITS),
        Facet.EVENTS: (definition.events, live.type_bits & EVENT_BITS),
        Facet.LEVEL: (definition.level, live.type_bits & ROW),
        Facet.COLUMNS: (definition.columns, None if live.columns is None else set(live.columns)),
        Facet.ARGUMENTS: (definition.arguments, live.arguments),
        Facet.DEFERRAL: (
            (definition.is_constraint, definition.deferrable, definition.initially_deferred),
            (live.is_constraint, live.deferrable, live.initially_deferred),
        ),
        Facet.TRANSITION: (
            (definition.old_table, definition.new_table),
            (live.old_table, live.new_table),
        ),
    }
    differing = {facet for facet, (code, database) in pairs.items() if code != database}
    return frozenset(differing | _clone_facets(live) | _function_facets(definition, live))


def _clone_facets(live: CatalogTrigger) -> set[Facet]:
    differing = set()
    for clone in live.clones:
        if clone.type_bits != live.type_bits:
            differing.add(Facet.EVENTS)
        if clone.columns != live.columns:
            differing.add(Facet.COLUMNS)
        if clone.differs or not _has_the_condition(clone, live):
            differing.add(Facet.CONDITION)
    return differing


def _has_the_condition(clone: Clone, live: CatalogTrigger) -> bool:
    if clone.definition is None or live.definition is None:
        return True
    return clause_of(clone.definition) == clause_of(live.definition)


def _function_facets(definition: Definition, live: CatalogTrigger) -> set[Facet]:
    if not _executes_the_right_function(definition, live):
        return {Facet.FUNCTION}
    if not definition.executes_own_function:
        return set()
    differing = set()
    if live.body != definition.body:
        differing.add(Facet.BODY)
    if (
        live.security_definer
        or live.volatility != VOLATILE
        or any(not is_harmless(one, live) for one in live.function_settings)
    ):
        differing.add(Facet.SECURITY)
    if not live.function_owner_rules_table:
        differing.add(Facet.OWNER)
    return differing


def _executes_the_right_function(definition: Definition, live: CatalogTrigger) -> bool:
    schema, name = definition.function
    if any(clone.function_oid != live.function_oid for clone in live.clones):
        return False
    if live.function != name or (schema is not None and live.function_schema != schema):
        return False
    if definition.executes_own_function:
        return live.language == "plpgsql"
    return name not in BUILT_IN or live.function_schema == "pg_catalog"


def is_harmless(setting: str, live: CatalogTrigger) -> bool:
    """Accept a pinned search_path that can lead nowhere but to the trigger's own schemas."""
    name, _, value = setting.partition("=")
    if name != "search_path":
        return False
    path = split_search_path(value, role="$user")
    allowed = {"pg_catalog", "pg_temp", live.schema, live.function_schema}
    # PostgreSQL looks into pg_catalog first unless the path names it further on: then operators
    # and functions of the schemas before it take the place of the built-in ones.
    return set(path) <= allowed and "pg_temp" not in path[:-1] and "pg_catalog" not in path[1:]
