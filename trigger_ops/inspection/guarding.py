"""What the guard should have in a database, and what of it is missing or other than it should be."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from trigger_ops.catalog.conditions import clause_of
from trigger_ops.catalog.guard import GuardCatalog, WatchedTable
from trigger_ops.catalog.snapshot import CatalogTrigger, Clone
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.ignoring import called_schemas, difference
from trigger_ops.inspection.own_objects import (
    ROW_FUNCTION,
    Fault,
    copy_faults,
    function_faults,
    gate_body,
    other_mode,
    own_trigger_faults,
    stranger_faults,
    writer_faults,
)
from trigger_ops.records import GuardState
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.registry.definition import BEFORE, DELETE, INSERT, ROW, UPDATE
from trigger_ops.sql.functions import PREFIX
from trigger_ops.states import Enabled, Verdict

WITNESS = f"{PREFIX}witness"
"""The row witness; the names of the others begin with it."""

REPLICA = f"{WITNESS}_replica"
"""The row witness for ``session_replication_role = replica``, where it alone fires."""

TRUNCATE = 32
"""The bit of ``pg_trigger.tgtype`` for TRUNCATE."""

ALONE, BOTH = "alone", "both"
"""The row witness's first argument: whether statements are witnessed as a whole too."""

OLD_ROWS, NEW_ROWS = "trigger_ops_old", "trigger_ops_new"
"""The names of the transition tables."""

CONDITION = (
    "WHEN ((pg_catalog.current_setting('pgtrigger.ignore', true) OPERATOR(pg_catalog.<>) '' "
    "OR pg_catalog.current_setting('trigger_ops.session', true) OPERATOR(pg_catalog.<>) '') "
    "AND pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.<>) 'replica')"
)
"""When the row witness looks: nothing else is known when a row is written.

It is asked for every row of every change: a setting that nobody set is null, which is not true,
and the role is asked for only where something is set.
"""

DEPARSED = (
    "((((current_setting('pgtrigger.ignore'::text, true) <> ''::text) OR "
    "(current_setting('trigger_ops.session'::text, true) <> ''::text)) AND "
    "(current_setting('session_replication_role'::text) <> 'replica'::text)))"
)
"""The same in PostgreSQL's own spelling (15 to 18), under pinned settings."""

WITNESSABLE = ("r", "p")
"""Kinds of relations that witnesses can be on: tables and partitioned ones."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedWitness:
    """One witness as it should be. ``type_bits`` as in ``pg_trigger.tgtype``, ``enabled`` its mode."""

    name: str
    table: WatchedTable
    type_bits: int
    function: str
    arguments: tuple[str, ...] = ()
    enabled: Enabled = Enabled.ALWAYS
    old_table: str | None = None
    new_table: str | None = None

    @property
    def has_condition(self) -> bool:
        """True for the row witness."""
        return self.name == WITNESS


def watched_tables(database: InspectedDatabase) -> frozenset[int]:
    """Return the OIDs of tables with a trigger of this project that asks whether to stand aside.

    A trigger whose body somebody has emptied still counts: the code says that it asks. Views and
    foreign tables are not among them.
    """
    return frozenset(
        live.table_oid
        for one in database.triggers
        if (live := one.installed) is not None
        and one.registered is not None
        and one.verdict is not Verdict.NOT_ALLOWED
        and live.relkind in WITNESSABLE
        and _asks(live, one.registered.definition.body if one.registered.definition else "")
    )


def _asks(live: CatalogTrigger, declared: str | None) -> bool:
    return IGNORE_FUNCTION in live.body.lower() or IGNORE_FUNCTION in (declared or "").lower()


def expected_witnesses(
    database: InspectedDatabase, catalog: GuardCatalog, mask: re.Pattern[str]
) -> list[ExpectedWitness]:
    """Return the witnesses that a database should have, table by table.

    ``mask`` matches the names of columns that are recorded as ``***``.
    """
    late = {
        live.table_oid
        for one in database.triggers
        if (live := one.installed) is not None and one.registered is not None and _is_late(live)
    }
    tables = _by_outermost_root(catalog, watched_tables(database))
    late_roots = {one.root for one in tables if one.oid in late}
    return [
        witness
        for one in tables
        for witness in witnesses_of(one, late=one.root in late_roots, mask=mask)
    ]


def _by_outermost_root(catalog: GuardCatalog, watched: frozenset[int]) -> list[WatchedTable]:
    """Return the tables to be watched, each once.

    A partition may have a trigger of its own: where a table above it is watched as well, it has a
    copy of that one's row witness already.
    """
    found = [one for one in catalog.tables if one.root in watched and one.relkind in WITNESSABLE]
    nested = {one.oid for one in found if one.oid != one.root}
    return [one for one in found if one.root not in nested]


def _is_late(live: CatalogTrigger) -> bool:
    """Tell whether a trigger decides only when its statement, or its transaction, ends."""
    return live.is_constraint or not live.type_bits & ROW or not live.type_bits & BEFORE


def all_witnesses() -> list[ExpectedWitness]:
    """Return every witness that a table may have; what depends on the table means nothing."""
    table = WatchedTable(
        oid=0,
        root=0,
        parent=None,
        schema="",
        name="",
        relkind="r",
        may_alter=False,
        owner="",
        columns=(),
    )
    return list(witnesses_of(table, late=True, mask=re.compile("")))


def witnesses_of(
    table: WatchedTable, *, late: bool, mask: re.Pattern[str]
) -> Iterator[ExpectedWitness]:
    """Yield the witnesses of one table; ``late`` where some trigger decides at a statement's end."""
    hidden = {name: "***" for name in sorted(table.columns) if mask.search(name)}
    masks = json.dumps(hidden, ensure_ascii=False, separators=(",", ":"))
    if table.oid == table.root:  # PostgreSQL itself puts a copy on every partition
        yield ExpectedWitness(
            name=WITNESS,
            table=table,
            type_bits=ROW | INSERT | UPDATE | DELETE,
            function=ROW_FUNCTION,
            arguments=(BOTH if late else ALONE, masks),
        )
        # Whoever sets the role back in mid-statement is seen all the same.
        yield ExpectedWitness(
            name=REPLICA,
            table=table,
            type_bits=ROW | INSERT | UPDATE | DELETE,
            function=ROW_FUNCTION,
            arguments=(BOTH if late else ALONE, masks, "replica"),
            enabled=Enabled.REPLICA,
        )
    if late:
        for word, bit in (("insert", INSERT), ("update", UPDATE), ("delete", DELETE)):
            yield ExpectedWitness(
                name=f"{WITNESS}_{word}",
                table=table,
                type_bits=bit,
                function="trigger_ops_witness_rows",
                arguments=("rows", masks),
                old_table=OLD_ROWS if bit != INSERT else None,
                new_table=NEW_ROWS if bit != DELETE else None,
            )
    yield ExpectedWitness(
        name=f"{WITNESS}_truncate",
        table=table,
        type_bits=TRUNCATE | BEFORE,
        function="trigger_ops_witness_truncate",
    )


def live_witnesses(database: InspectedDatabase) -> dict[tuple[int, str], CatalogTrigger]:
    """Return the triggers that are called like witnesses, by (table OID, name)."""
    triggers = database.snapshot.triggers if database.snapshot else ()
    return {(one.table_oid, one.name): one for one in triggers if one.name.startswith(WITNESS)}


def witness_difference(expected: ExpectedWitness, live: CatalogTrigger | None, home: str) -> str:
    """Say how a witness is other than it should be, "" where it is not."""
    if live is None:
        return "is missing"
    if (live.function_schema, live.function) != (home, expected.function):
        return f"executes {live.function_schema}.{live.function}"
    definition = (live.type_bits, live.arguments, live.old_table, live.new_table)
    wanted = (expected.type_bits, expected.arguments, expected.old_table, expected.new_table)
    if definition != wanted or live.columns or live.is_constraint:
        return "is not what the guard makes it"
    condition = _clause(live)
    if condition != (DEPARSED if expected.has_condition else "") or live.uses:
        return "has another condition"
    if any(clone.differs or _clause(clone) not in ("", condition) for clone in live.clones):
        return "has another condition on a partition"
    letters = {live.enabled, *(clone.enabled for clone in live.clones)}
    modes = set(map(Enabled.from_catalog, letters))
    return "" if modes == {expected.enabled} else other_mode(expected.enabled)


def _clause(live: CatalogTrigger | Clone) -> str:
    """Return a condition, "" also for a clone's that is stored as the parent's is.

    Up to PostgreSQL 16 a condition is stored with where it stood in its statement: that of a
    partition which was added later differs from the parent's, and says the same.
    """
    return clause_of(live.definition) if live.definition else ""


def witness_faults(database: InspectedDatabase, guard: GuardState) -> list[Fault]:
    """Return what is wrong with the witnesses of a database whose guard is on."""
    catalog = database.guarded
    if catalog is None:
        return []
    live = live_witnesses(database)
    found = []
    for one in expected_witnesses(database, catalog, database.mask):
        what = witness_difference(one, live.get((one.table.oid, one.name)), guard.home)
        if what:
            found.append(
                Fault(
                    schema=one.table.schema,
                    table=one.table.name,
                    name=one.name,
                    what=what,
                    kind="witness",
                )
            )
    return found


def gated_schemas(database: InspectedDatabase) -> frozenset[str]:
    """Return the schemas whose ignore function triggers of this project call: it is to be the gate.

    One that only others call is none of the guard's.
    """
    snapshot = database.snapshot
    around = snapshot.surroundings if snapshot else None
    if snapshot is None or around is None:
        return frozenset()
    own = [one for one in snapshot.triggers if (one.table, one.name) in database.registered]
    return called_schemas(snapshot, around.ignore_functions, own)


def gate_faults(database: InspectedDatabase, guard: GuardState) -> list[Fault]:
    """Return what is wrong with our functions, triggers, rights and gates where the guard is on."""
    catalog = database.guarded
    found: list[Fault] = []
    if catalog is not None:
        found += function_faults(catalog)
        found += own_trigger_faults(database, guard.home)
        found += writer_faults(catalog)
        found += copy_faults(catalog)
        found += stranger_faults(catalog)
    snapshot = database.snapshot
    around = snapshot.surroundings if snapshot else None
    if snapshot is None or around is None:
        return found
    proper = {one.schema: one for one in around.ignore_functions if one.is_proper}
    for schema in sorted(gated_schemas(database)):
        gate = proper.get(schema)
        changed = difference(gate, gate_body(guard.home)) if gate else ""
        if gate is None or changed:
            what = f"is not the gate: {changed}" if gate else "is missing"
            found.append(Fault(schema=schema, name=IGNORE_FUNCTION, what=what))
    return found


def trees(tables: Sequence[WatchedTable]) -> dict[int, frozenset[int]]:
    """Return the OIDs of each table and all partitions below it, by the table's OID."""
    parents = {one.oid: one.parent for one in tables}
    found: defaultdict[int, set[int]] = defaultdict(set)
    for one in tables:
        above: int | None = one.oid
        while above is not None:
            found[above].add(one.oid)
            above = parents.get(above)
    return {oid: frozenset(oids) for oid, oids in found.items()}
