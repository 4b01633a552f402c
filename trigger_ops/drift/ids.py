"""The findings this package can make: ID, level and title. IDs are contracts."""

from __future__ import annotations

import dataclasses

from trigger_ops.states import Level


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding."""

    id: str
    level: Level
    title: str


def _kinds(*rows: tuple[str, Level, str]) -> dict[str, Kind]:
    return {code: Kind(f"trigger_ops.{code}", level, title) for code, level, title in rows}


KINDS = _kinds(
    ("C001", Level.CRITICAL, "function body changed"),
    ("C002", Level.CRITICAL, "shared ignore function changed"),
    ("C003", Level.CRITICAL, "a setting bypasses triggers"),
    ("C004", Level.CRITICAL, "condition, events, timing or level changed"),
    ("C005", Level.CRITICAL, "another function is executed, or its security or owner changed"),
    ("C006", Level.CRITICAL, "gate missing or changed"),
    ("C007", Level.CRITICAL, "rows changed outside any session"),
    ("C008", Level.CRITICAL, "the table is marked as having no triggers"),
    ("E001", Level.ERROR, "trigger missing"),
    ("E002", Level.ERROR, "trigger disabled"),
    ("E003", Level.ERROR, "partition clone differs"),
    ("E004", Level.ERROR, "trigger cannot be compiled"),
    ("W001", Level.WARNING, "trigger outdated"),
    ("W002", Level.WARNING, "orphan trigger or function"),
    ("W003", Level.WARNING, "enabled mode other than declared"),
    ("W004", Level.WARNING, "condition could not be verified"),
    ("W005", Level.WARNING, "two generations of one trigger"),
    ("W006", Level.WARNING, "witness missing or changed"),
    ("W007", Level.WARNING, "installed where the model is not allowed"),
    ("W008", Level.WARNING, "function in a schema of others"),
    ("W009", Level.WARNING, "inheritance child without the trigger"),
    ("W010", Level.WARNING, "rewrite rule diverts writes"),
    ("W011", Level.WARNING, "operator in the place of PostgreSQL's own"),
    ("W012", Level.WARNING, "shared ignore function of a stranger"),
    ("W013", Level.WARNING, "table hidden behind another of its name"),
    ("I001", Level.INFO, "pending migration"),
    ("I002", Level.INFO, "foreign trigger on a managed table"),
    ("I003", Level.INFO, "comment missing or old, definition equal"),
    ("I004", Level.INFO, "delete-protected table without a TRUNCATE guard"),
    ("I005", Level.INFO, "unqualified writes and no pinned search_path"),
    ("I006", Level.INFO, "ahead of migrations"),
    ("I007", Level.INFO, "copy of the ignore function that nothing calls"),
    ("I008", Level.INFO, "function in another schema of the search_path than its table's"),
    ("I009", Level.INFO, "table that looks like a former partition"),
    ("I010", Level.INFO, "function shared with a table of another project"),
    ("I011", Level.INFO, "a role may switch triggers off"),
    ("I012", Level.INFO, "a subscription writes past the triggers"),
    ("I013", Level.INFO, "a run is changing triggers"),
    ("I014", Level.INFO, "function that switches triggers off"),
    ("I015", Level.INFO, "trigger disabled on a lease"),
)
