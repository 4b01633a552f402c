"""What is recorded in the database that it happened in: what was done to triggers, and rows written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops import api
from trigger_ops.exceptions import NotRecorded, UnknownDatabase, nearest
from trigger_ops.ledger.guard import guard_home
from trigger_ops.ledger.tables import home
from trigger_ops.models import Change, LedgerEntry
from trigger_ops.rendering.wording import printable
from trigger_ops.web import columns
from trigger_ops.web.columns import Table
from trigger_ops.web.filters import OfDatabase, occurring
from trigger_ops.web.records import RecordAdmin

_entry = columns.fields_of(LedgerEntry)
_change = columns.fields_of(Change)


class PlacedList(ChangeList):
    """A list whose rows lead to pages that read from the same database."""

    def url_for_result(self, result: Any) -> str:
        """Return the address of the page of a row."""
        place = urlencode({OfDatabase.parameter_name: self.root_queryset.db})
        return f"{super().url_for_result(result)}?{place}"


class PlacedAdmin(RecordAdmin):
    """Rows that each database has of its own: ``?using=`` says which one is read."""

    def aliases(self) -> list[str]:
        """Return the databases that may have such rows."""
        return api.postgres_aliases()

    def alias(self, request: HttpRequest) -> str:
        """Return the database that is asked for, or the first one."""
        aliases = self.aliases()
        kept = parse_qs(request.GET.get("_changelist_filters", ""))
        asked = request.GET.get(OfDatabase.parameter_name)
        asked = asked or (kept.get(OfDatabase.parameter_name) or [""])[-1]
        if asked and asked not in aliases:
            told = _("There is no PostgreSQL database “%(alias)s”: %(nearest)s")
            raise UnknownDatabase(
                told % {"alias": printable(asked), "nearest": nearest(asked, aliases).told()}
            )
        if not aliases:
            raise UnknownDatabase(
                _("No database of this project is PostgreSQL: add one to settings.DATABASES.")
            )
        return asked or aliases[0]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return a list that remembers the database."""
        return PlacedList

    def migrated(self, alias: str) -> bool:
        """Tell whether a database has the tables."""
        return home(alias) is not None

    def look(self, request: HttpRequest) -> None:
        """See whether the database that is asked for has the tables.

        Raises:
            TriggerOpsError: in a sentence that says what to do.
        """
        alias = self.alias(request)
        if not self.migrated(alias):
            told = _(
                "“%(alias)s” has none of these tables: run manage.py migrate --database %(alias)s"
            )
            raise NotRecorded(told % {"alias": printable(alias)})

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Say which database is shown."""
        alias = printable(self.alias(request))
        told = _("Read from the database “%(alias)s”.") % {"alias": alias}
        return super().changelist_view(request, {"told": told, **(extra_context or {})})


class LedgerEntryAdmin(PlacedAdmin):
    """The ledger: every run that changed triggers, statement by statement."""

    nothing = gettext_lazy("Nothing was done to triggers by this project's commands or pages.")
    list_display = (
        columns.moment(_entry("at")),
        columns.text(_entry("kind")),
        columns.text(_entry("verb")),
        columns.text(_entry("uri")),
        columns.text(_entry("table")),
        columns.text(_entry("actor")),
        columns.text(_entry("reason"), wide=True),
        columns.text(_entry("outcome")),
    )
    list_filter = (
        OfDatabase,
        occurring("verb", _entry("verb").verbose_name),
        occurring("kind", _entry("kind").verbose_name),
        occurring("outcome", _entry("outcome").verbose_name),
        occurring("actor", _entry("actor").verbose_name),
        occurring("schema", _entry("schema").verbose_name),
    )
    date_hierarchy = "at"
    ordering = ("-id",)
    search_fields = ("uri", "trigger", "table", "actor", "reason", "run")
    shown = (
        *(columns.text(_entry(name), whole=True) for name in ("run", "kind", "verb")),
        *(columns.moment(_entry(name)) for name in ("at", "began")),
        *(
            columns.text(_entry(name), whole=True)
            for name in ("actor", "reason", "outcome", "detail", "uri", "trigger", "lock")
        ),
        *(columns.text(_entry(name), whole=True) for name in ("database", "schema", "table")),
        *(columns.block(_entry(name)) for name in ("sql", "undo")),
    )

    def tables(self, request: HttpRequest, row: LedgerEntry) -> Sequence[Table]:
        """Return what the trigger was, and what it is since."""
        facets = sorted({*row.before, *row.after})
        if not facets:
            return ()
        rows = [
            [printable(one), columns.value_of(row.before, one), columns.value_of(row.after, one)]
            for one in facets
        ]
        heads = [_("Facet"), _("Before"), _("After")]
        caption = _("Facets of the trigger, before the statement and after it")
        return [Table(title=_("What it changed"), caption=caption, heads=heads, rows=rows)]

    def pages_of(self, request: HttpRequest, row: LedgerEntry) -> Sequence[tuple[str, str]]:
        """Return the pages of the run and of the trigger."""
        place = {OfDatabase.parameter_name: self.alias(request), "q": str(row.run)}
        pages = [
            (
                _("All entries of this run"),
                self.address("ledgerentry_changelist", urlencode(place)),
            )
        ]
        if request.user.has_perm("trigger_ops.view_trigger"):
            pages.append((_("Result of this run"), self.address("action_result", run=row.run)))
            if row.uri:
                query = urlencode({"database": row.database, "schema": row.schema})
                pages.append(
                    (_("The trigger"), self.address("trigger_detail", query, uri=row.uri))
                )
        return [(told, address) for told, address in pages if address]


class ChangeAdmin(PlacedAdmin):
    """Rows that were written while triggers stood aside; masked columns are recorded masked."""

    nothing = gettext_lazy("No row was written while a trigger stood aside.")
    list_display = (
        columns.moment(_change("at")),
        columns.text(_change("op")),
        columns.text(_change("schema")),
        columns.text(_change("table")),
        columns.text(_change("cause")),
        columns.text(_change("session")),
        columns.text(_change("transaction")),
        columns.text(_change("role")),
    )
    list_filter = (
        OfDatabase,
        occurring("cause", _change("cause").verbose_name),
        occurring("op", _change("op").verbose_name),
        occurring("schema", _change("schema").verbose_name),
        occurring("table", _change("table").verbose_name),
        occurring("role", _change("role").verbose_name),
    )
    date_hierarchy = "at"
    ordering = ("-id",)
    search_fields = ("table", "role", "application", "=session__id", "=transaction")
    shown = (
        columns.moment(_change("at")),
        *(
            columns.text(_change(name), whole=True)
            for name in ("op", "schema", "table", "cause", "session", "transaction", "number")
        ),
        *(columns.text(_change(name), whole=True) for name in ("role", "application", "address")),
    )

    def migrated(self, alias: str) -> bool:
        """Tell whether a database has the tables of sessions and evidence."""
        return guard_home(alias) is not None

    def tables(self, request: HttpRequest, row: Change) -> Sequence[Table]:
        """Return the row as it was and as it is, by column."""
        names = sorted({*(row.old or {}), *(row.new or {})})
        rows = [
            [
                printable(name),
                columns.value_of(row.old, name),
                columns.value_of(row.new, name),
                _compared(row, name),
            ]
            for name in names
        ]
        return [
            Table(
                title=_("The row"),
                caption=_("Its columns, as they are recorded"),
                heads=[_("Column"), _("Old"), _("New"), _("Compared")],
                rows=rows,
                nothing=_("No column of it is on record."),
            )
        ]

    def pages_of(self, request: HttpRequest, row: Change) -> Sequence[tuple[str, str]]:
        """Return the pages of the session and of the transaction."""
        using = self.alias(request)
        place = {OfDatabase.parameter_name: using, "q": str(row.transaction)}
        pages = [
            (
                _("All changes of this transaction"),
                self.address("change_changelist", urlencode(place)),
            )
        ]
        if row.session_id and request.user.has_perm("trigger_ops.view_session"):
            query = urlencode({"database": using})
            told = _("The session")
            pages.append((told, self.address("session_detail", query, session=row.session_id)))
        return [(told, address) for told, address in pages if address]


def _compared(row: Change, name: str) -> str:
    """Say whether a column changed: rows that were added or deleted changed as a whole."""
    if row.old is None:
        return columns.state("good", "+", _("added"))
    if row.new is None:
        return columns.state("bad", "\N{MINUS SIGN}", _("deleted"))
    if row.old.get(name) == row.new.get(name):
        return columns.state("quiet", "=", _("same"))
    return columns.state("warn", "▲", _("changed"))
