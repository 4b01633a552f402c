"""What ``plan`` and ``--dry-run`` print: a plan for people, and the same as a script for psql."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from trigger_ops.drift.triggers import quoted
from trigger_ops.durations import milliseconds, spelled
from trigger_ops.planner import Plan, Statement, Step
from trigger_ops.rendering.colour import RED, RESULT_COLOURS, YELLOW, painted
from trigger_ops.rendering.wording import counted, place, printable
from trigger_ops.states import Lock, Result

#: Characters of a statement in a plan for people; the script and the JSON have all of it.
STATEMENT_WIDTH = 96

WAITS = {
    Lock.NONE: "nothing waits",
    Lock.SHARE_ROW_EXCLUSIVE: "writes wait, reads pass",
    Lock.ACCESS_EXCLUSIVE: "reads and writes wait",
}
OUTCOMES = {
    Result.CREATED: "will be created",
    Result.REPLACED: "will be replaced",
    Result.DROPPED: "will be dropped",
    Result.SWITCHED: "will be switched",
    Result.UNCHANGED: "stays as it is",
    Result.SKIPPED: "is skipped",
    Result.FAILED: "cannot be done",
}
_LEFT_OUT = (Result.SKIPPED, Result.FAILED)


def as_text(plan: Plan, *, colour: bool = False) -> str:
    """Return a block a table, what is left out, what has to be known, and a summary line."""
    lines = [line for group in _tables(plan.work) for line in _block(plan, group, colour=colour)]
    left_out = [one for one in plan.steps if not one.is_work and one.result in _LEFT_OUT]
    lines += [_headed(one, colour=colour) for one in left_out]
    lines += _remarks(plan, colour=colour)
    return "\n".join([*lines, summary(plan)])


def as_sql(plan: Plan) -> str:
    """Return exactly the SQL that would run, a transaction a table; "" where there is none.

    The statements are as they will be sent, whatever characters they hold.
    """
    if not plan.statements:
        return ""
    timeout = f"{milliseconds(plan.request.lock_timeout)}ms"
    remarks = [_comment(line) for line in _remarks(plan, colour=False)]
    lines = [_comment(f"{plan.request.verb.value}: {summary(plan)}"), *remarks]
    names = {one.alias: one.database for one in plan.servers}
    for database, steps in itertools.groupby(_stating(plan), key=lambda step: step.database):
        name = names.get(database, "")
        lines += ["", _comment(f"database {database}" + (f": {name}" if name else ""))]
        for group in _transactions(steps):
            lines += _transaction(group, timeout)
    return "\n".join(lines) + "\n"


def summary(plan: Plan) -> str:
    """Return one sentence that sums a plan up."""
    if not plan.work:
        return _nothing(plan)
    parts = [_counted_work(plan), f"strongest lock {strongest(plan.work).value}"]
    opened = sum(step.opens_lease is not None for step in plan.work)
    ended = sum(step.ends_lease for step in plan.work)
    parts += [f"{counted(opened, 'lease')} opened"] if opened else []
    parts += [f"{counted(ended, 'lease')} ended"] if ended else []
    return "; ".join(parts) + "."


def strongest(steps: Iterable[Step]) -> Lock:
    """Return the strongest lock that any statement of these steps takes."""
    order = list(Lock)
    locks = [one.lock for step in steps for one in step.statements]
    return max(locks, key=order.index, default=Lock.NONE)


def one_line(sql: str) -> str:
    """Return a statement on one line, cut if it is long, with nothing invisible in it."""
    line = printable(" ".join(sql.split()))
    return line if len(line) <= STATEMENT_WIDTH else f"{line[: STATEMENT_WIDTH - 1]}…"


def _tables(steps: Iterable[Step]) -> Iterator[list[Step]]:
    for _, group in itertools.groupby(
        steps, key=lambda step: (step.database, step.schema, step.table)
    ):
        yield list(group)


def _transactions(steps: Iterable[Step]) -> Iterator[list[Step]]:
    # Apart where the path differs: SET LOCAL cannot go back to the session's own.
    for _, group in itertools.groupby(
        steps, key=lambda step: (step.database, step.schema, step.table, step.path)
    ):
        yield list(group)


def _stating(plan: Plan) -> Iterator[Step]:
    return (step for step in plan.work if step.statements)


def _block(plan: Plan, group: Sequence[Step], *, colour: bool) -> Iterator[str]:
    lock = strongest(group)
    yield f"{printable(_place(group[0]))}: {lock.value}: {WAITS[lock]}"
    for step in group:
        yield f"  {_headed(step, colour=colour, placed=False)}"
        for one in step.statements:
            yield f"    {one_line(one.sql)}" + (
                f"  -- {printable(one.reason)}" if one.reason else ""
            )
        for hazard in sorted(step.hazards):
            yield f"    {painted(f'hazard {hazard.value}', YELLOW if colour else None)}"
        yield from (f"    {line}" for line in _lease(plan, step))


def _headed(step: Step, *, colour: bool, placed: bool = True) -> str:
    outcome = painted(OUTCOMES[step.result], RESULT_COLOURS[step.result] if colour else None)
    where = f" ({_place(step)})" if placed else ""
    reason = f": {printable(step.reason)}" if step.reason else ""
    return f"{printable(step.uri + where)} {outcome}{reason}"


def _place(step: Step) -> str:
    return place(step.database, step.schema, step.table)


def _lease(plan: Plan, step: Step) -> Iterator[str]:
    if step.ends_lease:
        yield "its lease ends"
    if step.opens_lease is not None:
        lasts = plan.request.lasts
        length = f" of {spelled(lasts)}" if lasts is not None else ""
        yield f"a lease{length} opens: then it goes back to {step.opens_lease.value}"


def _remarks(plan: Plan, *, colour: bool) -> list[str]:
    red, yellow = (RED, YELLOW) if colour else (None, None)
    lines = [
        f"{painted('cannot be carried out', red)}: {printable(obstacle)}"
        for obstacle in plan.obstacles
    ]
    lines += [f"{painted('warning', yellow)}: {printable(warning)}" for warning in plan.warnings]
    return lines + [
        f"{painted(f'hazard {hazard.value}', yellow)}: {printable(sentence)} "
        f"--allow {hazard.value} lets it through."
        for hazard, sentence in plan.hazards.items()
    ]


def _counted_work(plan: Plan) -> str:
    stating = list(_stating(plan))
    if not stating:
        return "No statement"
    triggers = sum(step.table is not None for step in stating)
    tables = {(step.database, step.schema, step.table) for step in stating if step.table}
    functions = len(stating) - triggers
    for_what = [counted(triggers, "trigger")] if triggers else []
    for_what += [counted(functions, "function")] if functions else []
    on = f" on {counted(len(tables), 'table')}" if tables else ""
    return f"{counted(len(plan.statements), 'statement')} for {' and '.join(for_what)}{on}"


def _nothing(plan: Plan) -> str:
    if plan.obstacles:
        return "Nothing can be done."
    fine = sum(step.result not in _LEFT_OUT for step in plan.steps)
    left_out = len(plan.steps) - fine
    if not plan.steps:
        return "Nothing to do: there is no such trigger."
    if not left_out:
        if fine == 1:
            return "Nothing to do: the trigger is as it should be."
        return f"Nothing to do: all {counted(fine, 'trigger')} are as they should be."
    are = "is" if left_out == 1 else "are"
    return f"Nothing to do: {counted(left_out, 'trigger')} of {len(plan.steps):,} {are} left out."


def _transaction(group: Sequence[Step], timeout: str) -> Iterator[str]:
    yield _comment(_place(group[0]))
    yield "BEGIN;"
    yield f"SET LOCAL lock_timeout = '{timeout}';"
    if group[0].path is not None:
        path = ", ".join(map(quoted, group[0].path)) or "''"
        yield f"SET LOCAL search_path = {path};"
    for step in group:
        for one in step.statements:
            yield _comment(_titled(step, one))
            yield _ended(one.sql)
    yield "COMMIT;"


def _titled(step: Step, one: Statement) -> str:
    hazards = "".join(f" [{hazard.value}]" for hazard in one.hazards)
    return f"{step.uri}, lock {one.lock.value}{hazards}" + (
        f": {one.reason}" if one.reason else ""
    )


def _comment(line: str) -> str:
    # What is printable holds no line break, so nothing gets out of the comment.
    return f"-- {printable(line)}"


def _ended(sql: str) -> str:
    statement = sql.rstrip()
    if "--" in statement.rpartition("\n")[2]:  # a semicolon might stand in a comment
        return f"{statement}\n;"
    return statement if statement.endswith(";") else f"{statement};"
