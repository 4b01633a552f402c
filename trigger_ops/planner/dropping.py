"""``uninstall`` and ``prune``: what goes, with what brings it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trigger_ops.catalog.snapshot import CatalogTrigger, OrphanFunction
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.planner import Statement, Step
from trigger_ops.planner.situation import Situation, recreation
from trigger_ops.planner.spelling import drop_function, drop_trigger
from trigger_ops.states import Hazard, Lock, Result, Status, Verdict


def uninstall(trigger: InspectedTrigger, situation: Situation) -> Step:
    """Plan the end of one registered trigger."""
    live = trigger.installed
    if live is None:
        return situation.step(trigger, Result.UNCHANGED, reason="it is not installed")
    if trigger.verdict is Verdict.NOT_ALLOWED and not situation.request.selectors:
        return situation.step(trigger, Result.SKIPPED, reason=trigger.reason)
    return _dropped(trigger, live, situation, "uninstall was asked for")


def prune(trigger: InspectedTrigger, situation: Situation) -> Step | None:
    """Plan the end of a trigger that no code knows; None for one that is not to be touched.

    What is provably ours goes if it is in the schemas looked at; anything else only if it was
    named, and allowed.
    """
    live = trigger.installed
    if live is None or trigger.registered is not None:
        return None
    named = trigger.uri in situation.request.named
    if trigger.status is Status.PRUNE:
        wanted = named or (not situation.request.named and _in_scope(live, situation))
        return _dropped(trigger, live, situation, "no code declares it") if wanted else None
    if trigger.status is not Status.FOREIGN or not named:
        return None
    hazards = (Hazard.DROPS_FOREIGN,)
    return _dropped(trigger, live, situation, "it was named", hazards=hazards)


def _in_scope(live: CatalogTrigger, situation: Situation) -> bool:
    scope = situation.request.scope
    if scope.glob is not None:
        return scope.takes(live.schema)
    return live.schema in situation.snapshot.server.search_path


def _dropped(
    trigger: InspectedTrigger,
    live: CatalogTrigger,
    situation: Situation,
    reason: str,
    *,
    hazards: tuple[Hazard, ...] = (),
) -> Step:
    on = (live.name, live.schema, live.table)
    statements = [
        situation.state(
            drop_trigger(*on), Lock.ACCESS_EXCLUSIVE, reason, *recreation(live), hazards=hazards
        ),
        *_own_function(live, situation),
    ]
    place = (live.schema, live.table, live.name)
    return situation.step(
        trigger,
        Result.DROPPED,
        *statements,
        reason=reason,
        after={"status": "UNINSTALLED"},
        ends_lease=place in situation.leases,
    )


def _own_function(live: CatalogTrigger, situation: Situation) -> Iterator[Statement]:
    if live.function != live.name or situation.is_shared(live) or not live.may_replace_function:
        return
    yield situation.state(
        drop_function(live.function_schema, live.function),
        Lock.NONE,
        "nothing else executes it",
        *situation.function_back(live),
    )


def orphan_functions(situation: Situation) -> Iterator[Step]:
    """Plan the end of trigger functions that pgtrigger left behind and nothing executes."""
    around = situation.snapshot.surroundings
    registered = {pgid for _, pgid in situation.database.registered}
    for function in _in_reach(around.orphan_functions if around else (), situation):
        if function.name in registered or function.name not in situation.database.known_pgids:
            continue
        statement = Statement(
            sql=situation.pen(drop_function(function.schema, function.name)),
            lock=Lock.NONE,
            reason="no trigger executes it",
            undo=function.definition,
        )
        yield Step(
            uri=f"{function.schema}.{function.name}",
            database=situation.database.alias,
            schema=function.schema,
            table=None,
            table_oid=None,
            trigger=function.name,
            result=Result.DROPPED,
            statements=(statement,),
            reason="no trigger executes it",
            marks=((function.oid, function.version, 0, "", ""),),
            before={"function": "left behind"},
            after={"function": "dropped"},
            turn=0,
        )


def _in_reach(functions: Iterable[OrphanFunction], situation: Situation) -> list[OrphanFunction]:
    scope, path = situation.request.scope, situation.snapshot.server.search_path
    if scope.glob is not None:
        return [one for one in functions if scope.takes(one.schema)]
    return [one for one in functions if one.schema in path]
