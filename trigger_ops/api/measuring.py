"""Measures what Prometheus is told: by a check that has just looked, or by what was recorded."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from django.db import DatabaseError, InterfaceError

from trigger_ops import conf
from trigger_ops.api.inspecting import postgres_aliases
from trigger_ops.drift import Report
from trigger_ops.drift.answering import Answers
from trigger_ops.drift.vouching import Reading, vouching
from trigger_ops.exceptions import DatabaseUnreadable, TriggerOpsError
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.ledger.allowances import read_allowances
from trigger_ops.ledger.counting import (
    count_notices,
    count_unattributed,
    last_run,
    last_targets,
)
from trigger_ops.ledger.findings import read_open_findings
from trigger_ops.ledger.freshness import read_readings
from trigger_ops.ledger.guard import guard_home, read_guard
from trigger_ops.ledger.recording import Book, reading_records
from trigger_ops.ledger.sessions import read_sessions
from trigger_ops.metrics import LOOKED, OPEN_SESSIONS, Family
from trigger_ops.metrics.samples import DatabaseMeasure, Measurement, families
from trigger_ops.records import FindingRecord, TargetRecord
from trigger_ops.states import TargetState

LOGGER = logging.getLogger("trigger_ops")

PATIENCE_SECONDS = 5.0
"""For so long databases are asked for their sessions, one after the other; others go without."""

Answer = TypeVar("Answer")


def measure(report: Report) -> tuple[Family, ...]:
    """Return the metrics of a check: what it saw, and what was recorded before, if that is known.

    Of a database that the check could not look at, the findings are those that are still open. A
    check with a selector tells of the findings that it saw, and of nothing that is about all
    triggers, or about the run.
    """
    before, ask = _before(report), _Asking()
    if not report.whole:
        return families(
            Measurement(
                databases=tuple(_selected(one, report, ask) for one in report.databases),
                waiting=before.waiting,
                given_up=before.given_up,
            )
        )
    return families(
        dataclasses.replace(
            before,
            databases=tuple(
                ask.about(_seen(one, report, known))
                for one, known in zip(report.databases, before.databases, strict=True)
            ),
            complete=report.complete,
            lasted=report.finished - report.started,
            finished=report.finished,
        )
    )


def _before(report: Report) -> Measurement:
    """Return what is known without the findings of a check: of earlier ones, if that can be had."""
    aliases, now = [one.alias for one in report.databases], _read_now(report)
    try:
        with reading_records() as book:
            return _recorded(book, aliases, now)
    except TriggerOpsError as error:
        LOGGER.info("trigger_ops: metrics know nothing that was recorded: %s", error)
    vouched = vouching(now)
    return Measurement(
        databases=tuple(
            DatabaseMeasure(database=one, last_ok=_ended(vouched.get(one))) for one in aliases
        ),
        last_complete=_last_complete(vouched),
    )


def _ended(reading: Reading | None) -> dt.datetime | None:
    return reading.ended if reading is not None else None


def _read_now(report: Report) -> list[Reading]:
    """Return which databases a check has read in full."""
    return [
        Reading(database=one.alias, scope=report.scope, ended=report.finished)
        for one in report.databases
        if report.whole and one.complete
    ]


def _last_complete(vouched: Mapping[str, Reading]) -> dt.datetime | None:
    """Return by when every database of the settings had been read in full, if all ever were."""
    aliases = postgres_aliases()
    if not aliases or not vouched.keys() >= set(aliases):
        return None
    return min(vouched[alias].ended for alias in aliases)


def measure_recorded() -> tuple[Family, ...]:
    """Return the metrics of what was recorded. Looks at no trigger, and writes nothing.

    Beside the recording database it asks each one for its open sessions and unattributed rows,
    except those that the last check could not reach.

    Raises:
        NotRecorded: when the recording database cannot be read, or was never migrated.
        BadSettings: when it is no PostgreSQL.
    """
    with reading_records() as book:
        known = _recorded(book, postgres_aliases())
    ask = _Asking()
    return families(
        dataclasses.replace(known, databases=tuple(ask.about(one) for one in known.databases))
    )


def _recorded(
    book: Book, aliases: Collection[str], read_now: Iterable[Reading] = ()
) -> Measurement:
    """Return what the recording database knows of some databases, beside what was read now."""
    records = read_open_findings(book, aliases)
    answers = Answers(read_allowances(book, aliases), book.now)
    newest = last_targets(book, aliases)
    readings = read_readings(book, {*aliases, *postgres_aliases()})
    vouched = vouching([*readings, *read_now])
    run, notices = last_run(book), count_notices(book)
    return Measurement(
        databases=tuple(
            _remembered(
                alias,
                newest.get(alias),
                vouched.get(alias),
                [one for one in records if one.database == alias],
                answers,
            )
            for alias in aliases
        ),
        complete=run.complete if run is not None else None,
        lasted=run.finished - run.began if run is not None else None,
        finished=run.finished if run is not None else None,
        last_complete=_last_complete(vouched),
        waiting=notices.waiting,
        given_up=notices.given_up,
    )


def _remembered(
    alias: str,
    newest: TargetRecord | None,
    vouched: Reading | None,
    records: Collection[FindingRecord],
    answers: Answers,
) -> DatabaseMeasure:
    answered = [one for one in records if answers.of(one)]
    counts = Counter((one.code, one.level) for one in records)
    return DatabaseMeasure(
        database=alias,
        state=newest.state if newest is not None else None,
        last_ok=_ended(vouched),
        statuses=newest.statuses if newest is not None else {},
        findings=counts - Counter((one.code, one.level) for one in answered),
        allowed=len(answered),
    )


def _seen(one: InspectedDatabase, report: Report, before: DatabaseMeasure) -> DatabaseMeasure:
    """Return what a check saw of a database, beside what was known of it before."""
    state = TargetState(one.status)
    if state is TargetState.OK and not one.complete:
        state = TargetState.INCOMPLETE
    mine = [finding for finding in report.findings if finding.database == one.alias]
    found = Counter((each.id, each.level) for each in mine if each.allowance is None)
    is_seen = state in LOOKED
    return dataclasses.replace(
        before,
        state=state,
        statuses=Counter(trigger.status.value for trigger in one.triggers),
        findings=found if is_seen else {**before.findings, **found},
        allowed=len(mine) - found.total() if is_seen else before.allowed,
    )


class _Asking:
    """Asks databases for what is there now, as long as that takes no longer than it may.

    One that does not answer goes without those metrics: it is the check that reports it.
    """

    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_SECONDS

    def about(self, one: DatabaseMeasure) -> DatabaseMeasure:
        """Return what is known of a database with its open sessions and unattributed rows."""
        if one.state is TargetState.UNREACHABLE or time.monotonic() >= self._until:
            return one
        home = _answer(one.database, guard_home)
        if home is None:
            return one
        sessions = _answer(
            one.database,
            lambda alias: read_sessions(alias, home, states=OPEN_SESSIONS, limit=conf.LONGEST),
        )
        return dataclasses.replace(
            one,
            sessions=None if sessions is None else Counter(each.state for each in sessions),
            unattributed=_answer(one.database, lambda alias: _unattributed(alias, home)),
        )


def _selected(one: InspectedDatabase, report: Report, ask: _Asking) -> DatabaseMeasure:
    """Return the findings that a check of some triggers saw: no zero, and no state."""
    mine = [finding for finding in report.findings if finding.database == one.alias]
    found = Counter((each.id, each.level) for each in mine if each.allowance is None)
    measure = DatabaseMeasure(
        database=one.alias, findings=found, allowed=len(mine) - found.total()
    )
    return ask.about(measure) if one.snapshot is not None else measure


def _unattributed(alias: str, home: str) -> int | None:
    return None if read_guard(alias, home) is None else count_unattributed(alias, home)


def _answer(alias: str, question: Callable[[str], Answer]) -> Answer | None:
    try:
        return question(alias)
    except (DatabaseUnreadable, DatabaseError, InterfaceError) as error:
        LOGGER.info("trigger_ops: metrics of %s were not read in full: %s", alias, error)
        return None
