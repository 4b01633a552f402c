"""What would put one trigger right: read from a plan, which changes nothing."""

from __future__ import annotations

import dataclasses

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from trigger_ops import api, conf
from trigger_ops.drift import Finding
from trigger_ops.drift.tables import shared_functions
from trigger_ops.drift.triggers import about_trigger
from trigger_ops.exceptions import DatabaseUnreadable, TriggerOpsError
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.leases import Lease
from trigger_ops.ledger import tables as own_tables
from trigger_ops.ledger.leases import read_leases
from trigger_ops.planner import Plan, Request, Step
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Enabled, Facet, Lock, Status, Verb
from trigger_ops.web.columns import english

LOCKS: dict[Lock, Promise] = {
    Lock.NONE: gettext_lazy("nothing waits"),
    Lock.SHARE_ROW_EXCLUSIVE: gettext_lazy("writes wait, reads pass"),
    Lock.ACCESS_EXCLUSIVE: gettext_lazy("reads and writes wait"),
}

PERMISSIONS: dict[Verb, str] = {
    Verb.INSTALL: "install_trigger",
    Verb.ENABLE: "toggle_trigger",
    Verb.DISABLE: "toggle_trigger",
    Verb.PRUNE: "prune_trigger",
    Verb.UNINSTALL: "prune_trigger",
}

BUTTONS: dict[Verb, Promise] = {
    Verb.INSTALL: gettext_lazy("Install…"),
    Verb.ENABLE: gettext_lazy("Enable…"),
    Verb.DISABLE: gettext_lazy("Disable…"),
    Verb.PRUNE: gettext_lazy("Prune…"),
    Verb.UNINSTALL: gettext_lazy("Uninstall…"),
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One statement of a repair, and what it does to others."""

    sql: str
    lock: str
    waits: str
    reason: str
    hazards: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """What one verb would do to the trigger. ``problem`` says why that is not known."""

    verb: str
    moves: tuple[Move, ...] = ()
    hazards: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    problem: str = ""


def repairs(trigger: InspectedTrigger, scope: Scope) -> list[Repair]:
    """Return what would put a trigger right, in the order to do it; nothing where nothing is wrong."""
    return [_planned(verb, trigger, scope) for verb in _verbs(trigger)]


def actions(trigger: InspectedTrigger) -> list[Verb]:
    """Return what can be done to a trigger at all, whoever asks."""
    live, registered = trigger.installed, trigger.registered
    if registered is None:
        return [Verb.PRUNE] if trigger.status is Status.PRUNE else []
    if trigger.status is Status.UNALLOWED:
        return [Verb.UNINSTALL] if live is not None else []
    if live is None and trigger.status is Status.UNKNOWN:
        return []  # nobody knows what is there
    found = [Verb.INSTALL] if registered.definition is not None else []
    if live is not None:
        off = trigger.expected_mode is Enabled.DISABLED
        wanted = Enabled.ENABLED if off else trigger.expected_mode
        found += [Verb.ENABLE] if trigger.enabled is not wanted else []
        found += [Verb.DISABLE] if trigger.enabled is not Enabled.DISABLED else []
        found += [Verb.UNINSTALL]
    return found


def findings(
    trigger: InspectedTrigger, database: InspectedDatabase | None, lease: Lease | None
) -> list[Finding]:
    """Return what is wrong with a trigger, worst first, as a check reports it."""
    live = trigger.installed
    shared = shared_functions(database) if database is not None else frozenset()
    found = about_trigger(trigger, lease, shared=live is not None and live.function_oid in shared)
    return sorted(found, key=lambda finding: -finding.level)


def lease_of(trigger: InspectedTrigger) -> Lease | None:
    """Return the open lease that a trigger is disabled on; None too where leases are unreadable."""
    if trigger.installed is None:
        return None
    place = (trigger.schema or "", trigger.table, trigger.trigger)
    try:
        home = own_tables.home(trigger.database)
        leases = read_leases(trigger.database, home) if home is not None else ()
    except DatabaseUnreadable:
        return None
    return next((one for one in leases if one.place == place), None)


def _verbs(trigger: InspectedTrigger) -> list[Verb]:
    possible = actions(trigger)
    wanted = []
    if trigger.registered is None or trigger.status is Status.UNALLOWED:
        wanted = [Verb.PRUNE, Verb.UNINSTALL]
    elif trigger.differs(ignoring=(Facet.ENABLED,)):
        wanted = [Verb.INSTALL]
    if Facet.ENABLED in trigger.facets:
        declared_off = trigger.expected_mode is Enabled.DISABLED
        wanted.append(Verb.DISABLE if declared_off else Verb.ENABLE)
    return [verb for verb in wanted if verb in possible]


def _planned(verb: Verb, trigger: InspectedTrigger, scope: Scope) -> Repair:
    known = trigger.registered is not None
    request = Request(
        verb=verb,
        databases=(trigger.database,),
        selectors=(trigger.uri,) if known else (),
        named=() if known else (trigger.uri,),
        scope=scope,
        lock_timeout=conf.apply_lock_timeout(),
    )
    try:
        plan = api.plan(request)
    except TriggerOpsError as error:
        return Repair(verb=verb.value, problem=printable(error.told()))
    return _told(plan, [step for step in plan.steps if _is_about(step, trigger)])


def _is_about(step: Step, trigger: InspectedTrigger) -> bool:
    """Tell whether a step is this trigger's, or its shared function's, in this place."""
    if step.table is None:
        return True
    return step.trigger == trigger.trigger and trigger.schema in (None, step.schema)


def _told(plan: Plan, steps: list[Step]) -> Repair:
    skipped = [step.reason for step in steps if not step.is_work and step.reason]
    return Repair(
        verb=plan.request.verb.value,
        moves=tuple(
            Move(
                sql=one.sql,
                lock=one.lock.value,
                waits=str(LOCKS[one.lock]),
                reason=english(printable(one.reason)),
                hazards=tuple(hazard.value for hazard in one.hazards),
            )
            for step in steps
            for one in step.statements
        ),
        hazards=tuple(
            (hazard.value, english(printable(told))) for hazard, told in plan.hazards.items()
        ),
        remarks=tuple(
            english(printable(one)) for one in (*plan.obstacles, *plan.warnings, *skipped)
        ),
    )
