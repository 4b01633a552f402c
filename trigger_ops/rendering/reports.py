"""What ``check`` prints for people: a block a finding, worst first, and one calm line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from trigger_ops import conf
from trigger_ops.drift import Finding, Report, Target
from trigger_ops.drift.ids import KINDS
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.records import AllowanceRecord
from trigger_ops.rendering.colour import (
    GREEN,
    LEVEL_COLOURS,
    MAGENTA,
    Cell,
    drawn_table,
    painted,
)
from trigger_ops.rendering.wording import counted, place, printable
from trigger_ops.states import Level, Status

#: INFO findings of one ID that each get a block of their own.
_TOLD_APART = 3
_NOT_COUNTED = (Status.FOREIGN, Status.UNALLOWED)


def as_text(report: Report, *, colour: bool, every: bool = False) -> str:
    """Return one block a finding, what could not be read, and a summary line.

    Advice comes last and in brief: INFO findings of one ID that are many share one block, unless
    ``every`` asks for each or they are what the check fails for.
    """
    lines: list[str] = []
    for group in _groups(
        worst_first(report.findings), apart=every or report.fail_level is Level.INFO
    ):
        lines += (
            _brief(group, colour=colour) if len(group) > 1 else _block(group[0], colour=colour)
        )
    unknown = painted("UNKNOWN", MAGENTA if colour else None)
    lines.extend(f"{unknown} {sentence}" for sentence in unread(report))
    calm = report.exit_code == 0
    lines.append(painted(summary_line(report), GREEN if colour and calm else None))
    return "\n".join(lines)


def _groups(findings: Sequence[Finding], *, apart: bool) -> list[list[Finding]]:
    many = Counter(finding.id for finding in findings if finding.level is Level.INFO)
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        together = not apart and many[finding.id] > _TOLD_APART
        groups.setdefault(finding.id if together else number, []).append(finding)
    return list(groups.values())


def _block(finding: Finding, *, colour: bool) -> list[str]:
    level = painted(finding.level.name, LEVEL_COLOURS[finding.level] if colour else None)
    head = f"{level} {finding.id} {subject(finding)}: {printable(finding.message)}"
    lines = [head, f"  fix: {printable(finding.fix)}"] if finding.fix else [head]
    lines.append(f"  see: {page_of(finding)}")
    return [*lines, *answered(finding)]


def answered(finding: Finding) -> Iterator[str]:
    """Yield a line that says who answers for a finding, or who did when there was less of it."""
    if finding.allowance is not None:
        yield allowed(finding.allowance)
    elif finding.outgrown is not None:
        one = finding.outgrown
        places = counted(one.count, "place")
        yield printable(
            f"  allowed no more: {one.owner} answered for {places}, and it is in twice as many or more"
        )


def page_of(finding: Finding) -> str:
    """Return where the page about a finding is."""
    return printable(conf.runbook(finding.id))


def allowed(allowance: AllowanceRecord) -> str:
    """Return a line that says who answers for a finding."""
    until = f"{allowance.expires:%Y-%m-%d %H:%M:%SZ}"
    return printable(f"  allowed until {until} by {allowance.owner}: {allowance.reason}")


def _brief(group: Sequence[Finding], *, colour: bool) -> list[str]:
    first = group[0]
    level = painted(first.level.name, LEVEL_COLOURS[first.level] if colour else None)
    named = ", ".join(one.uri or one.database for one in group[:_TOLD_APART])
    title = KINDS[_short(first.id)].title
    return [
        f"{level} {first.id} {title}: {printable(named)} and {len(group) - _TOLD_APART} more",
        "  each with its fix: manage.py pgtrigger check -v 2",
        f"  see: {page_of(first)}",
    ]


def as_table(report: Report, *, colour: bool) -> str:
    """Return a box table of the findings, where their pages are, and what :func:`as_text` ends with."""
    pages = dict.fromkeys(page_of(finding) for finding in worst_first(report.findings))
    lines = [*(f"see: {page}" for page in pages), *unread(report), summary_line(report)]
    if report.findings:
        headings = ("LEVEL", "ID", "SUBJECT", "MESSAGE", "FIX")
        rows = [_row(finding) for finding in worst_first(report.findings)]
        lines.insert(0, drawn_table(headings, rows, colour=colour).rstrip("\n"))
    return "\n".join(lines)


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings by level, the worst first, otherwise in the order they came."""
    return sorted(findings, key=lambda finding: -finding.level)


def subject(finding: Finding) -> str:
    """Return what a finding is about and where: ``shop.Order:no_del (default public.order)``."""
    where = place(finding.database, finding.schema, finding.table)
    others = finding.count - 1
    more = f" and {counted(others, 'more place')}" if others > 0 else ""
    uri = f"{finding.uri} " if finding.uri else ""
    return printable(f"{uri}({where}{more})")


def unread(report: Report) -> list[str]:
    """Return a sentence for each database or trigger that could not be read and has no finding."""
    told = {(finding.database, finding.uri) for finding in report.findings}
    return [sentence for database in report.databases for sentence in _unread(database, told)]


def unreachable(targets: Sequence[Target]) -> list[str]:
    """Return a sentence for each database that could not be read, or not in full."""
    return [
        printable(target.reason or f'"{target.database}" could not be read.')
        for target in targets
        if target.status != "ok"
    ]


def summary_line(report: Report) -> str:
    """Return one sentence that sums a report up, whatever it found."""
    read = [database for database in report.databases if database.status == "ok"]
    total = sum(one.status not in _NOT_COUNTED for database in read for one in database.triggers)
    scope = f"{counted(total, 'trigger')} on {counted(len(read), 'database')}"
    if report.complete and not report.findings:
        if not read:
            return "No database here is PostgreSQL: there is nothing to check."
        agree = "is as registered" if total == 1 else "are as registered"
        return f"{'The' if total == 1 else 'All'} {scope} {agree}." if total else f"{scope}."
    return f"{_verdict(report)} among {scope}.{_gap(report)}"


def _verdict(report: Report) -> str:
    level = report.fail_level
    threshold = level.name if level is Level.CRITICAL else f"{level.name} or above"
    failing = len(report.failing)
    levels = Counter((one.level, one.allowance is None) for one in report.findings)
    told = ", ".join(
        f"{number} {level.name}{'' if counts else ' allowed'}"
        for (level, counts), number in sorted(levels.items(), reverse=True)
    )
    lead = (
        f"{counted(failing, 'finding')} at {threshold}" if failing else (f"Nothing at {threshold}")
    )
    return f"{lead} ({told})" if told else lead


def _gap(report: Report) -> str:
    if report.complete:
        return ""
    partly = sum(target.status == "incomplete" for target in report.targets)
    down = sum(target.status != "ok" for target in report.targets) - partly
    unknown = sum(
        one.status is Status.UNKNOWN
        for database in report.databases
        if database.status == "ok"
        for one in database.triggers
    )
    parts = [
        *([f"{counted(down, 'database')} could not be read"] if down else []),
        *([f"{counted(partly, 'database')} could not be read in full"] if partly else []),
        *(["the run could not be recorded"] if report.unrecorded else []),
        *([f"{counted(unknown, 'trigger')} could not be verified"] if unknown else []),
    ]
    return f" Incomplete: {' and '.join(parts)}."


def _unread(
    database: InspectedDatabase, told: Collection[tuple[str, str | None]]
) -> Iterator[str]:
    if database.status != "ok":
        yield printable(database.reason or f'"{database.alias}" could not be read.')
        return
    if database.unread:
        yield printable(database.unread)
    for one in database.triggers:
        if one.status is Status.UNKNOWN and (one.database, one.uri) not in told:
            where = place(one.database, one.schema, one.table)
            yield printable(f"{one.uri} ({where}): {one.reason or 'could not be read'}")


def _row(finding: Finding) -> list[Cell]:
    return [
        (finding.level.name, LEVEL_COLOURS[finding.level]),
        (_short(finding.id), None),
        (subject(finding), None),
        (finding.message, None),
        (finding.fix, None),
    ]


def _short(code: str) -> str:
    return code.removeprefix("trigger_ops.")
