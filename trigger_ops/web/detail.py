"""The page of one trigger."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from trigger_ops import api
from trigger_ops.api.inspecting import known
from trigger_ops.drift import Finding, Listing
from trigger_ops.exceptions import DatabaseUnreadable, UnknownSelector, nearest
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.rendering.facets import facet_sides
from trigger_ops.rendering.wording import place, printable
from trigger_ops.states import Status, Verb
from trigger_ops.web import comparing, detail_facts, detail_history, detail_repair
from trigger_ops.web.columns import english, runbook_of
from trigger_ops.web.evidence import evidence
from trigger_ops.web.highlighting import highlighted
from trigger_ops.web.keys import key_of
from trigger_ops.web.pages import Page

UNIFIED = "unified"
"""``?view=unified``: one text below the other."""

WHOLE = "all"
"""``?lines=all``: what is the same on both sides is not folded."""

LASTS = "30m"
"""How long a disable lasts unless somebody says otherwise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A trigger where it was asked for, what its database is like, and in which scope it is."""

    trigger: InspectedTrigger
    database: InspectedDatabase | None
    others: Sequence[InspectedTrigger]
    seen: dt.datetime
    scope: Scope = dataclasses.field(default_factory=Scope)


class TriggerDetail(Page):
    """One trigger in one place: what the code says, what the database has, what was done to it."""

    def get(self, request: HttpRequest, uri: str) -> HttpResponse:
        """Show it."""
        found = _find(uri, request.GET.get("database"), request.GET.get("schema"))
        trigger = found.trigger
        lease = detail_repair.lease_of(trigger)
        return self.page(
            "detail.html",
            title=printable(trigger.uri),
            trigger=trigger,
            place=printable(place(trigger.database, trigger.schema, trigger.table)),
            seen=found.seen,
            others=[(self._place_of(one), self._address(one)) for one in found.others],
            badges=detail_facts.badges(trigger),
            meaning=detail_facts.meaning(trigger),
            reason=english(printable(trigger.reason)),
            purposes=detail_facts.purposes(trigger),
            findings=[
                self._told(one) for one in detail_repair.findings(trigger, found.database, lease)
            ],
            facts=detail_facts.sides(trigger),
            details=detail_facts.details(trigger, lease),
            lease=lease,
            repairs=[_painted(one) for one in detail_repair.repairs(trigger, found.scope)],
            buttons=self._buttons(trigger),
            chosen=key_of(trigger),
            lasts=LASTS,
            changes=detail_history.changes(self, trigger),
            findings_over_time=detail_history.findings_over_time(self, trigger),
            sessions=detail_history.sessions(self, trigger),
            **self._compared(trigger),
            **_whole(trigger),
        )

    def _compared(self, trigger: InspectedTrigger) -> dict[str, Any]:
        """Return both sides of each facet that differs, where there are two sides."""
        is_unified = self.request.GET.get("view") == UNIFIED
        whole = self.request.GET.get("lines") == WHOLE
        both = trigger.registered is not None and trigger.installed is not None
        comparisons = [
            (
                detail_facts.FACETS[facet],
                _rows(registered, installed, is_unified=is_unified, whole=whole),
            )
            for facet, registered, installed in (facet_sides(trigger) if both else [])
        ]
        here = {"lines": WHOLE} if whole else {}
        view = {"view": UNIFIED} if is_unified else {}
        return {
            "comparisons": comparisons,
            "unified": is_unified,
            "folded": any(
                isinstance(row, comparing.Gap) for _facet, rows in comparisons for row in rows
            ),
            "side_by_side_url": self._address(trigger, **here),
            "unified_url": self._address(trigger, **here, view=UNIFIED),
            "whole_url": self._address(trigger, **view, lines=WHOLE),
        }

    def _buttons(self, trigger: InspectedTrigger) -> list[tuple[str, object, bool]]:
        """Return what whoever asks may do: the action, its label, and whether it has an end."""
        return [
            (verb.value, detail_repair.BUTTONS[verb], verb is Verb.DISABLE)
            for verb in detail_repair.actions(trigger)
            if self.may(f"trigger_ops.{detail_repair.PERMISSIONS[verb]}")
        ]

    def _address(self, trigger: InspectedTrigger, **more: str) -> str:
        where = {"database": trigger.database, "schema": trigger.schema or "", **more}
        return f"{self.url('trigger_detail', uri=trigger.uri)}?{urlencode(where)}"

    def _told(self, finding: Finding) -> dict[str, Any]:
        """Return a finding as it is shown."""
        code = finding.id.removeprefix("trigger_ops.")
        return {
            "id": code,
            "page": runbook_of(finding.id, self.url("runbook", code=code)),
            "level": finding.level.name,
            "message": english(printable(finding.message)),
            "fix": english(printable(finding.fix)),
        }

    @staticmethod
    def _place_of(trigger: InspectedTrigger) -> str:
        where = place(trigger.database, trigger.schema, trigger.table)
        return printable(f"{where}: {trigger.status}")


def _find(uri: str, database: str | None, schema: str | None) -> Found:
    """Return the trigger that an address names, the first one where it leaves the place open.

    Raises:
        UnknownSelector, UnknownDatabase, UnknownSchema: naming the nearest.
        DatabaseUnreadable: where it may be in a database that does not answer.
    """
    if database is not None:
        known(database)
    seen = evidence()
    # One that the routers keep away is in every other database by name alone.
    matching = sorted(
        (one for one in seen.listing.triggers if one.uri == uri),
        key=lambda one: one.status is Status.UNALLOWED and one.installed is None,
    )
    for one in matching:
        if database in (None, one.database) and schema in (None, one.schema or ""):
            others = [other for other in matching if other is not one]
            return Found(one, _database(seen.listing, one.database), others, seen.seen)
    for target in seen.listing.databases:
        if target.status == "unreachable" and database in (None, target.alias):
            raise DatabaseUnreadable(target.reason)
    if database is not None and schema:
        return _find_off_the_path(uri, database, schema)
    raise _unknown(uri, seen.listing)


def _find_off_the_path(uri: str, database: str, schema: str) -> Found:
    """Return a trigger in a schema that is not on the search_path, such as a tenant's."""
    scope = Scope(path=(schema,))
    listing = api.survey(databases=[database], scope=scope)
    for one in listing.triggers:
        if one.uri == uri and one.schema == schema:
            now = dt.datetime.now(dt.UTC)
            return Found(one, _database(listing, database), [], now, scope)
    raise _unknown(uri, listing)


def _unknown(uri: str, listing: Listing) -> UnknownSelector:
    near = printable(nearest(uri, [one.uri for one in listing.triggers]).told())
    return UnknownSelector(
        _('There is no trigger "%(uri)s" there: %(nearest)s')
        % {"uri": printable(uri), "nearest": near}
    )


def _database(listing: Listing, alias: str) -> InspectedDatabase | None:
    return next((one for one in listing.databases if one.alias == alias), None)


def _painted(repair: detail_repair.Repair) -> dict[str, Any]:
    """Return a repair with its statements in colours."""
    return {
        "repair": repair,
        "moves": [(move, highlighted(move.sql)) for move in repair.moves],
    }


def _rows(
    registered: str, installed: str, *, is_unified: bool, whole: bool
) -> Sequence[comparing.Row | comparing.Gap]:
    rows = comparing.side_by_side(registered, installed)
    if is_unified:
        rows = comparing.unified(rows)
    shown = rows if whole else comparing.folded(rows)
    return [comparing.shown(row) if isinstance(row, comparing.Row) else row for row in shown]


def _whole(trigger: InspectedTrigger) -> dict[str, Any]:
    """Return the complete SQL of both sides, "" for a side that there is not."""
    problem = ""
    try:
        installed = detail_facts.installed_sql(trigger)
    except DatabaseUnreadable as error:
        installed, problem = "", printable(error.told())
    return {
        "registered_sql": highlighted(detail_facts.registered_sql(trigger)),
        "installed_sql": highlighted(installed),
        "installed_problem": problem,
    }
