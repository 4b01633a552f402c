"""Counts what is recorded, for the metrics: the newest checks, notices, rows that are nobody's."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection

from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Count, Q, QuerySet

from trigger_ops.ledger.recording import Book, aware, aware_or_none
from trigger_ops.ledger.tables import named, read
from trigger_ops.models import Acknowledgement, Change, DriftRun, DriftTarget, Notice
from trigger_ops.records import TargetRecord
from trigger_ops.states import TargetState

# As C007 has it: what an acknowledgement covers is not newer than itself.
_UNATTRIBUTED = """\
SELECT pg_catalog.count(*) FROM {change} c
 WHERE c.session_id IS NULL
   AND NOT EXISTS (SELECT FROM {acknowledgement} a
                    WHERE a.transaction OPERATOR(pg_catalog.=) c.transaction AND a.at OPERATOR(pg_catalog.>=) c.at)"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NoticeCount:
    """How many notices are still to be delivered, and how many nobody tries any more."""

    waiting: int
    given_up: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The newest run that has ended and left nothing out by a selector."""

    began: dt.datetime
    finished: dt.datetime
    complete: bool


def count_notices(book: Book) -> NoticeCount:
    """Count the notices that are not delivered."""
    counts = Notice.objects.using(book.alias).aggregate(
        waiting=Count("pk", filter=Q(sent__isnull=True, given_up__isnull=True)),
        given_up=Count("pk", filter=Q(given_up__isnull=False)),
    )
    return NoticeCount(**counts)


def last_run(book: Book) -> LastRun | None:
    """Return the newest whole run that has ended, complete or not; None where there is none."""
    run = (
        DriftRun.objects.using(book.alias)
        .filter(finished__lte=book.now, whole=True)
        .order_by("-finished")
        .first()
    )
    if run is None or run.finished is None:
        return None
    return LastRun(began=aware(run.began), finished=aware(run.finished), complete=run.complete)


def last_targets(book: Book, aliases: Collection[str]) -> dict[str, TargetRecord]:
    """Return what came of the newest check of each database.

    Only whole runs count. A database that was never checked so is not among them.
    """
    each = [_newest(book, alias) for alias in aliases]
    if not each:
        return {}
    return {
        one.database: TargetRecord(
            database=one.database,
            state=TargetState(one.state),
            schemas=one.schemas,
            triggers=one.triggers,
            ms=one.ms,
            reason=one.reason,
            statuses=one.statuses,
            levels=one.levels,
            finished=aware_or_none(one.finished),
        )
        for one in each[0].union(*each[1:], all=True)
    }


def _newest(book: Book, alias: str) -> QuerySet[DriftTarget]:
    """Return the query of one row: the runs' index on their beginning finds it at once."""
    found = DriftTarget.objects.using(book.alias).filter(
        database=alias, finished__lte=book.now, run__whole=True, run__began__lte=book.now
    )
    return found.order_by("-run__began")[:1]


def count_unattributed(alias: str, home: str) -> int:
    """Count the rows that were changed past triggers, outside any session, unacknowledged.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    question = sql.SQL(_UNATTRIBUTED).format(
        change=named(home, Change), acknowledgement=named(home, Acknowledgement)
    )
    ((number,),) = read(alias, question)
    return int(number)
