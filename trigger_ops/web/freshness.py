"""Says when what checks have recorded is too old to rely on."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import threading
import time
from collections.abc import Sequence

from django.utils.translation import gettext as _

from trigger_ops import api
from trigger_ops.drift.vouching import spelled
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.ledger.freshness import Freshness, read_freshness
from trigger_ops.ledger.recording import Book, reading_records
from trigger_ops.rendering.wording import printable
from trigger_ops.web.columns import time_of

ALONE = dt.timedelta(days=1)
"""How old the only reading that there is may be: nobody knows yet how often there is one."""

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

    Each database has to have been read in full, at most three times as long ago as lies between
    its last readings, and 15 minutes at least. That all is well is remembered for a minute; that it
    is not is asked anew each time. Whoever has a ``book`` open already lends it.
    """
    with _keeping:
        if _fresh_until and time.monotonic() < _fresh_until[0]:
            return None
    try:
        with contextlib.nullcontext(book) if book is not None else reading_records() as lent:
            found = read_freshness(lent, api.postgres_aliases(), alone=ALONE)
            now = lent.now
    except TriggerOpsError as error:
        return Stale(told=printable(error.told()))
    return _judged(found, now)


def forget() -> None:
    """Ask anew: something was recorded, or is gone."""
    with _keeping:
        _fresh_until.clear()


def _judged(found: Sequence[Freshness], now: dt.datetime) -> Stale | None:
    if not any(one.ended for one in found):
        return Stale(
            told=_("No complete check was ever recorded, so nothing is known over time."),
            command="manage.py pgtrigger check --record",
        )
    oldest = min(found, key=lambda one: one.left(now))
    left = oldest.left(now)
    if oldest.ended is None:
        told = _('"%s" was never checked in full, so nothing is known of it over time.')
        return Stale(
            told=printable(told % oldest.database), command="manage.py pgtrigger check --record"
        )
    if left <= dt.timedelta():
        return Stale(
            told=_("The newest complete check is older than it should be. It ended"),
            command=f"manage.py pgtrigger check --record {spelled(oldest.scope)}".strip(),
            ended=time_of(oldest.ended),
        )
    with _keeping:
        _fresh_until[:] = [time.monotonic() + min(left.total_seconds(), KEPT_SECONDS)]
    return None
