"""Findings over time: when each was seen first, what became of it, and who answers for it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops.models import Allowance, DriftFinding, FindingEvent
from trigger_ops.rendering.wording import printable
from trigger_ops.web import columns
from trigger_ops.web.columns import Table
from trigger_ops.web.destinations import DestinationList, SendTest
from trigger_ops.web.filters import OfRun, choosing, occurring
from trigger_ops.web.pages import placed
from trigger_ops.web.records import RecordAdmin

MOST = 200
"""So many events and allowances of a finding are shown, the newest first."""

_finding = columns.fields_of(DriftFinding)


def _standing(row: DriftFinding) -> str:
    if row.resolved is not None:
        return columns.state("good", "✔", _("resolved"))
    if row.allowed:
        return columns.state("quiet", "○", _("allowed"))
    return columns.state("warn", "▲", _("open"))


def _code(row: DriftFinding) -> str:
    return printable(row.code.removeprefix("trigger_ops."))


class DriftFindingAdmin(RecordAdmin):
    """Findings over time: when each was seen first, and when it was gone."""

    ages = True
    nothing = gettext_lazy("No recorded check has found anything.")
    list_display = (
        columns.named(_code, _finding("code").verbose_name, ordering="code"),
        columns.level(_finding("level")),
        columns.named(_standing, gettext_lazy("Standing"), ordering="resolved"),
        columns.sentence(_finding("message")),
        columns.text(_finding("uri")),
        columns.text(_finding("database")),
        columns.moment(_finding("first_seen")),
        columns.moment(_finding("resolved")),
    )
    list_filter = (
        choosing(
            "standing",
            gettext_lazy("standing"),
            {
                "open": (gettext_lazy("open"), Q(resolved__isnull=True, allowed=False)),
                "allowed": (gettext_lazy("allowed"), Q(resolved__isnull=True, allowed=True)),
                "resolved": (gettext_lazy("resolved"), Q(resolved__isnull=False)),
            },
        ),
        occurring("level", _finding("level").verbose_name),
        occurring("code", _finding("code").verbose_name),
        occurring("database", _finding("database").verbose_name),
        occurring("status", _finding("status").verbose_name),
        OfRun,
    )
    date_hierarchy = "first_seen"
    ordering = ("-first_seen", "-id")
    search_fields = ("uri", "trigger", "table", "code", "message")
    shown = (
        "runbook",
        columns.level(_finding("level")),
        columns.named(_standing, gettext_lazy("Standing")),
        columns.sentence(_finding("message"), whole=True),
        columns.sentence(_finding("fix"), whole=True),
        *(columns.moment(_finding(name)) for name in ("first_seen", "last_seen", "resolved")),
        *(
            columns.text(_finding(name), whole=True)
            for name in ("uri", "database", "schema", "table", "trigger", "status", "enabled")
        ),
        columns.named(lambda row: columns.listed(row.facets), _finding("facets").verbose_name),
        columns.text(_finding("count"), whole=True),
    )

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the findings, and of whom they are told."""
        site = self.admin_site
        return [
            path("told/", placed(site, DestinationList), name="trigger_ops_destinations"),
            path("told/test/", placed(site, SendTest), name="trigger_ops_destination_test"),
            *super().get_urls(),
        ]

    def pages(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """Return whom findings are told, and the chart."""
        pages = [(_("Who is told of findings"), self.address("destinations"))]
        if request.user.has_perm("trigger_ops.view_driftrun"):
            pages.append((_("Drift over 30 days"), self.address("drift_history")))
        return [(told, address) for told, address in pages if address]

    def pages_of(self, request: HttpRequest, row: DriftFinding) -> Sequence[tuple[str, str]]:
        """Return the page of the trigger, and the form for an allowance."""
        pages = []
        if row.uri and request.user.has_perm("trigger_ops.view_trigger"):
            query = urlencode({"database": row.database, "schema": row.schema})
            pages.append((_("The trigger"), self.address("trigger_detail", query, uri=row.uri)))
        if row.resolved is None and request.user.has_perm("trigger_ops.review_session"):
            query = urlencode({"finding": row.pk})
            pages.append((_("Allow it for a while"), self.address("allowance_add", query)))
        return [(told, address) for told, address in pages if address]

    def tables(self, request: HttpRequest, row: DriftFinding) -> Sequence[Table]:
        """Return what happened to a finding, and who answered for it."""
        tables = [self._events(request, row)]
        if request.user.has_perm("trigger_ops.view_allowance"):
            tables.append(self._allowances(request, row))
        return tables

    def _events(self, request: HttpRequest, row: DriftFinding) -> Table:
        events = FindingEvent.objects.using(self.alias(request)).filter(finding=row)
        runs = request.user.has_perm("trigger_ops.view_driftrun")
        rows = [
            (
                columns.time_of(one.at),
                printable(one.kind),
                str(one.count),
                columns.english(printable(one.message)),
                columns.link(
                    self.address("driftrun_change", object_id=one.run) if runs and one.run else "",
                    str(one.run or columns.NOTHING),
                ),
            )
            for one in events.order_by("-pk")[:MOST]
        ]
        return Table(
            title=_("What happened to it"),
            caption=_("The newest first"),
            heads=[_("When"), _("Event"), _("Count"), _("Told"), _("Run")],
            rows=rows,
            nothing=_("Nothing is on record."),
        )

    def _allowances(self, request: HttpRequest, row: DriftFinding) -> Table:
        found = Allowance.objects.using(self.alias(request)).filter(key=row.key)
        rows = [
            (
                columns.link(self.address("allowance_change", object_id=one.pk), str(one.pk)),
                printable(one.owner),
                printable(one.reason),
                columns.time_of(one.since),
                columns.time_of(one.ended or one.expires),
            )
            for one in found.order_by("-pk")[:MOST]
        ]
        return Table(
            title=_("Allowances"),
            caption=_("Who answers for it, or did, the newest first"),
            heads=[_("Number"), _("Owner"), _("Reason"), _("Since"), _("Until")],
            rows=rows,
            nothing=_("Nobody answers for it."),
        )
