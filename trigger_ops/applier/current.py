"""Steps as they are right now: as planned, or planned anew where something has changed since."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from trigger_ops.applier import Terms
from trigger_ops.applier.workplaces import Workplace
from trigger_ops.catalog.versions import read_function_marks, read_marks
from trigger_ops.exceptions import StalePlan
from trigger_ops.planner import Step
from trigger_ops.states import Result


def current_steps(place: Workplace, cursor: Any, steps: Sequence[Step]) -> list[Step]:
    """Return the steps of one table, or of functions, with what there is to do about each now.

    Raises:
        StalePlan: under strict terms, when something else would be done than was planned.
    """
    first = steps[0]
    if first.table_oid is None:
        if all(_has_function_as_planned(cursor, step) for step in steps):
            return list(steps)
        fresh = place.planning.functions(place.alias)
    else:
        names = frozenset(step.trigger for step in steps)
        where, marks = read_marks(cursor, first.table_oid, names)
        same = where == (first.schema, first.table)
        if same and all(step.marks == marks.get(step.trigger, ()) for step in steps):
            return list(steps)
        fresh = place.planning.table(place.alias, first.table_oid, names)
    by_name = {(step.schema, step.trigger): step for step in fresh}
    return [
        _reconciled(step, by_name.get((step.schema, step.trigger)), place.terms) for step in steps
    ]


def _has_function_as_planned(cursor: Any, step: Step) -> bool:
    present = read_function_marks(cursor, step.schema or "", step.trigger, step.arguments)
    return step.marks == present


def _reconciled(step: Step, now: Step | None, terms: Terms) -> Step:
    """Match a step with a fresh one: what is done is done, and what is new is judged."""
    if now is None:
        return _without_work(step, *_outdone(step))
    if now.is_work and terms.strict and now.statements != step.statements:
        raise StalePlan(
            f"{step.uri} has changed since the plan was made: make a new plan and look at it."
        )
    unforeseen = now.hazards - step.hazards - terms.allowed
    if unforeseen:
        words = ",".join(sorted(unforeseen))
        why = f"it has changed since it was planned; to go on, add --allow {words}"
        return _without_work(now, Result.FAILED, why)
    return now


def _outdone(step: Step) -> tuple[Result, str]:
    """Say what it means that a fresh plan no longer has a step."""
    if step.result is Result.DROPPED:
        return Result.UNCHANGED, "it is gone already"
    if step.table is None:
        return Result.UNCHANGED, "it is as it should be already"
    return (
        Result.FAILED,
        "its table was dropped or renamed since it was planned: run this again",
    )


def _without_work(step: Step, result: Result, reason: str) -> Step:
    return dataclasses.replace(
        step, result=result, reason=reason, statements=(), opens_lease=None, ends_lease=False
    )
