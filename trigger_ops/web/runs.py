"""Recorded checks: which databases each looked at, and what it changed among the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops.models import DriftRun, DriftTarget, FindingEvent
from trigger_ops.rendering.wording import printable
from trigger_ops.states import TargetState
from trigger_ops.web import columns
from trigger_ops.web.columns import Table
from trigger_ops.web.drift_history import DriftHistory
from trigger_ops.web.filters import choosing, occurring
from trigger_ops.web.pages import placed
from trigger_ops.web.records import RecordAdmin

MOST = 200
"""So many events of a run are shown."""

_run = columns.fields_of(DriftRun)

STATES: dict[str, tuple[str, str]] = {
    TargetState.OK.value: ("good", "✔"),
    TargetState.WAITING.value: ("quiet", "○"),
    TargetState.RUNNING.value: ("quiet", "○"),
    TargetState.NOT_POSTGRESQL.value: ("quiet", columns.NOTHING),
}


def _outcome(row: DriftRun) -> str:
    if row.finished is None:
        return columns.state("quiet", "○", _("under way"))
    if row.complete:
        return columns.state("good", "✔", _("complete"))
    return columns.state("warn", "▲", _("incomplete"))


def _levels(row: DriftRun) -> str:
    total: Counter[str] = Counter()
    for target in row.targets.all():
        total.update(target.levels)
    return columns.counts_of(total)


def _databases(row: DriftRun) -> str:
    return columns.listed(target.database for target in row.targets.all())


class DriftRunAdmin(RecordAdmin):
    """Recorded checks, each with the databases that it looked at."""

    ages = True
    nothing = gettext_lazy("No check is on record: run manage.py pgtrigger check --record")
    list_display = (
        columns.moment(_run("began")),
        columns.named(_outcome, gettext_lazy("Outcome"), ordering="complete"),
        columns.named(_levels, gettext_lazy("Findings by level")),
        columns.named(_databases, gettext_lazy("Databases")),
        columns.text(_run("source")),
        columns.text(_run("holder")),
        columns.text(_run("scope")),
    )
    list_filter = (
        choosing(
            "outcome",
            gettext_lazy("outcome"),
            {
                "complete": (gettext_lazy("complete"), Q(complete=True)),
                "incomplete": (
                    gettext_lazy("incomplete"),
                    Q(complete=False, finished__isnull=False),
                ),
                "running": (gettext_lazy("under way"), Q(finished__isnull=True)),
            },
        ),
        occurring("source", _run("source").verbose_name),
        occurring("holder", _run("holder").verbose_name),
        occurring("scope", _run("scope").verbose_name),
    )
    date_hierarchy = "began"
    ordering = ("-began",)
    search_fields = ("id", "holder", "scope", "targets__database", "targets__reason")
    shown = (
        columns.text(_run("id"), whole=True),
        columns.named(_outcome, gettext_lazy("Outcome")),
        columns.moment(_run("began")),
        columns.moment(_run("finished")),
        *(columns.text(_run(name), whole=True) for name in ("source", "holder", "scope")),
    )

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the runs, and of their chart."""
        chart = placed(self.admin_site, DriftHistory)
        return [path("history/", chart, name="trigger_ops_drift_history"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return runs with their databases."""
        targets = DriftTarget.objects.using(self.alias(request)).order_by("pk")
        prefetched = models.Prefetch("targets", targets)
        return super().get_queryset(request).prefetch_related(prefetched)

    def pages(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """Return the chart."""
        return [(_("Drift over 30 days"), self.address("drift_history"))]

    def pages_of(self, request: HttpRequest, row: DriftRun) -> Sequence[tuple[str, str]]:
        """Return the findings to which something happened in a run."""
        address = self.list_of(request, "driftfinding", urlencode({"run": row.id}))
        return [(_("Findings that this run opened, changed or ended"), address)] if address else []

    def tables(self, request: HttpRequest, row: DriftRun) -> Sequence[Table]:
        """Return the databases of a run, and what happened to findings."""
        return [self._targets(row), self._events(request, row)]

    def _targets(self, row: DriftRun) -> Table:
        heads = (_("Database"), _("State"), _("Findings by level"), _("Triggers"), _("Schemas"))
        rows = [
            (
                printable(one.database),
                columns.state(*STATES.get(one.state, ("bad", "✖")), word=printable(one.state)),
                columns.counts_of(one.levels),
                str(one.triggers),
                str(one.schemas),
                _("%(ms)s ms") % {"ms": one.ms},
                columns.english(printable(one.reason)) or columns.NOTHING,
            )
            for one in row.targets.all()
        ]
        return Table(
            title=_("Databases"),
            caption=_("What came of each database"),
            heads=[*heads, _("Took"), _("Reason")],
            rows=rows,
            nothing=_("No database is on record for this run."),
        )

    def _events(self, request: HttpRequest, row: DriftRun) -> Table:
        events = list(
            FindingEvent.objects.using(self.alias(request))
            .filter(run=row.id)
            .select_related("finding")
            .order_by("pk")[: MOST + 1]
        )
        seen = request.user.has_perm("trigger_ops.view_driftfinding")
        rows = [
            (
                printable(one.kind),
                columns.link(
                    self.address("driftfinding_change", object_id=one.finding_id) if seen else "",
                    printable(one.finding.code.removeprefix("trigger_ops.")),
                ),
                columns.level_of(one.finding.level),
                printable(one.finding.uri or one.finding.database),
                columns.english(printable(one.message)),
            )
            for one in events[:MOST]
        ]
        note = _("There are more: see the findings of this run.") if len(events) > MOST else ""
        return Table(
            title=_("What changed"),
            caption=_("What happened to findings in this run"),
            heads=[_("Event"), _("ID"), _("Level"), _("About"), _("Told")],
            rows=rows,
            nothing=_("Nothing changed: what this run found was known, or it found nothing."),
            note=note,
        )
