"""``enable`` and ``disable``: the four modes, and disables that end."""

from __future__ import annotations

from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.leases import Lease
from trigger_ops.planner import Statement, Step
from trigger_ops.planner.situation import Situation, modes_back
from trigger_ops.planner.spelling import switch
from trigger_ops.states import Enabled, Hazard, Lock, Result

FIRING = (Enabled.ENABLED, Enabled.ALWAYS, Enabled.REPLICA)
"""Modes that a trigger can be enabled into."""


def enable(trigger: InspectedTrigger, situation: Situation) -> Step:
    """Plan the mode asked for, or else the declared one; an open lease ends with it."""
    live, request = trigger.installed, situation.request
    lease = _lease_of(trigger, situation)
    if request.expired and (lease is None or lease.live):
        return situation.step(trigger, Result.UNCHANGED, reason="it has no overdue lease")
    if live is None or live.relkind == "v":
        return _impossible(trigger, situation)
    declared = trigger.expected_mode if trigger.expected_mode in FIRING else Enabled.ENABLED
    target = request.mode or (lease.restore if request.expired and lease else declared)
    foreign = lease is not None and lease.live and lease.holder != request.actor
    hazards = (Hazard.REENABLES_DISABLED,) if foreign else ()
    if live.mode is target:
        if lease is None:
            return situation.step(trigger, Result.UNCHANGED)
        reason = "it is enabled already: its lease ends"
        return situation.step(trigger, Result.SWITCHED, reason=reason, ends_lease=True)
    reason = f"it is {trigger.enabled.value}" + (_leased(lease) if lease else "")
    statement = _switched(live, target, reason, situation, hazards)
    return situation.step(
        trigger,
        Result.SWITCHED,
        statement,
        reason=f"{trigger.enabled.value} to {target.value}",
        after={"enabled": target.value},
        ends_lease=lease is not None,
    )


def disable(trigger: InspectedTrigger, situation: Situation) -> Step:
    """Plan the mode DISABLED, with a lease on it if one was asked for."""
    live = trigger.installed
    if live is None or live.relkind == "v":
        return _impossible(trigger, situation)
    back = None
    if situation.request.lasts is not None:
        lease = _lease_of(trigger, situation)
        before = lease.restore if lease else live.mode
        declared = trigger.expected_mode if trigger.expected_mode in FIRING else Enabled.ENABLED
        back = before if before in FIRING else declared
    if live.mode is Enabled.DISABLED:
        if back is None:
            return situation.step(trigger, Result.UNCHANGED)
        reason = "it is disabled already, and now on a lease"
        return situation.step(trigger, Result.SWITCHED, reason=reason, opens_lease=back)
    statement = _switched(live, Enabled.DISABLED, f"it is {live.mode.value}", situation, ())
    return situation.step(
        trigger,
        Result.SWITCHED,
        statement,
        reason=f"{live.mode.value} to DISABLED",
        after={"enabled": "DISABLED"},
        opens_lease=back,
    )


def _impossible(trigger: InspectedTrigger, situation: Situation) -> Step:
    if trigger.installed is not None:
        why = "it is on a view, whose triggers cannot be switched: uninstall it instead"
    else:
        why = trigger.reason or "it is not installed"
    return situation.refused(trigger, why)


def _lease_of(trigger: InspectedTrigger, situation: Situation) -> Lease | None:
    return situation.leases.get((trigger.schema or "", trigger.table, trigger.trigger))


def _leased(lease: Lease) -> str:
    return f", leased by {lease.holder} until {lease.expires:%Y-%m-%d %H:%M:%SZ}"


def _switched(
    live: CatalogTrigger,
    mode: Enabled,
    reason: str,
    situation: Situation,
    hazards: tuple[Hazard, ...],
) -> Statement:
    on = (live.name, live.schema, live.table)
    undo = modes_back(live) if mode is Enabled.ENABLED else []
    if not undo:
        undo = [switch(*on, Enabled.ENABLED), *modes_back(live)]
    return situation.state(
        switch(*on, mode), Lock.SHARE_ROW_EXCLUSIVE, reason, *undo, hazards=hazards
    )
