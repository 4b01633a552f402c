"""One calm line above the triggers: all as registered, or what needs attention and what to do."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trigger_ops.drift import Listing
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Facet, Status
from trigger_ops.web.columns import english
from trigger_ops.web.trigger_table import CALM, rank

_NOT_OURS = (Status.FOREIGN, Status.UNALLOWED)
_WORST = frozenset({Status.TAMPERED, Status.UNINSTALLED, Status.INSTALLED})
"""What is not enforced as the code says; INSTALLED is among them where its mode is wrong."""

_TONES = {"good": "✔", "warn": "▲", "bad": "✖", "quiet": "○"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """So many triggers need attention for one reason; ``filters`` show them in the list."""

    number: int
    word: str
    filters: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What to say first. ``command`` is the next step in a terminal, ``unread`` what is missing."""

    tone: str
    sentence: str
    counts: Sequence[Count] = ()
    command: str = ""
    step: str = ""
    unread: Sequence[str] = ()

    @property
    def sign(self) -> str:
        """What stands for the tone where there is no colour."""
        return _TONES[self.tone]


def verdict(listing: Listing) -> Verdict:
    """Return what to say of all triggers of all databases, whatever the list is narrowed to."""
    unread = [
        english(printable(one.reason)) or _('"%s" could not be read.') % printable(one.alias)
        for one in listing.databases
        if one.status != "ok"
    ]
    read = {one.alias for one in listing.databases if one.status == "ok"}
    if not read:
        return _nothing_read(listing, unread)
    seen = [one for one in listing.triggers if one.database in read]
    worrying = [one for one in seen if rank(one) != CALM]
    if worrying:
        return _worrying(worrying, unread)
    ours = sum(one.status not in _NOT_OURS for one in seen)
    return _calm(ours, unread) if ours else _none(unread)


def _nothing_read(listing: Listing, unread: Sequence[str]) -> Verdict:
    if not listing.databases:
        return Verdict(
            tone="quiet",
            sentence=_("No database of this project is PostgreSQL, so there are no triggers."),
            step=_("Next step: add one to settings.DATABASES."),
        )
    return Verdict(
        tone="bad",
        sentence=_("No database could be read, so nothing is known of the triggers."),
        unread=unread,
    )


def _none(unread: Sequence[str]) -> Verdict:
    return Verdict(
        tone="warn" if unread else "quiet",
        sentence=_("No triggers are registered here."),
        step=_("Next step: declare one in Meta.triggers of a model, then:"),
        command="manage.py makemigrations && manage.py migrate",
        unread=unread,
    )


def _calm(number: int, unread: Sequence[str]) -> Verdict:
    if unread:
        told = ngettext(
            "The one trigger that could be read is as registered",
            "All %(number)d triggers that could be read are as registered",
            number,
        )
        return Verdict(tone="warn", sentence=told % {"number": number}, unread=unread)
    told = ngettext(
        "The one trigger there is, is as registered",
        "All %(number)d triggers as registered",
        number,
    )
    return Verdict(tone="good", sentence=told % {"number": number})


def _worrying(worrying: Sequence[InspectedTrigger], unread: Sequence[str]) -> Verdict:
    number = len(worrying)
    told = ngettext("%(number)d needs attention:", "%(number)d need attention:", number) % {
        "number": number
    }
    counts = _counts(worrying)
    worst = any(one.status in _WORST for one in worrying)
    return Verdict(
        tone="bad" if worst else "warn",
        sentence=told,
        counts=counts,
        step=_("Next step: open one to see why, or choose some below. In a terminal:"),
        command="manage.py pgtrigger diff",
        unread=unread,
    )


def _counts(worrying: Sequence[InspectedTrigger]) -> list[Count]:
    """Return how many there are of each reason, the worst first."""
    return [
        Count(number=number, word=word, filters=dict(filters))
        for (word, filters), number in Counter(
            _reason(one) for one in sorted(worrying, key=rank)
        ).items()
    ]


def _reason(one: InspectedTrigger) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return why a trigger needs attention, in a word, and the filters that show all such."""
    status, mode = ("status", one.status.value), ("enabled", one.enabled.value)
    if one.status is Status.INSTALLED:
        return one.enabled.value, (status, mode, ("facet", Facet.ENABLED.value))
    if one.status is Status.UNALLOWED:  # most of these are rightly not there
        return one.status.value, (status, mode)
    return one.status.value, (status,)
