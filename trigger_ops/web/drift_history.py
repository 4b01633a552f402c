"""The chart of drift: what the recorded checks of the last 30 days found, day by day."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trigger_ops import api
from trigger_ops.ledger.recording import reading_records
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget
from trigger_ops.states import Level, TargetState
from trigger_ops.web import columns
from trigger_ops.web.charts import WORST_FIRST, Day, Segment, charted
from trigger_ops.web.freshness import stale_banner
from trigger_ops.web.pages import Page

DAYS = 30

SIGNS: Mapping[str, tuple[str, str]] = {
    **{name.lower(): look for name, look in columns.LOOKS.items()},
    "clean": ("good", "✔"),
    "unread": ("warn", "?"),
    "none": ("quiet", columns.NOTHING),
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A day in the table: ``numbers`` are findings by level, the worst first."""

    day: Day
    state: SafeString
    numbers: Sequence[int]
    link: str


class DriftHistory(Page):
    """Drift over time: a strip of days, bars by level, and a table that says the same."""

    permission = "trigger_ops.view_driftrun"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the last 30 days."""
        with reading_records() as book:
            days = read_days(book.alias, _today(book.now))
            now_open = _open(book.alias)
            stale = stale_banner(book)
        chart = charted(days)
        return self.page(
            "chart.html",
            title=_("Drift over 30 days"),
            opts=DriftRun._meta,
            chart=chart,
            cells=[(cell, SIGNS[cell.day.kind][1], _told(cell.day)) for cell in chart.cells],
            segments=[(one, _told_part(one)) for one in chart.segments],
            labels=[(one, date_format(one.date, "MONTH_DAY_FORMAT")) for one in chart.labels],
            legend=[columns.state(*look, word=word_of(kind)) for kind, look in SIGNS.items()],
            bar_legend=[(level.name.lower(), level.name) for level in WORST_FIRST],
            strip_told=_strip_told(days),
            bars_told=_bars_told(days),
            rows=[self._row(day) for day in reversed(days)],
            levels=[level.name for level in WORST_FIRST],
            empty=not any(day.runs for day in days),
            zone=timezone.get_current_timezone_name(),
            open=now_open,
            findings=self._open_findings(),
            stale=stale,
        )

    def _open_findings(self) -> str:
        """Return the address of the open findings, "" for those who may not see them."""
        if not self.may("trigger_ops.view_driftfinding"):
            return ""
        return self._list("driftfinding", {"standing": "open"})

    def _list(self, model: str, query: Mapping[str, object]) -> str:
        try:
            return f"{self.url(f'{model}_changelist')}?{urlencode(query)}"
        except NoReverseMatch:
            return ""

    def _row(self, day: Day) -> Row:
        return Row(
            day=day,
            state=columns.state(*SIGNS[day.kind], word=word_of(day.kind)),
            numbers=[day.levels.get(level, 0) for level in WORST_FIRST],
            link=self._runs_of(day) if day.runs else "",
        )

    def _runs_of(self, day: Day) -> str:
        date = {"year": day.date.year, "month": day.date.month, "day": day.date.day}
        return self._list("driftrun", {f"began__{name}": part for name, part in date.items()})


def _told(day: Day) -> str:
    """Return what a day was, in a sentence."""
    checks = ngettext("%(count)d check", "%(count)d checks", day.runs) % {"count": day.runs}
    date = date_format(day.date, "DATE_FORMAT")
    return f"{date}: {word_of(day.kind)}" + (f", {checks}" if day.runs else "")


def _told_part(part: Segment) -> str:
    """Return what a part of a bar stands for."""
    return f"{date_format(part.day.date, 'DATE_FORMAT')}: {part.count} {part.level.name}"


def _strip_told(days: Sequence[Day]) -> str:
    """Return the strip in a sentence."""
    kinds = Counter(day.kind for day in days)
    told = "; ".join(
        ngettext("%(kind)s on %(count)d day", "%(kind)s on %(count)d days", kinds[kind])
        % {"kind": word_of(kind), "count": kinds[kind]}
        for kind in SIGNS
        if kinds[kind]
    )
    return _("One square a day, the newest last: %(told)s.") % {"told": told}


def _bars_told(days: Sequence[Day]) -> str:
    """Return the bars in a sentence."""
    most = max(days, key=lambda day: day.total)
    last = next((day for day in reversed(days) if day.runs), most)
    told = _("Most were %(most)d on %(day)s; %(last)d at the end of %(last_day)s.")
    return told % {
        "most": most.total,
        "day": date_format(most.date, "DATE_FORMAT"),
        "last": last.total,
        "last_day": date_format(last.date, "DATE_FORMAT"),
    }


def word_of(kind: str) -> str:
    """Return the word for what a day was."""
    words = {
        "clean": _("nothing found"),
        "unread": _("not everything could be read"),
        "none": _("no check ran"),
    }
    return words.get(kind) or kind.upper()


def read_days(alias: str, today: dt.date, number: int = DAYS) -> list[Day]:
    """Return the last days with what whole runs recorded on each, the oldest first."""
    first = today - dt.timedelta(days=number - 1)
    targets = _targets(alias, first)
    totals = {row["day"]: row for row in _totals(targets)}
    levels = _last_levels(targets)
    days = []
    for offset in range(number):
        date = first + dt.timedelta(days=offset)
        row = totals.get(date)
        if row is None:
            days.append(Day(date=date))
            continue
        worst = next((level for level in WORST_FIRST if row[level.name]), None)
        days.append(
            Day(
                date=date,
                runs=row["runs"],
                read=row["read"],
                unread=row["unread"],
                worst=worst,
                levels=levels.get(date, {}),
            )
        )
    return days


def _targets(alias: str, first: dt.date) -> QuerySet[Any]:
    """Return the databases of whole runs that were done with since the beginning of a day."""
    since = dt.datetime.combine(first, dt.time())
    zone = timezone.get_current_timezone() if _uses_zones() else None
    begin = timezone.make_aware(since, zone) if zone is not None else since
    return (
        DriftTarget.objects.using(alias)
        .filter(run__whole=True, run__finished__gte=begin, finished__gte=begin)
        .exclude(state=TargetState.NOT_POSTGRESQL)
        .annotate(day=TruncDate("finished", tzinfo=zone))
    )


def _totals(targets: QuerySet[Any]) -> QuerySet[Any, dict[str, Any]]:
    """Return, for each day, how many runs and databases there were, and which levels at all."""
    totals: QuerySet[Any, dict[str, Any]] = (
        targets.values("day")
        .order_by("day")
        .annotate(
            runs=Count("run", distinct=True),
            read=Count("pk", filter=Q(state=TargetState.OK)),
            unread=Count("pk", filter=~Q(state=TargetState.OK)),
            **{level.name: Count("pk", filter=Q(levels__has_key=level.name)) for level in Level},
        )
    )
    return totals


def _last_levels(targets: QuerySet[Any]) -> dict[dt.date, Counter[Level]]:
    """Return how many findings of each level there were as each day ended, over all databases."""
    last = (
        targets.filter(state=TargetState.OK)
        .order_by("day", "database", "-finished", "-pk")
        .distinct("day", "database")
        .values_list("day", "levels")
    )
    found: dict[dt.date, Counter[Level]] = {}
    for day, levels in last:
        total = found.setdefault(day, Counter())
        total.update({Level[name]: number for name, number in levels.items()})
    return found


def _open(alias: str) -> list[tuple[SafeString, int]]:
    """Return how many findings are open now, by level, the worst first."""
    found = DriftFinding.objects.using(alias).filter(
        resolved__isnull=True, database__in=api.postgres_aliases()
    )
    counts = dict(found.values_list("level").annotate(number=Count("pk")).order_by())
    return [
        (columns.level_of(level.name), counts[level.name])
        for level in WORST_FIRST
        if level.name in counts
    ]


def _today(now: dt.datetime) -> dt.date:
    """Return the day that it is for whoever looks."""
    zone = timezone.get_current_timezone() if _uses_zones() else dt.UTC
    return now.astimezone(zone).date()


def _uses_zones() -> bool:
    """Tell whether times are kept with their zone; without it they are read in UTC here."""
    return timezone.is_aware(timezone.now())
