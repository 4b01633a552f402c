"""Both sides of each facet that differs: what the code registers, what PostgreSQL has."""

from __future__ import annotations

from collections.abc import Callable, Collection

from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.inspection.comparison import BUILT_IN
from trigger_ops.inspection.conditions import live_condition
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
from trigger_ops.states import Enabled, Facet, Status

Sides = tuple[Facet, str, str]
"""A facet, its registered text and its installed text. "" is for what is not there."""

UNREADABLE = "(could not be read)"

#: Written as the text they are; every other facet is one line, headed by the facet's name.
MULTILINE = frozenset({Facet.BODY, Facet.CONDITION})

_EVENT_WORDS = ((INSERT, "INSERT"), (DELETE, "DELETE"), (UPDATE, "UPDATE"), (TRUNCATE, "TRUNCATE"))


def facet_sides(inspected: InspectedTrigger) -> list[Sides]:
    """Return (facet, registered, installed) for every facet that differs.

    A trigger that only one side has gives all the facets that it has, with "" on the other side.
    A trigger that could not be read or compiled gives none.
    """
    definition = inspected.registered.definition if inspected.registered else None
    live = inspected.installed
    if definition is not None and live is not None:
        return [
            (facet, _REGISTERED[facet](inspected, definition), _INSTALLED[facet](inspected, live))
            for facet in inspected.facets
        ]
    if live is not None and inspected.registered is None:
        sides = [(facet, "", _INSTALLED[facet](inspected, live)) for facet in _WHOLE]
    elif definition is not None and inspected.status is Status.UNINSTALLED:
        sides = [(facet, _REGISTERED[facet](inspected, definition), "") for facet in _WHOLE]
    else:
        return []
    return [one for one in sides if one[1] or one[2]]


def _timing(bits: int) -> str:
    if bits & INSTEAD:
        return "INSTEAD OF"
    return "BEFORE" if bits & BEFORE else "AFTER"


def _events(bits: int) -> str:
    return " OR ".join(word for bit, word in _EVENT_WORDS if bits & bit)


def _level(bits: int) -> str:
    return "FOR EACH ROW" if bits & ROW else "FOR EACH STATEMENT"


def _columns(columns: Collection[str] | None) -> str:
    return f"UPDATE OF {', '.join(sorted(columns))}" if columns else ""


def _arguments(arguments: Collection[str]) -> str:
    return ", ".join("'{}'".format(one.replace("'", "''")) for one in arguments)


def _deferral(side: Definition | CatalogTrigger) -> str:
    words = (
        (side.is_constraint, "CONSTRAINT"),
        (side.deferrable, "DEFERRABLE"),
        (side.initially_deferred, "INITIALLY DEFERRED"),
    )
    return " ".join(word for is_so, word in words if is_so)


def _transition(side: Definition | CatalogTrigger) -> str:
    names = (("OLD", side.old_table), ("NEW", side.new_table))
    return " ".join(f"{word} TABLE AS {name}" for word, name in names if name)


def _registered_condition(inspected: InspectedTrigger, definition: Definition) -> str:
    if inspected.condition is not None:
        return inspected.condition
    return definition.condition.removeprefix("WHEN").strip()


def _installed_condition(inspected: InspectedTrigger, live: CatalogTrigger) -> str:
    # Inspection leaves it out for triggers that the code does not know.
    condition = inspected.live_condition or live_condition(live)
    return UNREADABLE if condition is None else condition


def _registered_function(inspected: InspectedTrigger, definition: Definition) -> str:
    schema, name = definition.function
    live = inspected.installed
    if name in BUILT_IN:
        schema = schema or "pg_catalog"
    elif schema is None and live is not None:
        # The code names none: where the live one of that name is found is not what differs.
        schema = live.function_schema if live.function == name else inspected.schema
    return _called(schema, name, "plpgsql" if definition.executes_own_function else None)


def _installed_function(inspected: InspectedTrigger, live: CatalogTrigger) -> str:
    strays = sorted(
        f"{clone.schema}.{clone.table}"
        for clone in live.clones
        if clone.function_oid != live.function_oid
    )
    aside = f"; another one on {', '.join(strays)}" if strays else ""
    registered = inspected.registered.definition if inspected.registered else None
    is_own = registered is None or registered.executes_own_function
    language = live.language if is_own else None
    return _called(live.function_schema, live.function, language) + aside


def _called(schema: str | None, name: str, language: str | None) -> str:
    qualified = f"{schema}.{name}()" if schema else f"{name}()"
    return f"{qualified} LANGUAGE {language}" if language else qualified


def _installed_events(inspected: InspectedTrigger, live: CatalogTrigger) -> str:
    strays = sorted(
        f"{clone.schema}.{clone.table} {_timing(clone.type_bits)} {_events(clone.type_bits)}"
        for clone in live.clones
        if clone.type_bits != live.type_bits
    )
    return "; ".join([_events(live.type_bits), *strays])


def _installed_security(inspected: InspectedTrigger, live: CatalogTrigger) -> str:
    security = "SECURITY DEFINER" if live.security_definer else "SECURITY INVOKER"
    return "; ".join([security, *(f"SET {one}" for one in live.function_settings)])


def _installed_mode(inspected: InspectedTrigger, live: CatalogTrigger) -> str:
    if inspected.enabled is not Enabled.PARTIAL:
        return inspected.enabled.value
    parent = Enabled.from_catalog(live.enabled)
    strays = sorted(
        f"{clone.schema}.{clone.table} {Enabled.from_catalog(clone.enabled)}"
        for clone in live.clones
        if clone.enabled != live.enabled
    )
    return "; ".join([parent.value, *strays])


_REGISTERED: dict[Facet, Callable[[InspectedTrigger, Definition], str]] = {
    Facet.BODY: lambda _, side: side.body or "",
    Facet.CONDITION: _registered_condition,
    Facet.TIMING: lambda _, side: _timing(side.timing),
    Facet.EVENTS: lambda _, side: _events(side.events),
    Facet.LEVEL: lambda _, side: _level(side.level),
    Facet.COLUMNS: lambda _, side: _columns(side.columns),
    Facet.ARGUMENTS: lambda _, side: _arguments(side.arguments),
    Facet.DEFERRAL: lambda _, side: _deferral(side),
    Facet.TRANSITION: lambda _, side: _transition(side),
    Facet.FUNCTION: _registered_function,
    Facet.SECURITY: lambda _inspected, _side: "SECURITY INVOKER",
    Facet.OWNER: lambda inspected, _: (
        f"{inspected.installed.table_owner} (owns the table)" if inspected.installed else ""
    ),
    Facet.ENABLED: lambda inspected, _: inspected.expected_mode.value,
    Facet.COMMENT: lambda _, side: side.hash,
}
_INSTALLED: dict[Facet, Callable[[InspectedTrigger, CatalogTrigger], str]] = {
    Facet.BODY: lambda _, side: side.body,
    Facet.CONDITION: _installed_condition,
    Facet.TIMING: lambda _, side: _timing(side.type_bits),
    Facet.EVENTS: _installed_events,
    Facet.LEVEL: lambda _, side: _level(side.type_bits),
    Facet.COLUMNS: lambda _, side: _columns(side.columns),
    Facet.ARGUMENTS: lambda _, side: _arguments(side.arguments),
    Facet.DEFERRAL: lambda _, side: _deferral(side),
    Facet.TRANSITION: lambda _, side: _transition(side),
    Facet.FUNCTION: _installed_function,
    Facet.SECURITY: _installed_security,
    Facet.OWNER: lambda _, side: side.function_owner,
    Facet.ENABLED: _installed_mode,
    Facet.COMMENT: lambda _, side: side.comment or "",
}
#: What a trigger is, for one that the other side does not have at all.
_WHOLE = (
    Facet.TIMING,
    Facet.EVENTS,
    Facet.COLUMNS,
    Facet.LEVEL,
    Facet.DEFERRAL,
    Facet.TRANSITION,
    Facet.CONDITION,
    Facet.FUNCTION,
    Facet.ARGUMENTS,
    Facet.BODY,
)
