"""Side effects that the verb does not name, and that somebody has to allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trigger_ops.planner import Step
from trigger_ops.planner.situation import Situation
from trigger_ops.states import Hazard, Result, Status

_SENTENCES = {
    Hazard.DROPS_FOREIGN: "{} is not this project's own, and would be dropped.",
    Hazard.REENABLES_DISABLED: "{} is disabled on a lease that has not ended.",
    Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS: (
        "{} executes a function that triggers of another project execute too, and it would be "
        "replaced."
    ),
}


def hazards_of(steps: Iterable[Step]) -> dict[Hazard, str]:
    """Return what the statements of these steps do beside what was asked for, in a sentence each."""
    found: dict[Hazard, list[str]] = {}
    for step in steps:
        for hazard in step.hazards:
            found.setdefault(hazard, []).append(step.uri)
    return {
        hazard: _SENTENCES[hazard].format(_some(uris)) for hazard, uris in sorted(found.items())
    }


def _some(uris: Sequence[str]) -> str:
    rest = f" (and {len(uris) - 1} more)" if len(uris) > 1 else ""
    return f"{uris[0]}{rest}"


def prune_hazards(situation: Situation, steps: Sequence[Step]) -> dict[Hazard, str]:
    """Return what speaks against pruning a database: a registry that may not be the real one."""
    alias = situation.database.alias
    dropped = {
        (step.table_oid, step.trigger)
        for step in steps
        if step.database == alias and step.result is Result.DROPPED and step.table_oid
    }
    doomed = [
        one
        for one in situation.database.triggers
        if one.status is Status.PRUNE
        and one.installed is not None
        and (one.installed.table_oid, one.installed.name) in dropped
    ]
    if not doomed:
        return {}
    if not situation.database.registered:
        return {
            Hazard.EMPTY_REGISTRY: (
                f'The code registers no trigger at all, so that all {len(doomed)} on "{alias}" '
                "would be dropped."
            )
        }
    kept = [
        live
        for live in situation.snapshot.triggers
        if (live.table, live.name) in situation.database.registered
    ]
    if len(doomed) > len(kept):
        return {
            Hazard.PRUNES_MOST: (
                f"{len(doomed)} of the {len(doomed) + len(kept)} triggers of this project on "
                f'"{alias}" would be dropped.'
            )
        }
    return {}
