"""What a verb prints when it is done: a line a trigger, a summary, and what to do next."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from trigger_ops.applier import RunReport, StepResult
from trigger_ops.rendering.colour import GREEN, RED, RESULT_COLOURS, YELLOW, painted
from trigger_ops.rendering.wording import aligned, place, printable
from trigger_ops.sql.functions import PREFIX
from trigger_ops.states import Result, Verb

#: Results that are a line at a verbosity; the summary counts all of them.
SHOWN = {
    0: frozenset({Result.FAILED}),
    1: frozenset(Result) - {Result.UNCHANGED},
    2: frozenset(Result),
}


def as_text(report: RunReport, *, verbosity: int = 1, colour: bool = False) -> str:
    """Return what became of each trigger, a summary line, and the next step if one is needed.

    At verbosity 0 nothing is said of a run without trouble.
    """
    calm = not report.failed and not report.stopped
    if calm and verbosity <= 0:
        return ""
    lines = _results(report, verbosity, colour=colour)
    lines += [
        f"{painted('warning', YELLOW if colour else None)}: {printable(warning)}"
        for warning in report.warnings
    ]
    if report.stopped:
        stopped = painted("stopped", RED if colour else None)
        lines.append(f"{stopped}: {printable(report.stopped)}")
    lines.append(painted(summary(report), GREEN if colour and calm else None))
    return "\n".join(lines if calm else [*lines, next_step(report)])


def summary(report: RunReport) -> str:
    """Return one sentence that sums a run up: ``install: 3 created, 21 unchanged.``"""
    numbers = Counter(one.result for one in report.results)
    told = ", ".join(f"{numbers[word]:,} {word.value}" for word in Result if numbers[word])
    return f"{report.verb.value}: {told or 'nothing done'}."


def next_step(report: RunReport) -> str:
    """Return what to do after a run that was stopped or failed in part."""
    if report.changed:
        return "Run the same command again for the rest: what is done is not done twice."
    if report.busy:
        return "Nothing was changed: it is safe to run the same command again."
    return "Nothing was changed: mend what is said above, then run the same command again."


def _results(report: RunReport, verbosity: int, *, colour: bool) -> list[str]:
    wanted = SHOWN[min(max(verbosity, 0), 2)]
    shown = [one for one in report.results if one.result in wanted]
    if not shown:
        return []
    if report.verb in (Verb.GUARD_INSTALL, Verb.GUARD_REMOVE):
        rows = aligned(list(_by_table(shown)))
        return [_painted(row, Result(row.split()[0])) for row in rows] if colour else rows
    several = len({(one.step.database, one.step.schema) for one in report.results}) > 1
    lines = aligned([_row(one, placed=several) for one in shown])
    if not colour:
        return lines
    return [_painted(line, one.result) for line, one in zip(lines, shown, strict=True)]


def _by_table(results: Sequence[StepResult]) -> Iterator[Sequence[str]]:
    """Yield a row for each table, database and result: what the guard has on it goes together."""
    for key, group in itertools.groupby(
        results,
        key=lambda one: (one.result, one.step.database, one.step.schema, one.step.table),
    ):
        steps = list(group)
        names = ", ".join(one.step.trigger.removeprefix(PREFIX) for one in steps)
        if key[0] is not Result.CREATED:
            reasons = dict.fromkeys(one.reason or one.step.reason for one in steps)
            names += f": {', '.join(reasons)}"
        yield [key[0].value, printable(place(*key[1:])), printable(names)]


def _row(one: StepResult, *, placed: bool) -> Sequence[str]:
    step = one.step
    where = [printable(place(step.database, step.schema, step.table))] if placed else []
    return [one.result.value, printable(step.uri), *where, printable(one.reason or step.reason)]


def _painted(line: str, result: Result) -> str:
    word = result.value
    return painted(word, RESULT_COLOURS[result]) + line.removeprefix(word)
