"""The page of all triggers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from trigger_ops.drift import Listing
from trigger_ops.exceptions import nearest
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering import documents, listings
from trigger_ops.rendering.wording import printable
from trigger_ops.web.detail_repair import BUTTONS, PERMISSIONS
from trigger_ops.web.evidence import evidence
from trigger_ops.web.pages import Page
from trigger_ops.web.searching import (
    FIELDS,
    Described,
    Search,
    counted,
    described,
    read_search,
    sentence,
)
from trigger_ops.web.trigger_table import TriggerTable, headings
from trigger_ops.web.verdict import verdict

FORMATS = ("html", "json", "csv")
A_PAGE, LONGEST_PAGE = 50, 200
"""How many rows a page has, and how many it may be asked to have."""

MOST_VALUES = 20
"""So many values of one field are offered as links; the others can be typed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One value to narrow the list down to, or to take back where it is ``chosen``."""

    label: str
    number: int
    address: str
    chosen: bool


class TriggerList(Page):
    """All triggers: the verdict, what needs attention first, and how to narrow it down."""

    _asked: Mapping[str, Sequence[str]] = {}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the list, or give it as a file."""
        wanted = request.GET.get("format", "html")
        if wanted not in FORMATS:
            told = _('There is no format "%(format)s": %(nearest)s') % {
                "format": printable(wanted),
                "nearest": nearest(wanted, FORMATS).told(),
            }
            return self.sentence(told, status=400)
        seen = evidence(afresh=request.GET.get("look") == "again")
        every = [described(one) for one in seen.listing.triggers]
        search = read_search(request.GET, every)
        self._asked = _lasting(request.GET, search)
        found = [one.trigger for one in every if search.matches(one)]
        if wanted != "html":
            if search.problems:  # a program must not take everything for what it asked for
                return self.sentence(" ".join(search.problems), status=400)
            return _file(_narrowed(seen.listing, found, search), wanted)
        return self.page(
            "triggers.html",
            title=_("Triggers"),
            **self._above(seen.listing, seen.seen),
            **self._narrowing(search, every, len(found)),
            **self._table(found),
        )

    def _above(self, listing: Listing, seen: dt.datetime) -> dict[str, Any]:
        """Return the verdict and how old it is."""
        told = verdict(listing)
        age = max(0, round((dt.datetime.now(dt.UTC) - seen).total_seconds()))
        local = timezone.localtime(seen)
        return {
            "verdict": told,
            "counts": [(one, f"?{urlencode(one.filters)}") for one in told.counts],
            "age": age,
            "seen_iso": local.isoformat(),
            "seen_at": date_format(local, "H:i:s T"),
            "again": self._address(look="again"),
        }

    def _narrowing(self, search: Search, every: Sequence[Described], shown: int) -> dict[str, Any]:
        """Return the search box, the filters that are on, and those that could be."""
        counts = counted(search, every)
        return {
            "search": search,
            "sentence": sentence(search),
            "total": len(every),
            "shown": shown,
            "kept": [
                (name, value)
                for name, values in self._asked.items()
                if name != "q"
                for value in values
            ],
            "groups": [
                (field, choices)
                for field in FIELDS
                if (choices := self._choices(field.name, search, counts[field.name], shown))
            ],
            "active": self._active(search),
            "clear": self._address(**dict.fromkeys([field.name for field in FIELDS]), q=None),
            "terms": [field.term for field in FIELDS],
            "formats": [
                ("json", "application/json", self._address(format="json")),
                ("csv", "text/csv", self._address(format="csv")),
            ],
        }

    def _choices(
        self, name: str, search: Search, counts: Counter[str], shown: int
    ) -> list[Choice]:
        """Return the values of a field that occur, the most frequent first."""
        chosen = search.filters.get(name, ())
        values = [value for value, _number in counts.most_common()]
        offered = [*chosen, *(one for one in values if one not in chosen)][:MOST_VALUES]
        if not chosen and all(counts[value] == shown for value in values):
            return []  # it would narrow nothing down
        return [
            Choice(
                printable(value),
                counts[value],
                self._toggled(name, value, chosen),
                value in chosen,
            )
            for value in offered
        ]

    def _active(self, search: Search) -> list[tuple[str, str]]:
        """Return what narrows the list down now, each with the address without it."""
        found = [
            (f"{field.title}: {printable(value)}", self._toggled(field.name, value, values))
            for field in FIELDS
            for values in [search.filters.get(field.name, ())]
            for value in values
        ]
        if search.text:
            told = f"{_('Search')}: {printable(search.text)}"
            found.append((told, self._address(q=None)))
        return found

    def _table(self, found: Sequence[InspectedTrigger]) -> dict[str, Any]:
        """Return the table, its headings, its pages and what can be done to its rows."""
        asked = self.request.GET
        actions = [
            (verb.value, label)
            for verb, label in BUTTONS.items()
            if self.may(f"trigger_ops.{PERMISSIONS[verb]}")
        ]
        table = TriggerTable(
            found,
            order_by=asked.getlist("sort"),
            address=self._page_of,
            may_act=bool(actions),
            all_chosen=asked.get("choose") == "page",
        )
        table.paginate(per_page=_per_page(asked))
        table.page = table.paginator.get_page(asked.get("page"))
        number = table.page.number
        return {
            "table": table,
            "headings": headings(table, lambda column: self._address(sort=column)),
            "actions": actions,
            "choose": self._address(choose="page", page=number),
            "pages": self._pages(table),
            "here": str(number),
        }

    def _pages(self, table: TriggerTable) -> list[tuple[str, str]]:
        """Return the numbers of the pages with their addresses; "" for this one and for gaps."""
        pages, here = table.paginator, table.page.number
        if pages.num_pages == 1:
            return []
        return [
            (str(one), self._address(page=one) if isinstance(one, int) and one != here else "")
            for one in pages.get_elided_page_range(here)
        ]

    def _page_of(self, one: InspectedTrigger) -> str:
        where = urlencode({"database": one.database, "schema": one.schema or ""})
        return f"{self.url('trigger_detail', uri=one.uri)}?{where}"

    def _toggled(self, name: str, value: str, chosen: Iterable[str]) -> str:
        """Return the address with a value of a field more, or less."""
        left = [one for one in chosen if one != value]
        return self._address(**{name: left if value in chosen else [*left, value]})

    def _address(self, **changes: Any) -> str:
        """Return the address of this page with these changes: None takes away."""
        asked = dict(self._asked)
        for name, value in changes.items():
            asked[name] = value if isinstance(value, list) else [] if value is None else [value]
        return f"?{urlencode(asked, doseq=True)}"


def _lasting(asked: QueryDict, search: Search) -> dict[str, Sequence[str]]:
    """Return what of an address lasts from one link to the next, as far as it was understood."""
    found: dict[str, Sequence[str]] = {
        **search.filters,
        "q": [search.text],
        "sort": asked.getlist("sort"),
        "per_page": asked.getlist("per_page"),
    }
    return {name: values for name, values in found.items() if any(values)}


def _narrowed(listing: Listing, found: Sequence[InspectedTrigger], search: Search) -> Listing:
    """Return what is shown, as a listing of the databases that are asked for."""
    asked: Mapping[str, Sequence[str]] = search.filters
    aliases = asked.get("database") or [one.alias for one in listing.databases]
    return dataclasses.replace(
        listing,
        triggers=tuple(found),
        databases=tuple(one for one in listing.databases if one.alias in aliases),
    )


def _file(listing: Listing, wanted: str) -> HttpResponse:
    if wanted == "json":
        text = documents.as_json(documents.listing_document(listing))
        return HttpResponse(f"{text}\n", content_type="application/json")
    response = HttpResponse(
        listings.as_csv(listing.triggers), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="triggers.csv"'
    return response


def _per_page(asked: QueryDict) -> int:
    try:
        return min(max(int(asked.get("per_page", A_PAGE)), 1), LONGEST_PAGE)
    except ValueError:
        return A_PAGE
