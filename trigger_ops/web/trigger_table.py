"""The table of triggers: its columns, its order, and how each cell reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import django_tables2 as tables
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering.wording import place, printable
from trigger_ops.states import Enabled, Facet, Status
from trigger_ops.web.columns import NOTHING, link, state
from trigger_ops.web.detail_facts import badges, kind_of
from trigger_ops.web.keys import key_of

CALM = 99
"""The rank of what needs no attention."""

_RANKS = {
    Status.TAMPERED: 0,
    Status.UNINSTALLED: 1,
    Status.OUTDATED: 2,
    Status.PRUNE: 3,
    Status.UNKNOWN: 6,
}
_UNALLOWED_YET_THERE, _WRONG_MODE = 4, 5


def rank(one: InspectedTrigger) -> int:
    """Return how soon a trigger needs attention: 0 is the worst, :data:`CALM` needs none."""
    if one.status in _RANKS:
        return _RANKS[one.status]
    if one.status is Status.UNALLOWED and one.installed is not None:
        return _UNALLOWED_YET_THERE
    if one.status is Status.INSTALLED and Facet.ENABLED in one.facets:
        return _WRONG_MODE
    return CALM


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One trigger of the table; its attributes are what the columns are sorted by."""

    trigger: InspectedTrigger
    severity: tuple[int, int]
    status: str
    enabled: str
    uri: str
    table: str
    database: str
    schema: str
    kind: str
    facets: str


_STATUSES = tuple(Status)


def row_of(one: InspectedTrigger) -> Row:
    """Return the row of a trigger."""
    return Row(
        trigger=one,
        severity=(rank(one), _STATUSES.index(one.status)),
        status=one.status.value,
        enabled=one.enabled.value,
        uri=printable(one.uri),
        table=printable(one.table),
        database=printable(one.database),
        schema=printable(one.schema or ""),
        kind=printable(kind_of(one.registered)) if one.registered else "",
        facets=", ".join(facet.value for facet in one.facets),
    )


class TriggerTable(tables.Table):  # type: ignore[misc]  # it has no hints
    """Triggers, the worst first unless a column is chosen to sort by."""

    chosen = tables.Column(verbose_name=gettext_lazy("Choose"), orderable=False, empty_values=())
    status = tables.Column(verbose_name=gettext_lazy("Status"), order_by=("severity",))
    enabled = tables.Column(verbose_name=gettext_lazy("Enabled mode"))
    uri = tables.Column(verbose_name=gettext_lazy("Trigger"))
    table = tables.Column(verbose_name=gettext_lazy("Table"))
    database = tables.Column(verbose_name=gettext_lazy("Database"))
    schema = tables.Column(verbose_name=gettext_lazy("Schema"))
    kind = tables.Column(verbose_name=gettext_lazy("Kind"))
    facets = tables.Column(verbose_name=gettext_lazy("Differs in"))

    class Meta:
        """Of the table."""

        default = NOTHING
        order_by_field = "sort"

    def __init__(
        self,
        triggers: Sequence[InspectedTrigger],
        *,
        order_by: Sequence[str],
        address: Callable[[InspectedTrigger], str],
        may_act: bool,
        all_chosen: bool,
    ) -> None:
        """Take triggers in registry order. ``address`` is of a trigger's own page."""
        self._address = address
        self._all_chosen = all_chosen
        columns = [one for one in order_by if one.removeprefix("-") in self.base_columns]
        super().__init__(
            sorted(map(row_of, triggers), key=lambda row: row.severity[0]),
            order_by=tuple(columns) or None,
            exclude=() if may_act else ("chosen",),
        )

    def render_chosen(self, record: Row) -> SafeString:
        """Return the box that chooses a trigger."""
        one = record.trigger
        where = printable(place(one.database, one.schema, one.table))
        return format_html(
            '<input type="checkbox" name="chosen" value="{}" aria-label="{}"{}>',
            key_of(one),
            _("Choose %(uri)s in %(place)s") % {"uri": record.uri, "place": where},
            SafeString(" checked") if self._all_chosen else "",
        )

    def render_status(self, record: Row) -> SafeString:
        """Return the status with its sign and colour."""
        badge = badges(record.trigger)[0]
        return state(badge.tone, badge.sign, badge.word)

    def render_enabled(self, record: Row) -> str:
        """Return when it fires; what is not there has no such mode."""
        found = badges(record.trigger)[1:]
        if not found or record.trigger.enabled is Enabled.NOT_APPLICABLE:
            return NOTHING
        return state(found[0].tone, found[0].sign, found[0].word)

    def render_uri(self, record: Row) -> str:
        """Return the URI, as the link to the page of the trigger."""
        try:
            return link(self._address(record.trigger), record.uri)
        except NoReverseMatch:  # a name with a line feed in it has no address
            return record.uri


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """The heading of a column: ``address`` sorts by it, ``sort`` is what ``aria-sort`` says."""

    name: str
    title: str
    address: str = ""
    sort: str = ""
    sign: str = ""


def headings(table: TriggerTable, address: Callable[[str], str]) -> list[Heading]:
    """Return the headings of a table; ``address`` is of the list sorted by a column."""
    return [_heading(column, address) for column in table.columns]


def _heading(column: Any, address: Callable[[str], str]) -> Heading:
    title = str(column.header)
    if not column.orderable:
        return Heading(name=column.name, title=title)
    sort, sign = "none", ""
    if column.is_ordered:
        down = column.order_by_alias.is_descending
        sort, sign = ("descending", "▼") if down else ("ascending", "▲")
    following = column.order_by_alias.next if column.is_ordered else column.name
    return Heading(
        name=column.name, title=title, address=address(str(following)), sort=sort, sign=sign
    )
