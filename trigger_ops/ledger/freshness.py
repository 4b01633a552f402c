"""Reads when each database was last read in full, and how often that happens."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import QuerySet

from trigger_ops.drift.vouching import SHORTEST, Reading, is_named, longest_age, vouching
from trigger_ops.ledger.recording import Book, aware
from trigger_ops.ledger.runs import record_of_run
from trigger_ops.models import DriftRun, DriftTarget
from trigger_ops.states import TargetState

LOOKED_AT = 10
"""How many readings say how often there is one."""


def read_readings(book: Book, aliases: Collection[str]) -> list[Reading]:
    """Return the newest reading of each of these databases in each scope it was ever read in.

    Only runs without a selector count, and only what has ended by the clock of the database: a
    time that is yet to come is no evidence. Scopes of schemas that somebody named are left out
    for a database that was ever read in another one.
    """
    return [newest for newest, *_ in _lately(book, aliases, 1)]


def with_runs(book: Book, readings: Iterable[Reading]) -> list[Reading]:
    """Return readings with the runs they are of, and what came of their databases there."""
    found = list(readings)
    runs = {
        one.pk: record_of_run(one)
        for one in DriftRun.objects.using(book.alias)
        .filter(pk__in={one.run_id for one in found})
        .prefetch_related("targets")
    }
    return [
        dataclasses.replace(one, run=run, target=target)
        for one in found
        if one.run_id in runs
        for run in [runs[one.run_id]]
        for target in run.targets
        if target.database == one.database
    ]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """When a database was last read in full, None for never, and how old that may be by now.

    ``scope`` is how widely it has to be read.
    """

    database: str
    ended: dt.datetime | None
    longest: dt.timedelta
    scope: str = ""

    def left(self, now: dt.datetime) -> dt.timedelta:
        """Return for how long this is fresh; less than nothing where it is too old."""
        return self.longest - (now - self.ended) if self.ended is not None else dt.timedelta.min


def read_freshness(
    book: Book, aliases: Collection[str], *, alone: dt.timedelta = SHORTEST
) -> list[Freshness]:
    """Return how fresh each of these databases is, by how often it is read.

    ``alone`` is how old the only reading there is may be.
    """
    lately = {(found[0].database, found[0].scope): found for found in _lately(book, aliases)}
    vouched = vouching(newest for newest, *_ in lately.values())
    return [
        _freshness(alias, lately[alias, vouched[alias].scope], alone)
        if alias in vouched
        else Freshness(database=alias, ended=None, longest=alone)
        for alias in aliases
    ]


def _freshness(alias: str, lately: Sequence[Reading], alone: dt.timedelta) -> Freshness:
    ends = sorted((one.ended for one in lately), reverse=True)
    return Freshness(
        database=alias,
        ended=lately[0].ended,
        longest=longest_age(ends, alone=alone),
        scope=lately[0].scope,
    )


def stale(book: Book, aliases: Collection[str]) -> list[str]:
    """Return those of these databases that were never read in full, or too long ago."""
    return [
        one.database
        for one in read_freshness(book, aliases)
        if one.left(book.now) < dt.timedelta()
    ]


def newest_to_come(book: Book) -> dt.datetime | None:
    """Return when the last run ends that is on record as ended after now, None without one."""
    runs = DriftRun.objects.using(book.alias).filter(whole=True, finished__gt=book.now)
    newest = runs.order_by("-finished").values_list("finished", flat=True).first()
    return aware(newest) if newest is not None else None


def _lately(book: Book, aliases: Collection[str], number: int = LOOKED_AT) -> list[list[Reading]]:
    """Return the last readings of each database in each scope, the newest first."""
    runs = DriftRun.objects.using(book.alias).filter(whole=True, finished__lte=book.now)
    scopes = sorted(set(runs.order_by().values_list("scope", flat=True).distinct()))
    found = _read(book, aliases, [one for one in scopes if not is_named(one)], number)
    named = [one for one in scopes if is_named(one)]
    if named:
        others = set(aliases) - {one[0].database for one in found}
        found += _read(book, sorted(others), named, number)
    return found


def _read(
    book: Book, aliases: Collection[str], scopes: Collection[str], number: int
) -> list[list[Reading]]:
    wanted = [_of(book, alias, scope)[:number] for alias in aliases for scope in scopes]
    if not wanted:
        return []
    first, *others = wanted
    found: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for one in first.union(*others, all=True) if others else first:
        ended = min(aware(one["finished"]), aware(one["run__finished"]))
        reading = Reading(
            database=one["database"], scope=one["run__scope"], ended=ended, run_id=one["run"]
        )
        found[reading.database, reading.scope].append(reading)
    return [sorted(some, key=lambda one: one.ended, reverse=True) for some in found.values()]


def _of(book: Book, alias: str, scope: str) -> QuerySet[Any, Any]:
    """Return a database's readings in a scope: the runs' index on their beginning finds them."""
    return (
        DriftTarget.objects.using(book.alias)
        .filter(database=alias, state=TargetState.OK, finished__lte=book.now)
        .filter(run__whole=True, run__scope=scope)
        .filter(run__began__lte=book.now, run__finished__lte=book.now)
        .order_by("-run__began")
        .values("database", "run", "finished", "run__scope", "run__finished")
    )
