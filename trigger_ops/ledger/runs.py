"""Recorded runs: who checks which database, and what came of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db import connections
from django.db.models import F, Q

from trigger_ops.exceptions import Busy
from trigger_ops.ledger.recording import Book, aware, aware_or_none
from trigger_ops.models import DriftRun, DriftTarget
from trigger_ops.records import RunRecord, TargetRecord
from trigger_ops.states import TargetState

OVER = "nobody finished it in time"

DEADLY = "everybody who checked it was gone before the end"

MOST_DEATHS = 5
"""How often a database is given to somebody else because whoever was at it is gone."""

SLOWEST = 12
"""How often the patience with a task that nobody takes is doubled at most."""

_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A check to be recorded. ``asked`` is when: a run that began later answers it as well.

    ``scope`` says in words which schemas are looked at, ``whole`` that no selector leaves anything
    out; ``lasts`` is how long a claim on one database holds. A run whose tasks were sent answers
    for no other check once nothing has happened to it for ``idle``.
    """

    aliases: tuple[str, ...]
    source: str
    holder: str
    scope: str
    whole: bool
    asked: dt.datetime
    lasts: dt.timedelta
    idle: dt.timedelta = dt.timedelta(minutes=10)


def begin(book: Book, wanted: Wanted) -> tuple[RunRecord, bool]:
    """Return a new run with a waiting target for each database, and True.

    Or else the run that answers for it, and False: one that is under way for all of these
    databases, or that began after the check was asked for and has finished.
    """
    other = _answering(book, wanted)
    if other is not None:
        return record_of_run(other), False
    run = DriftRun.objects.using(book.alias).create(
        id=uuid.uuid4(),
        source=wanted.source,
        holder=wanted.holder,
        scope=wanted.scope,
        whole=wanted.whole,
        began=book.now,
    )
    DriftTarget.objects.using(book.alias).bulk_create(
        DriftTarget(run=run, database=alias) for alias in wanted.aliases
    )
    return record_of_run(run), True


def _answering(book: Book, wanted: Wanted) -> DriftRun | None:
    # What is on record for a time to come answers for nothing: the clock was set back.
    candidates = (
        DriftRun.objects.using(book.alias)
        .filter(scope=wanted.scope, whole=wanted.whole, began__lte=book.now)
        .filter(
            Q(finished__isnull=True, began__gte=book.now - 2 * wanted.lasts)
            | Q(finished__lte=book.now, began__gte=wanted.asked)
        )
        .prefetch_related("targets")
        .order_by("-began")
    )
    for run in candidates:
        covers = {one.database for one in run.targets.all()}.issuperset(wanted.aliases)
        if covers and (run.finished is not None or _is_at_work(book, run, wanted.idle)):
            return run
    return None


def _is_at_work(book: Book, run: DriftRun, idle: dt.timedelta) -> bool:
    """Tell whether somebody holds a claim of a run, or will soon: its tasks have been sent."""
    targets = list(run.targets.all())
    if _live(book, [one for one in targets if one.finished is None]):
        return True
    if not any(one.sent for one in targets):
        return False
    return _moved(targets, [one.sent for one in targets]) > book.now - idle


def is_left_behind(book: Book, run: uuid.UUID, limit: dt.timedelta) -> bool:
    """Tell whether a run is to be given up: nobody is at it, nor was for ``limit``.

    A run is given twice that time at least; tasks that wait in a queue while others of the same
    run are done keep it alive.
    """
    found = DriftRun.objects.using(book.alias).prefetch_related("targets").filter(pk=run).first()
    if found is None or found.finished is not None or aware(found.began) + 2 * limit > book.now:
        return False
    targets = list(found.targets.all())
    if _live(book, [one for one in targets if one.finished is None]):
        return False
    return _moved(targets) <= book.now - limit


def _moved(
    targets: Sequence[DriftTarget], others: Iterable[dt.datetime | None] = ()
) -> dt.datetime:
    """Return when somebody last began or finished one of these, or did one of the other things."""
    moments = [moment for one in targets for moment in (one.began, one.finished)]
    return max(
        (aware(moment) for moment in [*moments, *others] if moment is not None), default=_NEVER
    )


def claim(
    book: Book, run: uuid.UUID, aliases: Collection[str], lasts: dt.timedelta
) -> dict[str, uuid.UUID]:
    """Claim databases of a run; return the claims that were had.

    None is had on a database that this run has done, or that somebody else is at. A claim that
    is left over counts like another task sent: somebody is gone, and that has a limit.
    """
    unfinished = list(
        DriftTarget.objects.using(book.alias).filter(
            database__in=list(aliases), finished__isnull=True
        )
    )
    taken = {one.database for one in _live(book, unfinished)}
    claims: dict[str, uuid.UUID] = {}
    mine = [one for one in unfinished if one.run_id == run and one.database not in taken]
    for target in mine:
        target.times_sent += _was_left(target)
        target.claim = claims[target.database] = uuid.uuid4()
        target.pid, target.claimed_until = book.pid, book.now + lasts
        target.began, target.state = book.now, TargetState.RUNNING
    DriftTarget.objects.using(book.alias).bulk_update(
        mine, ["claim", "pid", "claimed_until", "began", "state", "times_sent"], batch_size=500
    )
    return claims


def _was_left(target: DriftTarget) -> bool:
    """Tell whether somebody had claimed this and is gone, and no task was sent for it since."""
    if target.claim is None or target.began is None:
        return False
    return target.sent is None or target.began > target.sent


def release(book: Book, claims: Iterable[uuid.UUID]) -> None:
    """Give claims back: somebody else may try at once. What has been finished stays so."""
    DriftTarget.objects.using(book.alias).filter(
        claim__in=list(claims), finished__isnull=True
    ).update(claim=None, pid=None, claimed_until=None, state=TargetState.WAITING)


def _live(book: Book, targets: Sequence[DriftTarget]) -> list[DriftTarget]:
    """Return the targets that somebody is at: neither out of time nor without a backend.

    A claim that was made at a time to come is nobody's: that time might never be over.
    """
    claimed = [
        one
        for one in targets
        if one.claimed_until is not None
        and aware(one.claimed_until) > book.now
        and (one.began is None or aware(one.began) <= book.now)
    ]
    if not claimed:
        return []
    with connections[book.alias].cursor() as cursor:
        cursor.execute(
            "SELECT a.pid FROM pg_catalog.pg_stat_get_activity(NULL) AS a "
            "WHERE a.pid OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.int4[])",
            [[one.pid for one in claimed]],
        )
        alive = {pid for (pid,) in cursor.fetchall()}
    return [one for one in claimed if one.pid in alive]


def hold(book: Book, claim_id: uuid.UUID) -> DriftTarget:
    """Return the target that a claim is on, if the claim is still that of its target.

    Raises:
        Busy: when somebody else has taken over.
    """
    target = (
        DriftTarget.objects.using(book.alias).filter(claim=claim_id, finished__isnull=True).first()
    )
    if target is None:
        raise Busy(
            "Somebody else took this check over, because it took too long: nothing was recorded. "
            'Give checks more time with TRIGGER_OPS["CHECK_LIMIT"].'
        )
    return target


def finish_target(book: Book, target: DriftTarget, outcome: TargetRecord) -> RunRecord | None:
    """Write down what came of one database; return the run if that was the last of it."""
    DriftTarget.objects.using(book.alias).filter(pk=target.pk).update(
        state=outcome.state,
        finished=book.now,
        ms=outcome.ms,
        schemas=outcome.schemas,
        triggers=outcome.triggers,
        statuses=dict(outcome.statuses),
        levels=dict(outcome.levels),
        reason=outcome.reason,
        claimed_until=None,
    )
    return finish_run(book, target.run_id)


def finish_run(book: Book, run: uuid.UUID) -> RunRecord | None:
    """End a run whose databases are all done; return it then, and None otherwise."""
    targets = DriftTarget.objects.using(book.alias).filter(run=run)
    if targets.filter(finished__isnull=True).exists():
        return None
    complete = not targets.exclude(state=TargetState.OK).exists()
    ended = (
        DriftRun.objects.using(book.alias)
        .filter(pk=run, finished__isnull=True)
        .update(finished=book.now, complete=complete)
    )
    return read_run(book, run) if ended else None


def give_up(book: Book, run: uuid.UUID, reason: str = OVER) -> RunRecord | None:
    """End a run with what it has: databases that nobody is at are lost. Return it, if it ended."""
    waiting = _unfinished(book, run)
    live = {one.pk for one in _live(book, waiting)}
    _lose(book, {one.pk for one in waiting} - live, reason)
    return finish_run(book, run)


def mark_sent(book: Book, run: uuid.UUID, aliases: Collection[str]) -> None:
    """Note that the tasks of these databases were sent, once more maybe."""
    DriftTarget.objects.using(book.alias).filter(run=run, database__in=list(aliases)).update(
        sent=book.now, times_sent=F("times_sent") + 1
    )


def unattended(book: Book, run: uuid.UUID, patience: dt.timedelta) -> tuple[list[str], bool]:
    """Return the databases of a run to send tasks for again, and whether any is left at all.

    Nobody is at them, and their last task was sent longer ago than ``patience``, which doubles
    each time: a long queue is no reason to make it longer. Whoever had claimed one and is gone is
    not waited for; a database that did so to several is lost, and not sent again.
    """
    left = _unfinished(book, run)
    live = {one.pk for one in _live(book, left)}
    dead = [one for one in left if one.pk not in live and one.claim is not None]
    deadly = {one.pk for one in dead if one.times_sent > MOST_DEATHS}
    _lose(book, deadly, DEADLY)
    again = [
        one.database
        for one in left
        if one.pk not in live | deadly
        and (
            one.sent is None
            or one.claim is not None
            or aware(one.sent) + patience * 2 ** min(max(one.times_sent - 1, 0), SLOWEST)
            <= book.now
        )
    ]
    return again, len(left) > len(deadly)


def is_anybody_at(book: Book, run: uuid.UUID) -> bool:
    """Tell whether somebody is checking a database of this run right now."""
    return bool(_live(book, _unfinished(book, run)))


def _unfinished(book: Book, run: uuid.UUID) -> list[DriftTarget]:
    return list(DriftTarget.objects.using(book.alias).filter(run=run, finished__isnull=True))


def _lose(book: Book, targets: Collection[int], reason: str) -> None:
    DriftTarget.objects.using(book.alias).filter(pk__in=list(targets)).update(
        state=TargetState.LOST, finished=book.now, reason=reason, claim=None
    )


def unfinished_runs(book: Book) -> list[RunRecord]:
    """Return the runs that have not ended, the oldest first."""
    runs = DriftRun.objects.using(book.alias).filter(finished__isnull=True).order_by("began")
    return [record_of_run(one) for one in runs.prefetch_related("targets")]


def read_run(book: Book, run: uuid.UUID) -> RunRecord | None:
    """Return one run with its targets."""
    found = DriftRun.objects.using(book.alias).prefetch_related("targets").filter(pk=run).first()
    return record_of_run(found) if found is not None else None


def record_of_run(run: DriftRun) -> RunRecord:
    """Return a run with its targets as inert data."""
    return RunRecord(
        id=run.id,
        source=run.source,
        holder=run.holder,
        scope=run.scope,
        whole=run.whole,
        began=aware(run.began),
        finished=aware_or_none(run.finished),
        complete=run.complete,
        targets=tuple(_target(one) for one in sorted(run.targets.all(), key=lambda one: one.pk)),
    )


def _target(target: DriftTarget) -> TargetRecord:
    statuses: Mapping[str, int] = target.statuses
    return TargetRecord(
        database=target.database,
        state=TargetState(target.state),
        schemas=target.schemas,
        triggers=target.triggers,
        ms=target.ms,
        reason=target.reason,
        statuses=statuses,
        levels=target.levels,
        finished=aware_or_none(target.finished),
    )
