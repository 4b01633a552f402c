"""What ``check --max-age`` prints: how old the last complete checks are, and what is open."""

from __future__ import annotations

import datetime as dt

from trigger_ops.drift.freshness import LastRun
from trigger_ops.drift.vouching import Reading
from trigger_ops.drift.vouching import spelled as spelled_scope
from trigger_ops.durations import spelled
from trigger_ops.rendering import documents
from trigger_ops.rendering.colour import GREEN, LEVEL_COLOURS, MAGENTA, painted
from trigger_ops.rendering.reports import answered, page_of, subject
from trigger_ops.rendering.wording import counted, printable

FORMATS = ("text", "json")
_NAMED_AT_MOST = 3


def as_json(last: LastRun) -> str:
    """Return the keys of ``check --format json``, of the run that was recorded."""
    run, ended = last.run, last.oldest.ended if last.oldest is not None else None
    document = {
        "schema": documents.CHECK_SCHEMA,
        "run_id": str(run.id) if run is not None else None,
        "started": run.began.isoformat() if run is not None else None,
        "finished": ended.isoformat() if ended is not None else None,
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
                "finished": target.finished.isoformat() if target.finished else None,
            }
            for target in last.targets
        ],
        "findings": [documents.found(finding) for finding in last.findings],
        "age_seconds": None if last.age is None else round(last.age.total_seconds(), 3),
        "max_age_seconds": last.max_age.total_seconds(),
        "reason": None if last.complete else summary_line(last),
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
            lines += answered(finding)
    tint = MAGENTA if not last.complete else None if last.failing else GREEN
    lines.append(painted(summary_line(last), tint if colour else None))
    return "\n".join(lines)


def summary_line(last: LastRun) -> str:
    """Return one sentence about the oldest of the last complete runs, and its age."""
    oldest = last.oldest
    if oldest is None or last.age is None:
        return f"{_never(last)}{_clock(last)}"
    name = _name(last, oldest)
    when = f"{oldest.ended:%Y-%m-%d %H:%M:%SZ}, {_rough(last.age)} ago"
    if not last.complete:
        words = " ".join(["manage.py pgtrigger check --record", spelled_scope(oldest.scope)])
        return printable(
            f"{name} ended {when}, which is more than {spelled(last.max_age)}: see to it that "
            f"{words.strip()} runs and can read every database.{_clock(last)}"
        )
    what = f"{counted(len(last.failing), 'finding')} open" if last.failing else "nothing open"
    return printable(f"{name} ended {when}: {what} at {last.fail_level.name} or above.")


def _name(last: LastRun, oldest: Reading) -> str:
    """Name a run, by its database where others are of another run, and by its schemas."""
    words = ["The last complete run"]
    if len({one.run.id for one in last.readings if one.run is not None}) > 1:
        words.append(f'of "{oldest.database}"')
    if oldest.scope:
        words.append(f"with {spelled_scope(oldest.scope)}")
    return " ".join(words)


def _never(last: LastRun) -> str:
    some = [f'"{alias}"' for alias in last.missing[:_NAMED_AT_MOST]]
    more = len(last.missing) - len(some)
    named = f" of {', '.join(some)}{f' and {more} more' if more else ''}" if last.readings else ""
    return printable(
        f"No complete run{named} was ever recorded: schedule manage.py pgtrigger check --record, "
        "and see why runs are incomplete."
    )


def _clock(last: LastRun) -> str:
    """Say that a time is on record that is yet to come."""
    if last.to_come is None:
        return ""
    return (
        f" A run is on record that ends in {_rough(last.to_come - last.now)}, at "
        f"{last.to_come:%Y-%m-%d %H:%M:%SZ}: the clock of the recording database was set back, "
        "and what is yet to come is no evidence."
    )


def _rough(age: dt.timedelta) -> str:
    """Return an age in its two largest units."""
    seconds = int(age.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return (
        " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number) or "0s"
    )
