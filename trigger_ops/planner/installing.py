"""``install``: the least that makes a trigger what the code says, chosen by what differs."""

from __future__ import annotations

from collections.abc import Iterator

from trigger_ops.aliases import for_migrate
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.inspection.ignoring import called_schemas, difference, stock_ignore_body
from trigger_ops.inspection.orphans import looks_installed
from trigger_ops.inspection.own_objects import gate_body
from trigger_ops.inspection.places import misplaced
from trigger_ops.planner import Statement, Step
from trigger_ops.planner.functions import moved_function, own_functions, owner_of_function
from trigger_ops.planner.guard_spelling import create_gate
from trigger_ops.planner.situation import Situation, modes_back, recreation
from trigger_ops.planner.spelling import (
    comment,
    create_ignore_function,
    create_trigger,
    drop_trigger,
    recreate_ignore_function,
    switch,
)
from trigger_ops.registry import IGNORE_FUNCTION, ignore_function_schema
from trigger_ops.registry.definition import ROW, Definition
from trigger_ops.states import Enabled, Facet, Hazard, Lock, Result, Verdict

FUNCTION = frozenset({Facet.BODY, Facet.SECURITY})
NOT_THE_TRIGGER = frozenset({*FUNCTION, Facet.OWNER, Facet.ENABLED, Facet.COMMENT})


def install(trigger: InspectedTrigger, situation: Situation) -> Step:
    """Plan what installs one registered trigger; an unchanged step where it is as it should be."""
    definition = trigger.registered.definition if trigger.registered else None
    if trigger.verdict is Verdict.NOT_ALLOWED:
        why = trigger.reason if situation.database.status != "ok" else _not_allowed(trigger)
        return situation.step(trigger, Result.SKIPPED, reason=why)
    if definition is None:
        why = f"it cannot be compiled: {trigger.reason}"
        return situation.step(trigger, Result.FAILED, reason=why)
    if trigger.installed is None:
        return _create(trigger, definition, situation)
    return _change(trigger, trigger.installed, definition, situation)


def _not_allowed(trigger: InspectedTrigger) -> str:
    return f'the routers do not allow its model on "{trigger.database}"'


def _create(trigger: InspectedTrigger, definition: Definition, situation: Situation) -> Step:
    table = situation.table_of(trigger)
    if table is None:
        migrate = f"manage.py migrate{for_migrate(trigger.database)}"
        return situation.refused(trigger, f"its table is missing: run {migrate} first")
    on = (definition.pgid, table.schema, table.name)
    statements = list(own_functions(definition, table, None, situation))
    statements += [
        situation.state(
            create_trigger(definition, table.schema, table.name, replace=False),
            Lock.SHARE_ROW_EXCLUSIVE,
            "the trigger is missing",
            drop_trigger(*on),
        ),
        situation.state(comment(*on, definition.hash), Lock.NONE, "pgtrigger's hash"),
    ]
    mode = trigger.expected_mode if table.relkind != "v" else Enabled.ENABLED
    if mode is not Enabled.ENABLED:
        statements.append(
            situation.state(
                switch(*on, mode), Lock.SHARE_ROW_EXCLUSIVE, f"{mode.value} is declared"
            )
        )
    after = {"status": "INSTALLED", "enabled": mode.value, "hash": definition.hash}
    return situation.step(
        trigger, Result.CREATED, *statements, reason="it was missing", after=after
    )


def _change(
    trigger: InspectedTrigger,
    live: CatalogTrigger,
    definition: Definition,
    situation: Situation,
) -> Step:
    facets = _facets(trigger, live, definition, situation)
    if not facets:
        return situation.step(trigger, Result.UNCHANGED, reason=_mode_kept(trigger))
    statements: list[Statement] = []
    if facets & {*FUNCTION, Facet.FUNCTION}:
        statements += own_functions(definition, live, live, situation)
    elif Facet.OWNER in facets:
        statements.append(owner_of_function(live, situation))
    drops = False
    if facets - NOT_THE_TRIGGER:
        drops = _has_to_be_dropped(live, definition)
        statements += _replaced_trigger(live, definition, situation, facets, drops=drops)
    if drops or Facet.COMMENT in facets:
        statements.append(_stamped(live, definition, situation))
    if Facet.FUNCTION in facets:
        statements += moved_function(live, definition, situation)
    after = {"status": "INSTALLED", "enabled": live.mode.value, "hash": definition.hash}
    return situation.step(
        trigger, Result.REPLACED, *statements, reason=_words(facets), after=after
    )


def _facets(
    trigger: InspectedTrigger,
    live: CatalogTrigger,
    definition: Definition,
    situation: Situation,
) -> set[Facet]:
    """Return what an install has to change: what differs, and what only an install cares about."""
    facets = set(trigger.facets) - {Facet.ENABLED, Facet.COMMENT}
    if _lacks_clones(live, situation):
        facets.add(Facet.LEVEL)
    elsewhere = definition.executes_own_function and live.function_schema != live.schema
    if elsewhere and (facets or misplaced(trigger, situation.snapshot.server)):
        facets.add(Facet.FUNCTION)
    if live.comment != definition.hash:
        facets.add(Facet.COMMENT)
    return facets


def _stamped(live: CatalogTrigger, definition: Definition, situation: Situation) -> Statement:
    on = (live.name, live.schema, live.table)
    return situation.state(
        comment(*on, definition.hash), Lock.NONE, "pgtrigger's hash", comment(*on, live.comment)
    )


def _mode_kept(trigger: InspectedTrigger) -> str:
    if Facet.ENABLED not in trigger.facets:
        return ""
    return f"it is {trigger.enabled.value}, and stays so: enable changes that"


def _words(facets: set[Facet]) -> str:
    return ", ".join(facet.value for facet in Facet if facet in facets)


def _has_to_be_dropped(live: CatalogTrigger, definition: Definition) -> bool:
    """Tell whether PostgreSQL cannot replace one by the other.

    It refuses where either is a constraint trigger; and where a row trigger of a partitioned table
    becomes a statement trigger, it leaves the clones on the partitions, firing.
    """
    left_behind = bool(live.clones) and definition.level != ROW
    return live.is_constraint or definition.is_constraint or left_behind


def _lacks_clones(live: CatalogTrigger, situation: Situation) -> bool:
    """Tell whether a partition of the table has no copy of a row trigger."""
    around = situation.snapshot.surroundings
    if around is None or live.relkind != "p" or not live.type_bits & ROW:
        return False
    clones = {(clone.schema, clone.table) for clone in live.clones}
    return any(
        (one.schema, one.name) not in clones
        for one in around.partitions
        if one.table_oid == live.table_oid
    )


def _replaced_trigger(
    live: CatalogTrigger,
    definition: Definition,
    situation: Situation,
    facets: set[Facet],
    *,
    drops: bool,
) -> Iterator[Statement]:
    on = (live.name, live.schema, live.table)
    why = f"{_words(facets - NOT_THE_TRIGGER)} differs"
    if drops:
        yield situation.state(drop_trigger(*on), Lock.ACCESS_EXCLUSIVE, why, *recreation(live))
        undo = [drop_trigger(*on)]
    else:
        undo = [drop_trigger(*on), *recreation(live)]
    yield situation.state(
        create_trigger(definition, live.schema, live.table, replace=not drops),
        Lock.SHARE_ROW_EXCLUSIVE,
        why,
        *undo,
    )
    for back in modes_back(live, also_new=_lacks_clones(live, situation)):
        yield situation.state(
            back, Lock.SHARE_ROW_EXCLUSIVE, f"it is {live.mode.value} and stays so"
        )


def ignore_functions(situation: Situation) -> Iterator[Step]:
    """Plan the shared ignore function, wherever installed triggers look for it, if it differs."""
    server, around = situation.snapshot.server, situation.snapshot.surroundings
    if around is None:
        return
    guard = situation.guard
    gate = gate_body(guard.home) if guard else None
    known = situation.database.registered
    own = [live for live in situation.snapshot.triggers if (live.table, live.name) in known]
    others = list(filter(looks_installed, situation.foreign))
    wanted = {ignore_function_schema() or server.install_schema or "public"}
    wanted |= called_schemas(situation.snapshot, around.ignore_functions, own)
    shared = called_schemas(situation.snapshot, around.ignore_functions, others)
    proper = {
        one.schema: one for one in around.ignore_functions if one.arguments == "trigger_name name"
    }
    for schema in sorted(wanted):
        function = proper.get(schema)
        changed = difference(function, gate) if function else "it is missing"
        if not changed:
            continue
        undo = recreate_ignore_function(function) if function else None
        statement = situation.state(
            create_gate(schema, guard.home)
            if guard
            else create_ignore_function(schema, stock_ignore_body()),
            Lock.NONE,
            changed,
            *([undo] if undo is not None else []),
            hazards=(
                (Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS,)
                if function and schema in shared
                else ()
            ),
            function=(schema, IGNORE_FUNCTION),
        )
        yield Step(
            uri=f"{schema}.{IGNORE_FUNCTION}",
            database=situation.database.alias,
            schema=schema,
            table=None,
            table_oid=None,
            trigger=IGNORE_FUNCTION,
            result=Result.REPLACED if function else Result.CREATED,
            statements=(statement,),
            reason=changed,
            marks=((function.oid, function.version, 0, "", ""),) if function else (),
            before={"function": changed},
            after={"function": "the gate" if guard else "as pgtrigger makes it"},
            turn=0,
            arguments=1,
        )
