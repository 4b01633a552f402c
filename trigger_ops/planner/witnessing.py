"""Witnesses: put on every table to be watched, made right, and taken off."""

from __future__ import annotations

from collections.abc import Iterator

from trigger_ops.catalog.guard import GuardCatalog, WatchedTable
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection.guarding import (
    ExpectedWitness,
    expected_witnesses,
    live_witnesses,
    trees,
    witness_difference,
)
from trigger_ops.inspection.own_objects import other_mode
from trigger_ops.planner import Marks, Statement, Step
from trigger_ops.planner.guard_spelling import create_witness
from trigger_ops.planner.guard_steps import guard_step
from trigger_ops.planner.situation import Situation, marks_of, modes_back, recreation
from trigger_ops.planner.spelling import drop_trigger, switch
from trigger_ops.states import Enabled, Lock, Result


def witness_steps(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    """Plan the witnesses of every table that is watched, and the end of those that watch nothing."""
    live = live_witnesses(situation.database)
    expected = expected_witnesses(situation.database, catalog, situation.database.mask)
    for one in expected:
        present = live.get((one.table.oid, one.name))
        what = witness_difference(one, present, catalog.home)
        yield _witness_step(situation, catalog, one, present, what)
    wanted = {(one.table.oid, one.name) for one in expected}
    for key, stale in sorted(live.items()):
        if key not in wanted and stale.function_schema == catalog.home:
            yield _dropped_witness(
                situation, catalog, stale, "nothing on its table can be ignored"
            )


def _witness_step(
    situation: Situation,
    catalog: GuardCatalog,
    one: ExpectedWitness,
    live: CatalogTrigger | None,
    what: str,
) -> Step:
    return guard_step(
        situation,
        schema=one.table.schema,
        name=one.name,
        table=one.table,
        result=Result.UNCHANGED if not what else Result.REPLACED if live else Result.CREATED,
        statements=_made_right(situation, one, live, what, catalog.home) if what else (),
        reason=what,
        marks=_witness_marks(situation, catalog, one.table.oid, one.name),
        after={"enabled": one.enabled.value},
    )


def _made_right(
    situation: Situation, one: ExpectedWitness, live: CatalogTrigger | None, what: str, home: str
) -> Iterator[Statement]:
    on = (one.name, one.table.schema, one.table.name)
    switched = switch(*on, one.enabled)
    if live is not None and what == other_mode(one.enabled):
        back = [switch(*on, Enabled.ENABLED), *modes_back(live)]
        yield situation.state(switched, Lock.SHARE_ROW_EXCLUSIVE, what, *back)
        return
    undo = [drop_trigger(*on)]
    if live is not None and live.is_constraint:  # PostgreSQL cannot replace one
        yield situation.state(drop_trigger(*on), Lock.ACCESS_EXCLUSIVE, what, *recreation(live))
    elif live is not None:
        undo += recreation(live)
    replace = live is not None and not live.is_constraint
    yield situation.state(
        create_witness(one, home, replace=replace), Lock.SHARE_ROW_EXCLUSIVE, what, *undo
    )
    why = "it fires for replicas" if one.enabled is Enabled.REPLICA else "nothing switches it off"
    yield situation.state(switched, Lock.SHARE_ROW_EXCLUSIVE, why)


def dropped_witnesses(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    """Plan the end of all witnesses; what is only called like one is left alone."""
    for _, live in sorted(live_witnesses(situation.database).items()):
        if live.function_schema == catalog.home:
            yield _dropped_witness(situation, catalog, live, "the guard is removed")


def _dropped_witness(
    situation: Situation, catalog: GuardCatalog, live: CatalogTrigger, reason: str
) -> Step:
    on = (live.name, live.schema, live.table)
    table = WatchedTable(
        oid=live.table_oid,
        root=live.table_oid,
        parent=None,
        schema=live.schema,
        name=live.table,
        relkind=live.relkind,
        may_alter=live.may_alter,
        owner=live.table_owner,
        columns=(),
    )
    return guard_step(
        situation,
        schema=live.schema,
        name=live.name,
        table=table,
        result=Result.DROPPED,
        statements=[
            situation.state(drop_trigger(*on), Lock.ACCESS_EXCLUSIVE, reason, *recreation(live))
        ],
        reason=reason,
        marks=_witness_marks(situation, catalog, live.table_oid, live.name),
    )


def _witness_marks(
    situation: Situation, catalog: GuardCatalog, table_oid: int, name: str
) -> Marks:
    """Return the versions of a trigger on a table and of all of its name on the partitions."""
    tree = trees(catalog.tables).get(table_oid, frozenset({table_oid}))
    found = [
        mark
        for live in situation.snapshot.triggers
        if live.name == name and live.table_oid in tree | {table_oid}
        for mark in marks_of(live)
    ]
    return tuple(sorted(found))
