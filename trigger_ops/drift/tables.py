"""Findings about tables: who else acts on them, and which doors their triggers leave open."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.snapshot import CatalogTrigger, Server, Snapshot, Surroundings
from trigger_ops.drift import Finding
from trigger_ops.drift.databases import (
    about_database,
    body_bypasses,
    guard_install,
    left_witnesses,
)
from trigger_ops.drift.triggers import command, drop_statement, in_schema_alone, make, quoted
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.inspection.conditions import live_condition
from trigger_ops.inspection.orphans import foreign_triggers, looks_installed
from trigger_ops.inspection.places import misplaced
from trigger_ops.registry.definition import DELETE, INSERT, ROW, TRUNCATE, UPDATE
from trigger_ops.sql.functions import expected_functions
from trigger_ops.states import Facet, Status

Guarded = dict[int, list[tuple[InspectedTrigger, CatalogTrigger]]]
"""What guards a table, by the table's OID: the inspected trigger beside what is live."""

Generation = tuple[str | None, str, str]

RULE_EVENTS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE"}
"""``pg_rewrite.ev_type`` (PostgreSQL docs, 53.49)."""


def about_tables(database: InspectedDatabase) -> Iterator[Finding]:
    """Yield what somebody should know about the tables that registered triggers guard."""
    snapshot = database.snapshot
    if snapshot is None or snapshot.surroundings is None:
        return
    guarded = _guarded(database)
    yield from _function_schemas(snapshot.server, guarded)
    yield from _truncate_guards(snapshot, guarded)
    yield from _foreign_triggers(database, snapshot, guarded)
    yield from _rules(snapshot.surroundings, guarded)
    yield from _sharers(database, snapshot, guarded)
    yield from _children(snapshot, snapshot.surroundings, guarded)
    yield from _above(snapshot.surroundings, guarded)
    yield from _partitions(snapshot.surroundings, guarded)
    yield from _former_partitions(snapshot, snapshot.surroundings, guarded)
    yield from _shadowed(database)


def newest_generations(database: InspectedDatabase) -> dict[Generation, InspectedTrigger]:
    """Return the registered triggers by what an older self on the same table shares with them."""
    found: dict[Generation, InspectedTrigger] = {}
    for trigger in database.triggers:
        if trigger.registered is not None:
            found.setdefault(generation(trigger), trigger)
    return found


def generation(trigger: InspectedTrigger) -> Generation:
    """Return schema, table, and the trigger's name without the digits that tell models apart."""
    return trigger.schema, trigger.table, trigger.trigger.rpartition("_")[0]


def shared_functions(database: InspectedDatabase) -> frozenset[int]:
    """Return the functions, by OID, that triggers beyond this project's code execute."""
    return frozenset(live.function_oid for live in foreign_triggers(database))


def _guarded(database: InspectedDatabase) -> Guarded:
    found: Guarded = defaultdict(list)
    for trigger in database.triggers:
        if trigger.registered is not None and trigger.installed is not None:
            found[trigger.installed.table_oid].append((trigger, trigger.installed))
    return found


def _function_schemas(server: Server, guarded: Guarded) -> Iterator[Finding]:
    """A trigger dies with its function's schema, and whoever installs there next replaces it."""
    for trigger, live in (pair for pairs in guarded.values() for pair in pairs):
        if live.function != trigger.trigger or live.function_schema == live.schema:
            continue
        message = (
            f"The trigger's function lives in schema {live.function_schema}, its table in "
            f"{live.schema}: dropping that schema drops the trigger."
        )
        code = "W008" if misplaced(trigger, server) else "I008"
        fix = command("install", trigger)
        if code == "I008":  # install leaves alone what is as the code says
            fix = f"{command('uninstall', trigger)} && {fix}"
        yield make(code, trigger, message, fix=fix, facets=frozenset({Facet.FUNCTION}))


def _truncate_guards(snapshot: Snapshot, guarded: Guarded) -> Iterator[Finding]:
    on_table: defaultdict[int, list[CatalogTrigger]] = defaultdict(list)
    for live in snapshot.triggers:
        on_table[live.table_oid].append(live)
    for oid, pairs in guarded.items():
        protects = next((one for one, live in pairs if _protects_deletes(one, live)), None)
        if protects is None or any(
            live.type_bits & TRUNCATE and live.enabled in "OA" for live in on_table[oid]
        ):
            continue
        message = (
            f'Rows of "{protects.table}" cannot be deleted, but TRUNCATE removes them all: no '
            "trigger on the table fires for it."
        )
        fix = "declare trigger_ops.triggers.ProtectTruncate() in the model's Meta.triggers"
        yield make("I004", protects, message, fix=fix)


def _protects_deletes(trigger: InspectedTrigger, live: CatalogTrigger) -> bool:
    kinds = trigger.registered.kinds if trigger.registered else frozenset()
    return (
        bool({"Protect", "SoftDelete"} & kinds)
        and bool(live.type_bits & DELETE)
        and live.relkind in ("r", "p")
    )


def _foreign_triggers(
    database: InspectedDatabase, snapshot: Snapshot, guarded: Guarded
) -> Iterator[Finding]:
    known = {one.installed.oid for one in database.triggers if one.installed and one.registered}
    tables = {(live.schema, live.table) for pairs in guarded.values() for _, live in pairs}
    tables |= {
        (clone.schema, clone.table)
        for pairs in guarded.values()
        for _, live in pairs
        for clone in live.clones
    }
    witnesses = left_witnesses(database)
    for live in snapshot.triggers:
        ours = (live.table, live.name) in database.registered or (
            live.table_oid in guarded and looks_installed(live)
        )
        acts_on = {(live.schema, live.table)} | {(one.schema, one.table) for one in live.clones}
        is_witness = (live.table_oid, live.name) in witnesses
        is_whole = is_witness and live.body in _witness_bodies(live.function_schema)
        meddles = live.oid not in known and not is_whole and body_bypasses(live.body)
        if not meddles and (ours or not acts_on & tables):
            continue
        where = f"{live.schema}.{live.table}"
        if meddles:
            code = "C003"
            message = (
                f"The foreign trigger {live.name} on {where} sets what switches other triggers "
                f"off: read its function {live.function_schema}.{live.function}."
            )
        elif is_whole:
            code = "I002"
            message = (
                f"The witness {live.name} on {where} is what is left of a guard that is off here: "
                "its row, or the tables of trigger_ops, are gone."
            )
        else:
            code = "I002"
            message = (
                f"The trigger {live.name} on {where} is not pgtrigger's; triggers of one timing "
                "fire in order of name."
            )
        fix = guard_install(database) if is_witness else drop_statement(live)
        finding = about_database(database, code, message, fix, schema=live.schema)
        yield dataclasses.replace(
            finding,
            table=live.table,
            trigger=live.name,
            status=Status.FOREIGN,
            enabled=live.mode,
        )


@functools.cache
def _witness_bodies(home: str) -> frozenset[str]:
    return frozenset(one.body for one in expected_functions("guard", home=home))


def _sharers(
    database: InspectedDatabase, snapshot: Snapshot, guarded: Guarded
) -> Iterator[Finding]:
    """Two projects with one name for a trigger overwrite each other's function."""
    executing: defaultdict[int, list[CatalogTrigger]] = defaultdict(list)
    for live in snapshot.triggers:
        if (live.table, live.name) not in database.registered:
            executing[live.function_oid].append(live)
    for trigger, live in (pair for pairs in guarded.values() for pair in pairs):
        for other in executing.get(live.function_oid, ()) if live.function == live.name else ():
            message = (
                f"The trigger {other.name} on {other.schema}.{other.table}, which this project "
                "does not know, executes the same function: who installs there replaces the body."
            )
            yield make("I010", trigger, message, fix=drop_statement(other))


def _rules(around: Surroundings, guarded: Guarded) -> Iterator[Finding]:
    for rule in around.rules:
        for trigger, live in guarded.get(rule.table_oid, [])[:1]:
            kind = "instead of" if rule.instead else "beside"
            message = (
                f'The rule "{rule.name}" acts {kind} {RULE_EVENTS[rule.event]} on '
                f'"{trigger.table}", so the trigger may never see the write.'
            )
            table = f"{quoted(live.schema)}.{quoted(live.table)}"
            yield make("W010", trigger, message, fix=f"DROP RULE {quoted(rule.name)} ON {table};")


def _children(snapshot: Snapshot, around: Surroundings, guarded: Guarded) -> Iterator[Finding]:
    """Row triggers of a parent do not fire for rows of an inheriting table."""
    own = {(live.schema, live.table, live.name): live for live in snapshot.triggers}
    for child in around.children:
        for trigger, live in guarded.get(child.table_oid, []):
            copy = own.get((child.schema, child.name, live.name))
            if not live.type_bits & ROW or (copy is not None and _guards_alike(copy, live)):
                continue
            message = (
                f"Table {child.schema}.{child.name} inherits from {live.table}: its rows are "
                f"reached through {live.table}, and this trigger does not fire for them."
            )
            fix = (
                f"ALTER TABLE {quoted(child.schema)}.{quoted(child.name)} NO INHERIT "
                f"{quoted(live.schema)}.{quoted(live.table)};"
            )
            yield make("W009", trigger, message, fix=fix)


def _guards_alike(copy: CatalogTrigger, live: CatalogTrigger) -> bool:
    """Tell whether a trigger of the same name on a child does what its parent's does."""
    alike = ("function_oid", "type_bits", "enabled", "columns", "arguments")
    same = all(getattr(copy, name) == getattr(live, name) for name in alike)
    return same and copy.has_triggers and live_condition(copy) == live_condition(live)


def _above(around: Surroundings, guarded: Guarded) -> Iterator[Finding]:
    """Statement triggers fire for the table that a statement names, not for those below it.

    TRUNCATE is the exception: it fires the triggers of every table that it empties.
    """
    for parent in around.above:
        for trigger, live in guarded.get(parent.table_oid, []):
            if live.type_bits & ROW or not live.type_bits & (INSERT | UPDATE | DELETE):
                continue
            above = f"{parent.schema}.{parent.name}"
            message = (
                f"Table {live.table} is a child of {above}: what is written through {above} "
                "reaches its rows, and this statement trigger does not fire."
            )
            names = [
                f"{quoted(live.schema)}.{quoted(live.table)}",
                f"{quoted(parent.schema)}.{quoted(parent.name)}",
            ]
            fix = f"ALTER TABLE {names[0]} NO INHERIT {names[1]};"
            if parent.partitioned:
                fix = f"ALTER TABLE {names[1]} DETACH PARTITION {names[0]};"
            yield make("W009", trigger, message, fix=fix)


def _partitions(around: Surroundings, guarded: Guarded) -> Iterator[Finding]:
    for partition in around.partitions:
        for trigger, live in guarded.get(partition.table_oid, []):
            clones = {(clone.schema, clone.table) for clone in live.clones}
            if not live.type_bits & ROW or (partition.schema, partition.name) in clones:
                continue
            message = (
                f"The partition {partition.schema}.{partition.name} has no copy of the trigger, "
                "so its rows are not guarded."
            )
            yield make("E003", trigger, message, fix=command("install", trigger))


def _former_partitions(
    snapshot: Snapshot, around: Surroundings, guarded: Guarded
) -> Iterator[Finding]:
    own = {(live.schema, live.table, live.name): live for live in snapshot.triggers}
    for table in around.former_partitions:
        for trigger, live in guarded.get(table.table_oid, [])[:1]:
            blocker = own.get((table.schema, table.name, live.name))
            where = f"{table.schema}.{table.name}"
            if blocker is not None:
                message = (
                    f'Table {where} cannot be attached to "{live.table}": it has a trigger '
                    f"{blocker.name} of its own."
                )
                fix = drop_statement(blocker)
            else:
                message = (
                    f'Table {where} has the columns of the partitioned "{live.table}" but is none '
                    "of its partitions: detached, its rows are no longer guarded."
                )
                fix = (
                    f"ALTER TABLE {quoted(live.schema)}.{quoted(live.table)} ATTACH PARTITION "
                    f"{quoted(table.schema)}.{quoted(table.name)} FOR VALUES …;"
                )
            yield make("I009", trigger, message, fix=fix)


def _shadowed(database: InspectedDatabase) -> Iterator[Finding]:
    for table in database.shadowed:
        finding = about_database(
            database,
            "W013",
            f"The table {table.schema}.{table.name} lies behind another one of its name on the "
            "search_path, and does not have that one's triggers.",
            f"manage.py pgtrigger ls{for_pgtrigger(database.alias)}{in_schema_alone(table.schema)}",
            schema=table.schema,
        )
        yield dataclasses.replace(finding, table=table.name)
