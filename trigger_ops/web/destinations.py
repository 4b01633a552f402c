"""Whom findings are told: the destinations of the settings, what waits for each, and a test."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Max, Min, Q, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops import api, conf
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.ledger.recording import aware, reading_records
from trigger_ops.models import DriftFinding, Notice
from trigger_ops.notifications.addresses import target_of
from trigger_ops.records import Destination
from trigger_ops.rendering.wording import printable
from trigger_ops.web import columns
from trigger_ops.web.nonces import SENT_BEFORE, spend
from trigger_ops.web.pages import Page

TEST = "trigger_ops.review_session"
"""Who may send a test: it reaches people outside."""

LOOKED_BACK = dt.timedelta(days=30)
"""For so long what was given up is shown."""

_WAITING = Q(sent__isnull=True, given_up__isnull=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One destination and how it stands. ``name`` goes into the form, ``shown`` onto the page."""

    name: str
    shown: str
    backend: str = ""
    level: SafeString | str = ""
    kinds: str = ""
    known: bool = True
    waiting: int = 0
    given_up: int = 0
    error: str = ""
    next_try: str = ""
    last_sent: str = ""


class DestinationList(Page):
    """The destinations: no option of any is shown, for addresses are secrets."""

    permission = "trigger_ops.view_driftfinding"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show them."""
        problem, destinations = "", []
        try:
            destinations = list(conf.destinations())
        except BadSettings as error:
            problem = printable(error.told())
        try:
            standings, unrecorded = read_standings(), ""
        except (NotRecorded, BadSettings) as error:
            standings, unrecorded = {}, printable(error.told())
        return self.page(
            "destinations.html",
            title=_("Who is told of findings"),
            opts=DriftFinding._meta,
            told=_told(destinations, standings),
            problem=problem,
            unrecorded=unrecorded,
            days=LOOKED_BACK.days,
            heartbeat=_heartbeat(),
            may_test=self.may(TEST),
        )


class SendTest(Page):
    """Sends a test message to one destination."""

    permission = "trigger_ops.view_driftfinding"
    not_so = gettext_lazy("Nothing was done: use the buttons in the list of destinations.")

    def post(self, request: HttpRequest) -> HttpResponse:
        """Send it, and say on the list what came of it."""
        self.require(TEST)
        if not spend(request, request.POST.get("nonce", "")):
            messages.error(request, SENT_BEFORE)
            return HttpResponseRedirect(self.url("destinations"))
        name = request.POST.get("destination", "")
        try:
            (sent,) = api.send_test([name])
        except BadSettings as error:
            messages.error(request, printable(error.told()))
        else:
            named = {"name": printable(sent.destination)}
            if sent.error:
                told = _("“%(name)s” was not told: %(error)s")
                messages.error(request, told % {**named, "error": printable(sent.error)})
            else:
                messages.success(request, _("A test was sent to “%(name)s”.") % named)
        return HttpResponseRedirect(self.url("destinations"))


def read_standings() -> dict[str, dict[str, Any]]:
    """Return what waits, was given up and was sent, by the name of the destination.

    Raises:
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    with reading_records() as book:
        recent = Q(given_up__gte=book.now - LOOKED_BACK)
        notices = Notice.objects.using(book.alias)
        rows = notices.values("destination").order_by("destination")
        found: dict[str, dict[str, Any]] = {
            row["destination"]: {**row}
            for row in rows.annotate(
                waits=Count("pk", filter=_WAITING),
                lost=Count("pk", filter=recent),
                next_try=Min("due", filter=_WAITING & ~Q(error="")),
                last_sent=Max("sent"),
            )
        }
        newest = Window(
            RowNumber(),
            partition_by=F("destination"),
            order_by=[F("written").desc(), F("pk").desc()],
        )
        failed = notices.filter(_WAITING | recent).exclude(error="").annotate(place=newest)
        for name, error in failed.filter(place=1).values_list("destination", "error"):
            found[name]["error"] = error
    return found


def _told(
    destinations: Sequence[Destination], standings: Mapping[str, Mapping[str, Any]]
) -> list[Told]:
    """Return those of the settings in their order, then those that only have notices left."""
    known = [
        Told(
            name=one.name,
            shown=printable(one.name),
            backend=printable(one.backend),
            level=columns.level_of(one.level.name),
            kinds=", ".join(sorted(one.kinds)) or _("all"),
            **_standing(standings.get(one.name, {})),
        )
        for one in destinations
    ]
    names = {one.name for one in destinations}
    gone = [
        Told(name=name, shown=printable(name), known=False, **_standing(row))
        for name, row in standings.items()
        if name not in names and (row["waits"] or row["lost"])
    ]
    return [*known, *gone]


def _standing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "waiting": row.get("waits", 0),
        "given_up": row.get("lost", 0),
        "error": printable(row.get("error", "")),
        "next_try": columns.time_of(aware(row["next_try"])) if row.get("next_try") else "",
        "last_sent": columns.time_of(aware(row["last_sent"])) if row.get("last_sent") else "",
    }


def _heartbeat() -> str:
    """Tell how a heartbeat stands, not where it goes: "asked", "none", or "wrong"."""
    try:
        url = conf.heartbeat_url()
        if not url:
            return "none"
        target_of(url)
    except (BadSettings, ValueError):
        return "wrong"
    return "asked"
