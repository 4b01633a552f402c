"""``install``: the least that makes a trigger what the code says, chosen by what differs."""

from __future__ import annotations

from collections.abc import Iterator

from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.inspection.comparison import is_harmless
from trigger_ops.inspection.ignoring import called_schemas, difference, stock_ignore_body
from trigger_ops.inspection.orphans import looks_installed
from trigger_ops.inspection.places import misplaced
from trigger_ops.planner import Statement, Step
from trigger_ops.planner.situation import Situation, modes_back, recreation
from trigger_ops.planner.spelling import (
    comment,
    create_function,
    create_ignore_function,
    create_trigger,
    drop_function,
    drop_trigger,
    own_function,
    recreate_function,
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
        return situation.refused(trigger, "its table is missing: run manage.py migrate first")
    on = (definition.pgid, table.schema, table.name)
    statements = list(_functions(definition, table.schema, None, situation))
    statements += [
        situation.state(
            create_trigger(definition, table.schema, table.name, replace=False),
            Lock.SHARE_ROW_EXCLUSIVE,
            "the trigger is missing",
            drop_trigger(*on),
        ),
        situation.state(comment(*on, definition.hash), Lock.NONE, "pgtrigger's hash"),
    ]
    mode = trigger.expected_mode
    if mode is not Enabled.ENABLED and table.relkind != "v":
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
        statements += _functions(definition, live.schema, live, situation)
    if Facet.OWNER in facets and Facet.FUNCTION not in facets:
        statements.append(_owner(live, situation))
    drops = False
    if facets - NOT_THE_TRIGGER:
        drops = live.is_constraint or definition.is_constraint
        statements += _replaced_trigger(live, definition, situation, facets, drops=drops)
    if drops or Facet.COMMENT in facets:
        statements.append(_stamped(live, definition, situation))
    statements += _moved_function(live, definition, situation, facets)
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


def _functions(
    definition: Definition, schema: str, live: CatalogTrigger | None, situation: Situation
) -> Iterator[Statement]:
    """State what creates or replaces the trigger's own function, in its table's schema."""
    if not definition.executes_own_function:
        return
    there = live if live is not None and live.function_schema == schema else None
    own = there if there is not None and there.function == definition.pgid else None
    kept = [one for one in own.function_settings if is_harmless(one, own)] if own else []
    others = situation.others_executing(schema, definition.pgid)
    undo = recreate_function(own) if own else drop_function(schema, definition.pgid)
    yield situation.state(
        create_function(definition, schema, kept),
        Lock.NONE,
        "the function is not the code's" if own else "the function is missing",
        undo,
        hazards=(Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS,) if others else (),
        function=(schema, definition.pgid),
    )


def _owner(live: CatalogTrigger, situation: Situation) -> Statement:
    function = (live.function_schema, live.function)
    return situation.state(
        own_function(*function, live.table_owner),
        Lock.NONE,
        "whoever owns the function can replace its body",
        own_function(*function, live.function_owner),
        function=function,
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
        # PostgreSQL cannot replace constraint triggers.
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
    for back in modes_back(live):
        yield situation.state(
            back, Lock.SHARE_ROW_EXCLUSIVE, f"it is {live.mode.value} and stays so"
        )


def _moved_function(
    live: CatalogTrigger, definition: Definition, situation: Situation, facets: set[Facet]
) -> Iterator[Statement]:
    """State what drops the function that the trigger has just been taken away from."""
    moved = live.function == definition.pgid and live.function_schema != live.schema
    if Facet.FUNCTION not in facets or not moved or situation.is_shared(live):
        return
    if definition.executes_own_function and live.may_replace_function:
        yield situation.state(
            drop_function(live.function_schema, live.function),
            Lock.NONE,
            f"it now executes the function in {live.schema}",
            recreate_function(live),
        )


def ignore_functions(situation: Situation) -> Iterator[Step]:
    """Plan the shared ignore function, wherever installed triggers look for it, if it differs."""
    server, around = situation.snapshot.server, situation.snapshot.surroundings
    if around is None:
        return
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
        changed = difference(function) if function else "it is missing"
        if not changed:
            continue
        undo = recreate_ignore_function(function) if function else None
        statement = situation.state(
            create_ignore_function(schema, stock_ignore_body()),
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
            after={"function": "as pgtrigger makes it"},
        )
