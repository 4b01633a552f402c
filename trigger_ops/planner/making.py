"""Makes a plan of inspected databases and a request: pure, and the same for the same input."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.snapshot import Snapshot
from trigger_ops.exceptions import Refused, UnknownSelector, nearest
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.leases import Lease
from trigger_ops.planner import Plan, Request, ServerIdentity, Step
from trigger_ops.planner.dropping import orphan_functions, prune, uninstall
from trigger_ops.planner.guarding import guard_functions, guard_steps
from trigger_ops.planner.hazards import hazards_of, prune_hazards
from trigger_ops.planner.installing import ignore_functions, install
from trigger_ops.planner.rights import obstacles_of
from trigger_ops.planner.situation import GuardTerms, Pen, Situation, situation_of
from trigger_ops.planner.switching import disable, enable
from trigger_ops.states import Hazard, Result, Status, Verb, Verdict

GUARDING = (Verb.GUARD_INSTALL, Verb.GUARD_REMOVE)
"""The verbs that are about the guard, and about no trigger by name."""

_BY_VERB: Mapping[Verb, Callable[[InspectedTrigger, Situation], Step]] = {
    Verb.INSTALL: install,
    Verb.UNINSTALL: uninstall,
    Verb.ENABLE: enable,
    Verb.DISABLE: disable,
}


def make_plan(
    request: Request,
    databases: Sequence[InspectedDatabase],
    *,
    leases: Mapping[str, Iterable[Lease]],
    pens: Mapping[str, Pen],
    prunes: bool,
    now: dt.datetime,
    lifetime: dt.timedelta,
    asked: bool = False,
    guards: Mapping[str, GuardTerms] | None = None,
) -> Plan:
    """Plan what carries a request out.

    ``leases`` and ``pens`` are by alias. ``prunes`` says that an ``install`` or ``uninstall`` of
    everything drops this project's own orphans too. ``asked`` says that work counts for the exit
    code. ``guards`` are by alias, where the guard is on or a verb is about it.

    Raises:
        Busy: when a database could not be read.
        UnknownSelector: for a trigger to be pruned by name that is not there.
    """
    steps: list[Step] = []
    warnings: list[str] = []
    obstacles: list[str] = []
    situations = []
    for database in databases:
        if database.status == "not postgresql":
            steps.extend(_elsewhere(database, request))
            continue
        situation = situation_of(
            request,
            database,
            leases.get(database.alias, ()),
            pens[database.alias],
            (guards or {}).get(database.alias),
        )
        situations.append(situation)
        own = list(_steps(situation, prunes=prunes, warnings=warnings))
        obstacles.extend(obstacles_of(situation, own))
        steps.extend(own)
    if request.named:
        _refuse_unknown_names(request, databases)
    hazards = hazards_of(steps)
    if request.verb is Verb.PRUNE and not request.named:
        for situation in situations:
            for hazard, why in prune_hazards(situation, steps).items():
                hazards[hazard] = " ".join(filter(None, (hazards.get(hazard), why)))
    servers = tuple(
        _identity(one.alias, one.snapshot) for one in databases if one.snapshot is not None
    )
    return Plan(
        request=request,
        created=now,
        expires=now + lifetime,
        servers=servers,
        steps=tuple(steps),
        fingerprint=_fingerprint(request, servers, steps, databases),
        obstacles=tuple(dict.fromkeys(obstacles)),
        warnings=tuple(warnings),
        hazards=hazards,
        asked=asked,
    )


def plan_table(situation: Situation, names: frozenset[str], *, table_oid: int) -> list[Step]:
    """Plan anew what concerns some triggers of one table, as it was just inspected.

    ``names`` are what was planned already, so that orphans among them are to be pruned.
    """
    steps = list(_trigger_steps(situation))
    if situation.request.verb in GUARDING:
        steps = [step for step in guard_steps(situation) if step.table_oid is not None]
    if situation.request.verb in (Verb.INSTALL, Verb.UNINSTALL):
        steps += _orphan_steps(situation)
    return [step for step in steps if step.table_oid == table_oid and step.trigger in names]


def plan_functions(situation: Situation) -> list[Step]:
    """Plan anew what belongs to no table, as it was just inspected."""
    if situation.request.verb in GUARDING:
        return list(guard_functions(situation))
    return list(_function_steps(situation))


def _steps(situation: Situation, *, prunes: bool, warnings: list[str]) -> Iterator[Step]:
    if situation.request.verb in GUARDING:
        yield from sorted(
            guard_steps(situation),
            key=lambda step: (step.turn, step.schema or "", step.table or ""),
        )
        return
    yield from _function_steps(situation)
    steps = list(_trigger_steps(situation))
    if prunes and situation.request.verb in (Verb.INSTALL, Verb.UNINSTALL):
        steps += list(_side_effect(situation, steps, warnings))
    # One table after the other, so that each has one transaction; PostgreSQL deadlocks less
    # where everybody takes tables in one order.
    yield from sorted(steps, key=lambda step: (step.schema or "", step.table or ""))


def _function_steps(situation: Situation) -> Iterator[Step]:
    request = situation.request
    if request.verb is Verb.INSTALL and any(
        one.registered is not None
        and one.registered.definition is not None
        and one.verdict is not Verdict.NOT_ALLOWED
        and situation.table_of(one) is not None
        for one in situation.database.triggers
    ):
        yield from ignore_functions(situation)
    if request.verb is Verb.PRUNE and request.functions and not request.named:
        yield from orphan_functions(situation)


def _trigger_steps(situation: Situation) -> Iterator[Step]:
    verb = situation.request.verb
    for trigger in situation.database.triggers:
        if verb is Verb.PRUNE:
            step = prune(trigger, situation)
            if step is not None:
                yield step
        elif trigger.registered is not None and verb in _BY_VERB:
            yield _BY_VERB[verb](trigger, situation)


def _side_effect(
    situation: Situation, steps: Sequence[Step], warnings: list[str]
) -> Iterator[Step]:
    """Prune beside an install or uninstall of everything, unless that would be a hazard.

    Whoever uninstalls everything means most of it; but not where the code knows of nothing.
    """
    found = _orphan_steps(situation)
    hazards = prune_hazards(situation, [*steps, *found]) if found else {}
    if situation.request.verb is Verb.UNINSTALL:
        hazards.pop(Hazard.PRUNES_MOST, None)
    if hazards:
        warnings.extend(
            f"Nothing is pruned: {sentence} Run manage.py pgtrigger prune"
            f"{for_pgtrigger(situation.database.alias)} to decide."
            for sentence in hazards.values()
        )
        return
    yield from found


def _orphan_steps(situation: Situation) -> list[Step]:
    return [one for one in (prune(t, situation) for t in situation.database.triggers) if one]


def _elsewhere(database: InspectedDatabase, request: Request) -> Iterator[Step]:
    for trigger in database.triggers:
        yield Step(
            uri=trigger.uri,
            database=database.alias,
            schema=None,
            table=trigger.table,
            table_oid=None,
            trigger=trigger.trigger,
            result=Result.SKIPPED,
            reason=database.reason,
        )


def _refuse_unknown_names(request: Request, databases: Sequence[InspectedDatabase]) -> None:
    strangers = [
        one.uri
        for database in databases
        for one in database.triggers
        if one.status in (Status.PRUNE, Status.FOREIGN)
    ]
    for name in request.named:
        if name not in strangers:
            raise UnknownSelector(
                f'There is no trigger "{name}" that no code knows: {nearest(name, strangers)}'
            )


def _identity(alias: str, snapshot: Snapshot) -> ServerIdentity:
    server = snapshot.server
    return ServerIdentity(
        alias=alias,
        database=server.database,
        version=server.version,
        identifier=server.identifier,
        role=server.role,
    )


def _fingerprint(
    request: Request,
    servers: Sequence[ServerIdentity],
    steps: Sequence[Step],
    databases: Sequence[InspectedDatabase],
) -> str:
    """Digest the planned triggers, their tables, and the ignore functions, as they are now."""
    ignore = [
        [database.alias, one.schema, one.oid, one.version]
        for database in databases
        if database.snapshot is not None and database.snapshot.surroundings is not None
        for one in database.snapshot.surroundings.ignore_functions
    ]
    parts = [
        request.verb.value,
        [[one.alias, one.database, one.identifier] for one in servers],
        [
            [one.database, one.schema, one.table, one.table_oid, one.trigger, one.marks]
            for one in steps
        ],
        sorted(ignore),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def refuse_hazards(plan: Plan, allowed: frozenset[Hazard]) -> None:
    """Refuse a plan that cannot be carried out, or with a side effect that nobody allowed.

    Raises:
        Refused: with the sentence that says what to do.
    """
    if plan.obstacles:
        raise Refused(" ".join(plan.obstacles))
    missing = {name: why for name, why in plan.hazards.items() if name not in allowed}
    if missing:
        words = ",".join(name.value for name in missing)
        raise Refused(f"{' '.join(missing.values())} To go on, add --allow {words}.")
