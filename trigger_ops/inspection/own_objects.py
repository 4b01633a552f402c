"""Our own functions, the triggers on our own tables, and who may write those: as they should be."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence

from trigger_ops.catalog.guard import GuardCatalog, OwnFunction, WatchedTable
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.sql.functions import ExpectedFunction, expected_functions
from trigger_ops.sql.own_tables import OWN_TRIGGERS, OwnTrigger
from trigger_ops.states import Enabled


def other_mode(wanted: Enabled) -> str:
    """Say what is wrong with a trigger whose mode alone is."""
    return f"is not ENABLE {wanted.value}"


NOT_ALWAYS = other_mode(Enabled.ALWAYS)
"""The same of one that has to fire always."""

ROW_FUNCTION = "trigger_ops_witness_row"
"""The function of the row witnesses."""

NAMED_AT_MOST = 3
"""How many of our tables a sentence names before it counts the rest."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing of the guard that is not as it should be: ``name`` (in ``schema``) ``what``.

    ``table`` is "" for what is on none; ``kind`` is "function", "witness", "trigger" (of a table
    of ours), "role" (with too many rights, or too few) or "table" (of ours, with what is none of ours). ``fix``
    is the statement that ends it, "" where ``guard install`` does.
    """

    schema: str
    name: str
    what: str
    table: str = ""
    kind: str = "function"
    fix: str = ""

    @property
    def label(self) -> str:
        """What it is called in a sentence."""
        return f"{self.name} on {self.table}" if self.table else self.name


def expected_own_functions(home: str) -> list[ExpectedFunction]:
    """Return the functions that our schema should have, in the order in which they are made."""
    return [
        one
        for file in ("ledger", "sessions", "guard")
        for one in _expected(file, home)
        if one.name != IGNORE_FUNCTION
    ]


def function_faults(catalog: GuardCatalog) -> Iterator[Fault]:
    """Yield what is wrong with our functions."""
    live = live_functions(catalog)
    for one in expected_own_functions(catalog.home):
        what = function_difference(one, live.get((one.name, one.types)))
        if what:
            yield Fault(schema=catalog.home, name=one.name, what=what)


@functools.lru_cache(maxsize=64)
def _expected(file: str, home: str) -> tuple[ExpectedFunction, ...]:
    return tuple(expected_functions(file, home=home, schema=home))


@functools.lru_cache(maxsize=64)
def gate_body(home: str) -> str:
    """Return the body that an ignore function has where the guard is on."""
    return next(one.body for one in _expected("guard", home) if one.name == IGNORE_FUNCTION)


def function_difference(expected: ExpectedFunction, live: OwnFunction | None) -> str:
    """Say how a function of ours is other than it should be, "" where it is not."""
    if live is None:
        return "is missing"
    if (live.body, live.language) != (expected.body, expected.language):
        return "has another body"
    here = (live.security_definer, live.settings, live.volatility)
    if here != (expected.security_definer, expected.settings, expected.volatility):
        return "has other settings"
    if not live.is_ours:
        return f'belongs to "{live.owner}", who can replace it'
    if live.is_public != expected.is_public:
        return "may be executed by everybody" if live.is_public else "may not be executed"
    return ""


def live_functions(catalog: GuardCatalog) -> dict[tuple[str, str], OwnFunction]:
    """Return our functions by name and types of arguments."""
    return {(one.name, one.types): one for one in catalog.functions}


def live_own_triggers(
    database: InspectedDatabase, home: str
) -> dict[tuple[str, str], CatalogTrigger]:
    """Return the triggers on our own tables, by table and name."""
    tables = {one.table for one in OWN_TRIGGERS}
    return {
        (one.table, one.name): one
        for one in (database.snapshot.triggers if database.snapshot else ())
        if one.schema == home and one.table in tables
    }


def own_trigger_difference(expected: OwnTrigger, live: CatalogTrigger | None, home: str) -> str:
    """Say how a trigger on a table of ours is other than it should be, "" where it is not."""
    if live is None:
        return "is missing"
    if (live.function_schema, live.function) != (home, expected.name):
        return f"executes {live.function_schema}.{live.function}"
    deferred = (live.is_constraint, live.deferrable, live.initially_deferred)
    if (live.type_bits, *deferred) != (expected.type_bits, *[expected.deferred] * 3):
        return "is not what the migration makes it"
    if live.has_condition or live.columns or live.arguments:
        return "is not what the migration makes it"
    return "" if live.enabled == "A" else NOT_ALWAYS


def own_trigger_faults(database: InspectedDatabase, home: str) -> Iterator[Fault]:
    """Yield what is wrong with the triggers on our tables."""
    live = live_own_triggers(database, home)
    for one in OWN_TRIGGERS:
        what = own_trigger_difference(one, live.get((one.table, one.name)), home)
        if what:
            yield Fault(schema=home, table=one.table, name=one.name, what=what, kind="trigger")


def writer_faults(catalog: GuardCatalog) -> Iterator[Fault]:
    """Yield who may write our tables without owning them: functions of ours do that for others."""
    writable: defaultdict[str, list[str]] = defaultdict(list)
    for table in catalog.own_tables:
        for role in table.writers:
            writable[f'role "{role}"'].append(table.name)
    for grant in catalog.grants:
        everybody = grant.role == ""
        if everybody or (grant.asked and grant.is_sequence):
            writable["everybody" if everybody else f'role "{grant.role}"'].append(grant.name)
    for who, names in sorted(writable.items()):
        yield Fault(schema=catalog.home, name=who, what=f"may write {_some(names)}", kind="role")


def tables_without_copies(catalog: GuardCatalog) -> list[WatchedTable]:
    """Return the partitioned tables, each once, whose owners may make and attach no partition.

    PostgreSQL puts copies of row witnesses there, and has whoever does that need EXECUTE on their
    function.
    """
    found = {one.oid: one for one in catalog.tables if one.relkind == "p" and not one.may_copy}
    return list(found.values())


def copy_faults(catalog: GuardCatalog) -> Iterator[Fault]:
    """Yield the owners of partitioned tables whom the witness keeps from making partitions."""
    owned: defaultdict[str, list[str]] = defaultdict(list)
    for table in tables_without_copies(catalog):
        owned[table.owner].append(f"{table.schema}.{table.name}")
    for owner, names in sorted(owned.items()):
        what = f"may not execute {ROW_FUNCTION}, as who makes partitions of {_some(names)} has to"
        yield Fault(schema=catalog.home, name=f'role "{owner}"', what=what, kind="role")


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    return f"{', '.join(names[:NAMED_AT_MOST])}{more}"


def stranger_faults(catalog: GuardCatalog) -> Iterator[Fault]:
    """Yield what is on our tables that is none of ours, and may swallow, hide or forge rows."""
    for table in catalog.own_tables:
        for what, fix in table.strangers:
            yield Fault(schema=catalog.home, name=table.name, what=what, kind="table", fix=fix)
