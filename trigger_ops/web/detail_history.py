"""What became of one trigger: changes by us, findings over time, sessions that had it stand aside."""

from __future__ import annotations

import dataclasses
import datetime as dt
import glob
from collections.abc import Sequence
from urllib.parse import urlencode

from django.db.models import Prefetch
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from trigger_ops import api
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.ledger.recording import aware, aware_or_none, reading_records
from trigger_ops.models import DriftFinding, FindingEvent
from trigger_ops.rendering.wording import printable
from trigger_ops.web.columns import english
from trigger_ops.web.pages import Page
from trigger_ops.web.session_basics import STATES

MOST = 20
"""So many of each are shown, the newest first."""

SESSIONS_LOOKED_AT = 1000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened, as one row: ``link`` is the page about it, "" where there is none."""

    at: dt.datetime
    what: str
    who: str = ""
    told: str = ""
    until: dt.datetime | None = None
    open: bool = False
    link: str = ""
    steps: tuple[tuple[dt.datetime, str], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Events, newest first; ``problem`` says why there are none. ``link`` leads to all of them."""

    events: Sequence[Event] = ()
    problem: str = ""
    link: str = ""


def changes(page: Page, trigger: InspectedTrigger) -> History:
    """Return what was done to a trigger, from the ledger of its database."""
    try:
        entries = api.read_log(
            [trigger.database], selectors=[glob.escape(trigger.uri)], limit=MOST
        )
    except TriggerOpsError as error:
        return History(problem=printable(error.told()))
    events = [
        Event(
            at=one.at,
            what=one.verb,
            who=printable(one.actor),
            told=printable(": ".join(part for part in (one.outcome, one.reason) if part)),
            link=_address(page, "action_result", run=one.run),
        )
        for one in entries
    ]
    return History(
        events=events,
        link=_list(page, "ledgerentry", trigger),
    )


def findings_over_time(page: Page, trigger: InspectedTrigger) -> History:
    """Return what recorded checks found of a trigger."""
    try:
        with reading_records() as book:
            rows = list(
                DriftFinding.objects.using(book.alias)
                .filter(database=trigger.database, uri=trigger.uri)
                .prefetch_related(
                    Prefetch("events", FindingEvent.objects.using(book.alias).order_by("pk"))
                )
                .order_by("-first_seen", "-pk")[:MOST]
            )
    except TriggerOpsError as error:
        return History(problem=printable(error.told()))
    return History(events=[_found(row) for row in rows], link=_list(page, "driftfinding", trigger))


def _found(row: DriftFinding) -> Event:
    events = list(row.events.all())[-MOST:]
    return Event(
        at=aware(row.first_seen),
        what=row.code.removeprefix("trigger_ops."),
        who=row.level,
        told=english(printable(row.message)),
        until=aware_or_none(row.resolved),
        open=row.resolved is None,
        steps=tuple((aware(one.at), one.kind) for one in events),
    )


def sessions(page: Page, trigger: InspectedTrigger) -> History:
    """Return the sessions that a trigger stood aside in, or could have."""
    if not page.may("trigger_ops.view_session"):
        told = _("To see sessions takes the permission %(name)s: ask whoever manages users.")
        return History(problem=told % {"name": "trigger_ops.view_session"})
    try:
        rows = api.list_sessions(using=trigger.database, limit=SESSIONS_LOOKED_AT)
    except TriggerOpsError as error:
        return History(problem=printable(error.told()))
    events = [
        Event(
            at=one.opened,
            what=str(STATES[one.state][2]),
            who=printable(one.opened_by),
            told=printable(" ".join(part for part in (one.ticket, one.reason) if part)),
            until=one.ended or one.expires,
            link=_within(_address(page, "session_detail", session=one.id), trigger),
        )
        for one in rows
        if trigger.uri in one.uris
    ]
    return History(events=events[:MOST], link=_list(page, "session", trigger))


def _address(page: Page, name: str, **kwargs: object) -> str:
    """Return the address of a page, "" on a site that does not have it."""
    try:
        return page.url(name, **kwargs)
    except NoReverseMatch:
        return ""


def _within(address: str, trigger: InspectedTrigger) -> str:
    """Return an address with the database that it is about."""
    return f"{address}?{urlencode({'database': trigger.database})}" if address else ""


def _list(page: Page, model: str, trigger: InspectedTrigger) -> str:
    """Return the address of all rows about a trigger, "" for those who may not see them."""
    if not page.may(f"trigger_ops.view_{model}"):
        return ""
    address = _address(page, f"{model}_changelist")
    # What each kind of list calls the database that it is about.
    database = {"ledgerentry": "using", "session": "database"}.get(model)
    query = {"q": trigger.uri, **({database: trigger.database} if database else {})}
    return f"{address}?{urlencode(query)}" if address else ""
