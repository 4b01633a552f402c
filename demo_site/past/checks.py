"""The recorded checks of the last 30 days, as if somebody had run one each day.

What they found is what checks find here now, from the day on that it is said to have begun. The
ledger writes it with its own rules, on a clock that is set back; the last run is a real one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence

from django.db import transaction

from demo_site.past import damage
from trigger_ops import api
from trigger_ops.drift import Finding, Report
from trigger_ops.drift.life import Seen, by_key, follow
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.ledger.allowances import read_allowances, write_allowance
from trigger_ops.ledger.findings import read_open_findings, write_steps
from trigger_ops.ledger.recording import Book, recording
from trigger_ops.ledger.runs import Wanted, begin, claim, finish_target, hold
from trigger_ops.models import DriftRun
from trigger_ops.records import TargetRecord
from trigger_ops.states import Status, TargetState

DAYS = 29

#: Since how many days ago a trigger is damaged, by the ID of the finding.
BEGAN = {"W002": 22, "I002": 18, "E002": 9, "W001": 6, "C001": 1}

#: How many days ago the damage was seen that somebody repaired since.
REPAIRED = {"E001": (26, 25), "C001": (14,)}

#: Days on which nobody ran a check, and on which one database did not answer.
SILENT = (12, 11)
UNREACHABLE = (20, "archive")

#: How many days ago somebody answered for the administrator's trigger.
ALLOWED = 17

HOLDER = "os:deploy@demo"


def are_recorded() -> bool:
    """Tell whether any check is on record already."""
    return DriftRun.objects.exists()


def record() -> None:
    """Record a check for each of the last days, and run one now. The migrations must have run."""
    now_found, once_found = api.check(), _repaired()
    with recording() as book:
        for ago in range(DAYS, 0, -1):
            if ago in SILENT:
                continue
            then = dataclasses.replace(book, now=book.now - dt.timedelta(days=ago))
            _write(then, ago, now_found, [*_then(now_found, ago), *_once(once_found, ago)])
            if ago == ALLOWED:
                _allow(then)
    api.check(record=True, source="command", holder=HOLDER)


def _repaired() -> Report:
    """Return what a check finds while two more triggers are damaged."""
    with transaction.atomic():
        damage.repaired()
        report = api.check(databases=["default"])
        transaction.set_rollback(True)
    return report


def _then(report: Report, ago: int) -> Iterator[Finding]:
    """Yield those of the findings that were there so many days ago."""
    return (one for one in report.findings if _days(one) >= ago)


def _once(report: Report, ago: int) -> Iterator[Finding]:
    """Yield what was found then and repaired since."""
    for one in report.findings:
        days = REPAIRED.get(one.id.removeprefix("trigger_ops."), ())
        if ago in days and (one.uri or "").startswith(("past.Receipt:", "past.Customer:")):
            yield one


def _days(finding: Finding) -> int:
    return BEGAN.get(finding.id.removeprefix("trigger_ops."), DAYS)


def _write(book: Book, ago: int, report: Report, findings: Sequence[Finding]) -> None:
    """Write one run at the time of a book, as the check of that day would have."""
    aliases = [one.alias for one in report.databases]
    minute = dt.timedelta(minutes=1)
    wanted = Wanted(
        aliases=tuple(aliases),
        source="command",
        holder=HOLDER,
        scope="",
        whole=True,
        asked=book.now,
        lasts=minute,
    )
    run, _ = begin(book, wanted)
    claims = claim(book, run.id, aliases, minute)
    for database in report.databases:
        mine = [one for one in findings if one.database == database.alias]
        # A check takes a moment, and the ledger tells when it ended.
        ended = dataclasses.replace(book, now=book.now + dt.timedelta(milliseconds=database.ms))
        outcome = _outcome(database, mine)
        if (ago, database.alias) == UNREACHABLE:
            outcome = _unreached(database)
        else:
            before = read_open_findings(ended, [database.alias])
            allowances = read_allowances(ended, [database.alias])
            seen = Seen(findings=by_key(mine))
            write_steps(ended, run.id, list(follow(before, seen, allowances, now=ended.now)), ())
        finish_target(ended, hold(ended, claims[database.alias]), outcome)


def _outcome(database: InspectedDatabase, findings: Sequence[Finding]) -> TargetRecord:
    """Return what came of a database with these findings."""
    damaged = {(one.table, one.trigger): one.status for one in findings}
    statuses: Counter[str] = Counter()
    for trigger in database.triggers:
        status = trigger.status
        found = damaged.get((trigger.table, trigger.trigger))
        if found is None and status in (Status.PRUNE, Status.FOREIGN):
            continue
        statuses[str(found or Status.INSTALLED)] += 1
    return TargetRecord(
        database=database.alias,
        state=TargetState.OK,
        schemas=database.schemas,
        triggers=statuses.total(),
        ms=database.ms,
        reason="",
        statuses=statuses,
        levels=Counter(one.level.name for one in findings),
    )


def _unreached(database: InspectedDatabase) -> TargetRecord:
    """Return that a database did not answer."""
    return TargetRecord(
        database=database.alias,
        state=TargetState.UNREACHABLE,
        schemas=0,
        triggers=0,
        ms=0,
        reason="connection refused: is the server running?",
        statuses={},
        levels={},
    )


def _allow(book: Book) -> None:
    """Have somebody answer for the administrator's trigger."""
    for one in read_open_findings(book, ["default"]):
        if one.trigger == damage.AUDIT:
            write_allowance(
                book,
                one,
                owner="user:demo",
                reason="CHG-31: the administrators log who writes to shipments, until March.",
                lasts=dt.timedelta(days=120),
            )
