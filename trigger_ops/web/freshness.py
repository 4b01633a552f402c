"""Says when what checks have recorded is too old to rely on."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
import statistics
import threading
import time
from collections.abc import Sequence

from django.utils.translation import gettext as _

from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.ledger.recording import Book, aware, reading_records
from trigger_ops.models import DriftRun
from trigger_ops.rendering.wording import printable
from trigger_ops.web.columns import time_of

SHORTEST = dt.timedelta(minutes=15)
ALONE = dt.timedelta(days=1)
"""How old the only run that there is may be: nobody knows yet how often there is one."""

INTERVALS = 3
"""A run may be late by so many times what lies between runs, which is what the schedules use."""

LOOKED_AT = 10
KEPT_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """Why findings may be out of date; ``command`` is the next step, ``ended`` the newest run's end."""

    told: str
    command: str = ""
    ended: str = ""


_fresh_until: list[float] = []
_keeping = threading.Lock()


def stale_banner(book: Book | None = None) -> Stale | None:
    """Return what to say above findings when no recent check stands behind them, else None.

    The newest complete run is too old after three times what lies between the last ten, 15 minutes
    at least. That all is well is remembered for a minute; that it is not is asked anew each time.
    Whoever has a ``book`` open already lends it.
    """
    with _keeping:
        if _fresh_until and time.monotonic() < _fresh_until[0]:
            return None
    try:
        with contextlib.nullcontext(book) if book is not None else reading_records() as lent:
            ends, now = _ends(lent), lent.now
    except TriggerOpsError as error:
        return Stale(told=printable(error.told()))
    return _judged(ends, now)


def _ends(book: Book) -> list[dt.datetime]:
    """Return when the last complete runs ended, the newest first."""
    runs = DriftRun.objects.using(book.alias).filter(
        finished__isnull=False, complete=True, whole=True
    )
    ends = runs.order_by("-finished").values_list("finished", flat=True)[:LOOKED_AT]
    return [aware(end) for end in ends if end is not None]


def forget() -> None:
    """Ask anew: something was recorded, or is gone."""
    with _keeping:
        _fresh_until.clear()


def longest_age(ends: Sequence[dt.datetime]) -> dt.timedelta:
    """Return how old the newest run may be, by when the last ones ended, the newest first."""
    if len(ends) < 2:
        return ALONE
    gaps = [(later - earlier).total_seconds() for later, earlier in itertools.pairwise(ends)]
    return max(SHORTEST, INTERVALS * dt.timedelta(seconds=statistics.median(gaps)))


def _judged(ends: Sequence[dt.datetime], now: dt.datetime) -> Stale | None:
    if not ends:
        return Stale(
            told=_("No complete check was ever recorded, so nothing is known over time."),
            command="manage.py pgtrigger check --record",
        )
    left = longest_age(ends) - (now - ends[0])
    if left <= dt.timedelta():
        return Stale(
            told=_("The newest complete check is older than it should be. It ended"),
            command="manage.py pgtrigger check --record",
            ended=time_of(ends[0]),
        )
    with _keeping:
        _fresh_until[:] = [time.monotonic() + min(left.total_seconds(), KEPT_SECONDS)]
    return None
