"""The three-way verdict: database, code, and the state at the last applied migration."""

from __future__ import annotations

import dataclasses

from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.inspection.comparison import structural_facets
from trigger_ops.inspection.conditions import CanonicalConditions, live_condition
from trigger_ops.registry.definition import Definition
from trigger_ops.registry.history import History
from trigger_ops.states import Facet, Status, Verdict

Comparison = tuple[frozenset[Facet], bool]
"""The facets that differ, and whether the condition could be verified."""

SAME: Comparison = (frozenset(), True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Status and verdict of one trigger; ``facets`` differ from the code, ``reason`` says why."""

    status: Status
    verdict: Verdict
    facets: frozenset[Facet] = frozenset()
    reason: str = ""


def differing_facets(
    definition: Definition, live: CatalogTrigger, conditions: CanonicalConditions
) -> Comparison:
    """Return the facets that differ, and whether the condition could be verified."""
    facets = structural_facets(definition, live)
    actual = live_condition(live)
    if bool(definition.condition) != live.has_condition:
        return facets | {Facet.CONDITION}, True
    if not definition.condition:
        return facets, True
    expected = conditions.of(definition, live)
    if actual is None or expected is None:
        return facets, False
    return (facets if actual == expected else facets | {Facet.CONDITION}), True


def candidates(
    definition: Definition, live: CatalogTrigger, leg: History | None
) -> list[Definition]:
    """Return what migrations say the trigger is or was and that only a condition can rule out."""
    if leg is None:
        return []
    applied = leg.applied.get(definition.pgid)
    forms = [*([applied] if applied else []), *leg.ever.get(definition.pgid, ())]
    return [
        form
        for form in forms
        if not structural_facets(form, live) and bool(form.condition) == live.has_condition
    ]


def judge(
    definition: Definition,
    live: CatalogTrigger,
    conditions: CanonicalConditions,
    leg: History | None,
    compared: Comparison,
) -> Judgement:
    """Judge a trigger that is in the code and in the database.

    ``leg`` is what migrations say; None where they can say nothing about this app. ``compared``
    is what :func:`differing_facets` gave for it.
    """
    facets, verified = compared
    if facets:
        return _judge_difference(definition, live, conditions, leg, facets)
    if not verified:
        reason = (
            "its table is locked by somebody else's change"
            if live_condition(live) is None
            else conditions.failure(definition, live)
        )
        return Judgement(
            status=Status.UNKNOWN,
            verdict=Verdict.UNVERIFIED,
            facets=frozenset({Facet.CONDITION}),
            reason=f"the condition could not be verified: {reason}",
        )
    facets = frozenset() if live.comment == definition.hash else frozenset({Facet.COMMENT})
    ahead = leg is not None and _differs_from_applied(definition, live, conditions, leg)
    return Judgement(
        status=Status.INSTALLED, verdict=Verdict.AHEAD if ahead else Verdict.SAME, facets=facets
    )


def _judge_difference(
    definition: Definition,
    live: CatalogTrigger,
    conditions: CanonicalConditions,
    leg: History | None,
    facets: frozenset[Facet],
) -> Judgement:
    if leg is None or definition.pgid not in leg.ever:
        if live.comment == definition.hash:
            return Judgement(status=Status.TAMPERED, verdict=Verdict.TAMPERED, facets=facets)
        return Judgement(status=Status.OUTDATED, verdict=Verdict.OUTDATED, facets=facets)
    answers = {
        id(form): _matches(form, live, conditions) for form in candidates(definition, live, leg)
    }
    applied = leg.applied.get(definition.pgid)
    if applied is not None and answers.get(id(applied)):
        return Judgement(status=Status.OUTDATED, verdict=Verdict.PENDING, facets=facets)
    if True in answers.values():
        return Judgement(status=Status.OUTDATED, verdict=Verdict.OUTDATED, facets=facets)
    if None in answers.values():
        return Judgement(
            status=Status.UNKNOWN,
            verdict=Verdict.UNVERIFIED,
            facets=facets,
            reason="it may be the form of an older migration, whose condition could not be verified",
        )
    return Judgement(status=Status.TAMPERED, verdict=Verdict.TAMPERED, facets=facets)


def _matches(
    form: Definition, live: CatalogTrigger, conditions: CanonicalConditions
) -> bool | None:
    facets, verified = differing_facets(form, live, conditions)
    if not verified and conditions.failure(form, live) and live_condition(live) is not None:
        # A condition of the past that no longer fits the table's columns is not what is live.
        return None if conditions.failed_for_all else False
    return None if not verified else not facets


def _differs_from_applied(
    definition: Definition, live: CatalogTrigger, conditions: CanonicalConditions, leg: History
) -> bool:
    applied = leg.applied.get(definition.pgid)
    if applied is None:
        return True
    return applied.hash != definition.hash and _matches(applied, live, conditions) is False
