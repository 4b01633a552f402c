"""The triggers on our own tables: put back where somebody took, switched or replaced them."""

from __future__ import annotations

from collections.abc import Iterator

from trigger_ops.catalog.guard import GuardCatalog, OwnTable, WatchedTable
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection.own_objects import (
    NOT_ALWAYS,
    live_own_triggers,
    own_trigger_difference,
)
from trigger_ops.planner import Statement, Step
from trigger_ops.planner.guard_steps import guard_step
from trigger_ops.planner.situation import Situation, marks_of, modes_back, recreation
from trigger_ops.planner.spelling import drop_trigger, switch
from trigger_ops.sql.own_tables import OWN_TRIGGERS, OwnTrigger
from trigger_ops.states import Enabled, Lock, Result


def own_trigger_steps(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    """Plan the triggers on our own tables."""
    tables = {one.name: one for one in catalog.own_tables}
    live = live_own_triggers(situation.database, catalog.home)
    for one in OWN_TRIGGERS:
        present = live.get((one.table, one.name))
        what = own_trigger_difference(one, present, catalog.home)
        if one.table in tables:
            yield _step(situation, catalog.home, tables[one.table], one, present, what)


def _step(
    situation: Situation,
    home: str,
    table: OwnTable,
    one: OwnTrigger,
    live: CatalogTrigger | None,
    what: str,
) -> Step:
    return guard_step(
        situation,
        schema=home,
        name=one.name,
        table=WatchedTable(
            oid=table.oid,
            root=table.oid,
            parent=None,
            schema=home,
            name=table.name,
            relkind="r",
            may_alter=table.may_alter,
            owner=table.owner,
            columns=(),
        ),
        result=Result.UNCHANGED if not what else Result.REPLACED if live else Result.CREATED,
        statements=_made_right(situation, home, one, live, what) if what else (),
        reason=what,
        marks=marks_of(live),
        after={"enabled": Enabled.ALWAYS.value},
    )


def _made_right(
    situation: Situation, home: str, one: OwnTrigger, live: CatalogTrigger | None, what: str
) -> Iterator[Statement]:
    on = (one.name, home, one.table)
    always = one.switching(home)
    if live is not None and what == NOT_ALWAYS:
        back = [switch(*on, Enabled.ENABLED), *modes_back(live)]
        yield situation.state(always, Lock.SHARE_ROW_EXCLUSIVE, what, *back)
        return
    if live is not None:
        yield situation.state(drop_trigger(*on), Lock.ACCESS_EXCLUSIVE, what, *recreation(live))
    yield situation.state(one.creation(home), Lock.SHARE_ROW_EXCLUSIVE, what, drop_trigger(*on))
    yield situation.state(always, Lock.SHARE_ROW_EXCLUSIVE, "nothing switches it off")
