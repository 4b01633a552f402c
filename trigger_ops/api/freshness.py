"""Tells whether every database was read in full not long ago, and asks for the heartbeat if so."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from trigger_ops import conf
from trigger_ops.api.inspecting import known, postgres_aliases
from trigger_ops.api.notifying import ping_heartbeat
from trigger_ops.drift.answering import Answers
from trigger_ops.drift.freshness import LastRun, remembered
from trigger_ops.drift.vouching import vouching
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.ledger.allowances import read_allowances
from trigger_ops.ledger.findings import read_open_findings
from trigger_ops.ledger.freshness import newest_to_come, read_readings, stale, with_runs
from trigger_ops.ledger.recording import Book, reading_records
from trigger_ops.states import Level

_NAMED_AT_MOST = 3


def last_run(
    max_age: dt.timedelta,
    *,
    databases: Sequence[str] | None = None,
    fail_level: Level = Level.WARNING,
) -> LastRun:
    """Return when these databases, or all PostgreSQL ones, were last read in full, and what is open.

    Looks at nothing but the recording database. Each database has to be read without a selector,
    and as widely as it ever was; the oldest of these readings says how fresh all are together.

    Raises:
        UnknownDatabase: naming the nearest match.
        NotRecorded: when the recording database cannot be read, or was never migrated.
        BadSettings: when it is no PostgreSQL.
    """
    aliases = list(dict.fromkeys(known(alias) for alias in databases or postgres_aliases()))
    with reading_records() as book:
        vouched = {
            one.database: one
            for one in with_runs(book, vouching(read_readings(book, aliases)).values())
        }
        to_come = newest_to_come(book)
        records = read_open_findings(book, aliases)
        answers = Answers(read_allowances(book, aliases), book.now)
    findings = [
        dataclasses.replace(
            remembered(one),
            allowance=answers.of(one),
            outgrown=answers.outgrown(one.key, one.digest, one.count),
        )
        for one in records
    ]
    return LastRun(
        readings=tuple(vouched[alias] for alias in aliases if alias in vouched),
        missing=tuple(alias for alias in aliases if alias not in vouched),
        findings=tuple(sorted(findings, key=lambda finding: -finding.level)),
        now=book.now,
        max_age=max_age,
        fail_level=fail_level,
        to_come=to_come,
    )


def all_is_fresh(book: Book) -> bool:
    """Tell whether every PostgreSQL database of the settings was read in full not long ago."""
    return not stale(book, postgres_aliases())


def beat() -> str:
    """Ask for the heartbeat's address if every database was read in full not long ago.

    To be called after a complete run. Returns an empty text, or why nobody was asked, or heard it.
    """
    try:
        late = _late() if conf.heartbeat_url() else []
    except NotRecorded as error:
        return f"The heartbeat was not asked for: {error}"
    except BadSettings:
        late = []  # whoever asks for it says so, without the address
    if late:
        some = ", ".join(f'"{alias}"' for alias in late[:_NAMED_AT_MOST])
        more = f" and {len(late) - _NAMED_AT_MOST} more" if len(late) > _NAMED_AT_MOST else ""
        return (
            f"The heartbeat was not asked for: {some}{more} was not read in full of late; "
            "see manage.py pgtrigger check --max-age."
        )
    unheard = ping_heartbeat()
    return f"The heartbeat was not heard: {unheard}" if unheard else ""


def _late() -> list[str]:
    with reading_records() as book:
        return stale(book, postgres_aliases())
