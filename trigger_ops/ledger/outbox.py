"""The way out of what people are to be told: at least once each, and never by two at a time."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection

from django.db.models import Min, Q, QuerySet

from trigger_ops.ledger.findings import STILL_TOLD, change_of
from trigger_ops.ledger.recording import Book, aware, aware_or_none
from trigger_ops.models import FindingEvent, Notice
from trigger_ops.records import FindingChange, Message

HOLD = dt.timedelta(minutes=2)
"""How long whoever took notices has them for himself: after that he is taken to be gone."""

FIRST_PAUSE = dt.timedelta(minutes=1)
LONGEST_PAUSE = dt.timedelta(hours=1)
"""How long to wait after the first failure, twice as long after each more, up to the longest."""

AT_MOST = 500
"""How many changes one message has at most."""

MOST_ATTEMPTS = 50
"""More than a day of pauses: whoever has come to this number dies of the message each time."""

STRANGE = dt.timedelta(hours=1)
"""How long notices wait for a destination that our settings lack: others may have newer ones."""

NO_SUCH = 'TRIGGER_OPS["NOTIFY"] has no destination of this name any more.'
NOBODY_FINISHED = "Whoever tried to send it never came back."


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What one destination is still to be told, and why it was not.

    ``error`` and ``next_try`` are of what has failed and is tried again; ``given_up`` is how many
    nobody tries any more since a moment that was asked for.
    """

    waiting: int = 0
    error: str = ""
    next_try: dt.datetime | None = None
    given_up: int = 0


def take(book: Book, destination: str) -> Message | None:
    """Take what a destination is to be told next, for as long as :data:`HOLD`.

    A message that was taken before is the same again: its number, and its changes. Otherwise all
    that is due becomes one, the oldest first. None where nothing is due.
    """
    _give_up_the_hopeless(book, destination)
    due = _waiting(book, destination).filter(_due(book))
    first = due.order_by("pk").first()
    if first is None:
        return None
    if first.batch is None:
        fresh = due.filter(batch__isnull=True).order_by("pk")[:AT_MOST]
        number, keys = uuid.uuid4(), list(fresh.values_list("pk", flat=True))
    else:
        number = first.batch
        again = _waiting(book, destination).filter(batch=number)
        keys = list(again.values_list("pk", flat=True))
    attempt = first.attempts + 1
    Notice.objects.using(book.alias).filter(pk__in=keys).update(
        batch=number, attempts=attempt, due=book.now + HOLD, error=""
    )
    return Message(
        id=number, destination=destination, changes=_changes(book, keys), attempt=attempt
    )


def _changes(book: Book, keys: Collection[int]) -> tuple[FindingChange, ...]:
    events = (
        FindingEvent.objects.using(book.alias)
        .filter(notices__in=list(keys))
        .select_related("finding")
        .order_by("pk")
    )
    return tuple(_as_it_was(one) for one in events)


def _as_it_was(event: FindingEvent) -> FindingChange:
    """Return a change with what was observed then: the finding may have changed again since."""
    change = change_of(event)
    then = dataclasses.replace(
        change.finding,
        digest=event.digest,
        count=event.count,
        message=event.message or change.finding.message,
    )
    return dataclasses.replace(change, finding=then)


def wake(book: Book, destination: str) -> None:
    """Have what has failed tried at once where there is something new to tell.

    What happened first is told first, so that nobody hears of an end before the beginning.
    """
    waiting = _waiting(book, destination)
    if waiting.filter(_due(book), batch__isnull=True).exists():
        waiting.exclude(error="").update(due=book.now)


def mark_sent(book: Book, message: Message) -> None:
    """Note that a message has arrived; what has failed before it is tried at once."""
    _of(book, message).update(sent=book.now, error="")
    _waiting(book, message.destination).exclude(error="").update(due=book.now)


def mark_failed(book: Book, message: Message, error: str) -> None:
    """Note why a message did not arrive, and when it is tried again, if it is.

    Nothing is noted where somebody else has taken the message since.
    """
    mine = _of(book, message).filter(attempts=message.attempt)
    newest = mine.order_by("-written").first()
    if newest is None:
        return
    too_old = aware(newest.written) <= book.now - STILL_TOLD
    if too_old or message.attempt >= MOST_ATTEMPTS:
        mine.update(given_up=book.now, error=error)
        return
    mine.update(due=book.now + pause_after(message.attempt), error=error)


def pause_after(attempt: int) -> dt.timedelta:
    """Return how long to wait after an attempt that failed; the first one is 1."""
    return min(FIRST_PAUSE * (1 << min(attempt - 1, 16)), LONGEST_PAUSE)


def give_up_strange(book: Book, known: Collection[str]) -> dict[str, int]:
    """Give up what is for destinations that are not ``known``; return how many changes each.

    They wait for a while before: a process with newer settings may be about to send them.
    """
    strange = (
        _unsent(book).exclude(destination__in=list(known)).filter(written__lte=book.now - STRANGE)
    )
    counts: dict[str, int] = {}
    for name in strange.order_by("destination").values_list("destination", flat=True).distinct():
        mine = strange.filter(destination=name)
        counts[name] = mine.update(given_up=book.now, error=NO_SUCH)
    return counts


def standing(book: Book, destination: str, *, since: dt.datetime) -> Standing:
    """Return what a destination is still to be told, and what was given up ``since`` then."""
    waiting = _waiting(book, destination)
    failed = waiting.exclude(error="").order_by("due")
    given_up = Notice.objects.using(book.alias).filter(
        destination=destination, given_up__gte=since, given_up__isnull=False
    )
    lost = given_up.order_by("-given_up").first()
    last = failed.first()
    told = last or lost
    return Standing(
        waiting=waiting.count(),
        error=told.error if told is not None else "",
        next_try=aware_or_none(failed.aggregate(first=Min("due"))["first"]),
        given_up=given_up.count(),
    )


def _give_up_the_hopeless(book: Book, destination: str) -> None:
    _waiting(book, destination).filter(_due(book), attempts__gte=MOST_ATTEMPTS).update(
        given_up=book.now, error=NOBODY_FINISHED
    )


def _due(book: Book) -> Q:
    """Return what may be tried now. Nothing waits for longer, unless the clock was set back."""
    return Q(due__lte=book.now) | Q(due__gt=book.now + LONGEST_PAUSE + HOLD)


def _of(book: Book, message: Message) -> QuerySet[Notice]:
    return _waiting(book, message.destination).filter(batch=message.id)


def _waiting(book: Book, destination: str) -> QuerySet[Notice]:
    return _unsent(book).filter(destination=destination)


def _unsent(book: Book) -> QuerySet[Notice]:
    return Notice.objects.using(book.alias).filter(sent__isnull=True, given_up__isnull=True)
