"""The step of one piece of the guard: a function, rows, a witness."""

from __future__ import annotations

from collections.abc import Iterable

from trigger_ops.catalog.guard import WatchedTable
from trigger_ops.planner import Marks, Statement, Step
from trigger_ops.planner.situation import Situation
from trigger_ops.states import Result


def guard_step(
    situation: Situation,
    *,
    schema: str,
    name: str,
    result: Result,
    statements: Iterable[Statement],
    reason: str,
    marks: Marks = (),
    table: WatchedTable | None = None,
    after: dict[str, str] | None = None,
    turn: int = 1,
    arguments: int = 0,
) -> Step:
    """Make the step of what belongs to no registered trigger; see :class:`Step` for the rest."""
    place = f"{schema}.{table.name}:{name}" if table else f"{schema}.{name}"
    return Step(
        uri=place,
        database=situation.database.alias,
        schema=schema,
        table=table.name if table else None,
        table_oid=table.oid if table else None,
        trigger=name,
        result=result,
        statements=tuple(statements),
        reason=reason,
        marks=marks,
        before={"guard": reason} if reason else {},
        after=after or {},
        turn=turn,
        arguments=arguments,
    )
