"""What ``check --max-age`` prints: the last complete recorded run, and what is open."""

from __future__ import annotations

import datetime as dt

from trigger_ops.drift.freshness import LastRun
from trigger_ops.durations import spelled
from trigger_ops.rendering import documents
from trigger_ops.rendering.colour import GREEN, LEVEL_COLOURS, MAGENTA, painted
from trigger_ops.rendering.reports import allowed, page_of, subject
from trigger_ops.rendering.wording import counted, printable

FORMATS = ("text", "json")


def as_json(last: LastRun) -> str:
    """Return the keys of ``check --format json``, of the run that was recorded."""
    run = last.run
    targets = run.targets if run is not None else ()
    document = {
        "schema": documents.CHECK_SCHEMA,
        "run_id": str(run.id) if run is not None else None,
        "started": run.began.isoformat() if run is not None else None,
        "finished": run.finished.isoformat() if run is not None and run.finished else None,
        "complete": last.complete,
        "exit_code": int(last.exit_code),
        "summary": last.summary,
        "targets": [
            {
                "database": target.database,
                "schemas": target.schemas,
                "triggers": target.triggers,
                "status": target.state.value,
                "ms": target.ms,
                "reason": target.reason,
            }
            for target in targets
        ],
        "findings": [documents.found(finding) for finding in last.findings],
        "age_seconds": None if last.age is None else round(last.age.total_seconds(), 3),
        "max_age_seconds": last.max_age.total_seconds(),
    }
    return documents.as_json(document)


def as_text(last: LastRun, *, colour: bool) -> str:
    """Return the open findings that fail the check, and a line that sums up."""
    lines = []
    for finding in last.findings if last.complete else ():
        if finding in last.failing or finding.allowance is not None:
            level = painted(finding.level.name, LEVEL_COLOURS[finding.level] if colour else None)
            lines.append(f"{level} {finding.id} {subject(finding)}: {printable(finding.message)}")
            lines += [f"  fix: {printable(finding.fix)}"] if finding.fix else []
            lines.append(f"  see: {page_of(finding)}")
            lines += [allowed(finding.allowance)] if finding.allowance else []
    tint = MAGENTA if not last.complete else None if last.failing else GREEN
    lines.append(painted(summary_line(last), tint if colour else None))
    return "\n".join(lines)


def summary_line(last: LastRun) -> str:
    """Return one sentence about the last run and its age."""
    limit = spelled(last.max_age)
    if last.run is None or last.run.finished is None or last.age is None:
        return (
            "No complete run was ever recorded: schedule manage.py pgtrigger check --record, "
            "and see why runs are incomplete."
        )
    when = f"{last.run.finished:%Y-%m-%d %H:%M:%SZ}, {_rough(last.age)} ago"
    if not last.complete:
        return (
            f"The last complete run ended {when}, which is more than {limit}: see to it that "
            "manage.py pgtrigger check --record runs and can read every database."
        )
    what = f"{counted(len(last.failing), 'finding')} open" if last.failing else "nothing open"
    return f"The last complete run ended {when}: {what} at {last.fail_level.name} or above."


def _rough(age: dt.timedelta) -> str:
    """Return an age in its two largest units."""
    seconds = int(age.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return (
        " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number) or "0s"
    )
