"""What the lists of what was recorded have in common: they are read, and nothing is changed here."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from trigger_ops import conf
from trigger_ops.ledger.recording import reading_records
from trigger_ops.models import DriftFinding
from trigger_ops.rendering.wording import printable
from trigger_ops.web import columns
from trigger_ops.web.columns import Column, Table
from trigger_ops.web.freshness import stale_banner
from trigger_ops.web.nonces import SENT_BEFORE, issue, spend
from trigger_ops.web.pages import Page, placed

if TYPE_CHECKING:
    RecordAdminBase = admin.ModelAdmin[Any]
else:
    RecordAdminBase = admin.ModelAdmin


_code = columns.fields_of(DriftFinding)("code")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A row as Django's templates name it; names come from a database and are not to be trusted."""

    pk: Any
    told: str
    _meta: Any
    """Django's options of the model: themes make their breadcrumbs of them."""

    def __str__(self) -> str:
        return self.told


class RecordPage(Page):
    """One of Django's own views as a page of ours: it says what is missing, and is never a 500."""

    record_admin: RecordAdmin
    show: Callable[..., HttpResponseBase]

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Show it, if the tables are there."""
        self.record_admin.look(request)
        response = self.show(request, **kwargs)
        # Rendered here: rows are read as they are shown.
        return response.render() if isinstance(response, TemplateResponse) else response


class ActingRecordPage(RecordPage):
    """The same for a list with actions: who may not act is told which permission it takes."""

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Act on the rows that were chosen."""
        needed = self.record_admin.acting_permissions.get(request.POST.get("action", ""))
        if needed is not None:
            self.require(needed)
            if not spend(request, request.POST.get("nonce", "")):
                messages.error(request, SENT_BEFORE)
                return HttpResponseRedirect(request.get_full_path())
        try:
            for one in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.record_admin.opts.pk.to_python(one)
        except ValidationError:
            return self.sentence(_("These are no rows of this list: choose some."), status=404)
        return self.get(request, **kwargs)


class RecordAdmin(RecordAdminBase):
    """Rows of one of our tables, to be read: a list with filters, and a page for each row."""

    change_list_template = "trigger_ops/history_list.html"
    change_form_template = "trigger_ops/history.html"
    list_per_page = 50
    show_full_result_count = False
    actions: Sequence[Any] | None = ()
    acting_permissions: dict[str, str] = {}
    """Which permission an action takes, by its name."""
    shown: Sequence[Column | str] = ()
    """What is on the page of a row: a column, or the name of a method."""
    nothing: str | Promise = ""
    """What an empty list says."""
    ages = False
    """Whether it shows findings, which grow old without checks."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the list and of a row: nothing else of Django's is here."""
        name = self.opts.model_name
        page = ActingRecordPage if self.acting_permissions else RecordPage
        return [
            path(
                "", self.paged(page, self.changelist_view), name=f"trigger_ops_{name}_changelist"
            ),
            path(
                "<path:object_id>/change/",
                self.paged(RecordPage, self.change_view),
                name=f"trigger_ops_{name}_change",
            ),
        ]

    def paged(
        self, page: type[RecordPage], view: Callable[..., HttpResponseBase]
    ) -> Callable[..., HttpResponseBase]:
        """Return one of Django's views as a page of this site."""
        options = {
            "permission": f"trigger_ops.view_{self.opts.model_name}",
            "record_admin": self,
            "show": staticmethod(view),
        }
        return placed(self.admin_site, type(page.__name__, (page,), options))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds what was recorded."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes what was recorded."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes what was recorded: ``pgtrigger drift prune`` lets go of what is old."""
        return False

    def alias(self, request: HttpRequest) -> str:
        """Return the database that the rows are in."""
        return conf.record_database()

    def look(self, request: HttpRequest) -> None:
        """See whether the tables are there.

        Raises:
            TriggerOpsError: in a sentence that says what to do.
        """
        with reading_records():
            pass

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return the rows of the database that they are recorded in."""
        return super().get_queryset(request).using(self.alias(request))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return a row, None where there is none; an empty ``?_to_field=`` names no field."""
        return super().get_object(request, object_id, from_field or None)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is on the page of a row."""
        return self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the same: nothing is edited."""
        return self.shown

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, below what there is to say of it."""
        context = {
            "nothing": self.nothing,
            "stale": stale_banner() if self.ages else None,
            "pages": self.pages(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a row with the tables that belong to it."""
        row = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = {}
        if row is None:
            object_id = printable(unquote(object_id))  # Django tells it as it is
        else:
            named = Named(pk=row.pk, told=printable(str(row)), _meta=row._meta)
            context = {
                "original": named,
                "subtitle": str(named),
                "tables": self.tables(request, row),
                "pages": self.pages_of(request, row),
                "acts": self.acts(request, row),
                "nonce": functools.partial(issue, request),
            }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def tables(self, request: HttpRequest, row: Any) -> Sequence[Table]:
        """Return the tables on the page of a row."""
        return ()

    def pages(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """Return words and addresses of pages that go with the list."""
        return ()

    def pages_of(self, request: HttpRequest, row: Any) -> Sequence[tuple[str, str]]:
        """Return words and addresses of pages about the same as a row."""
        return ()

    def acts(self, request: HttpRequest, row: Any) -> Sequence[tuple[str, str]]:
        """Return words and names of the actions that whoever asks may do to a row."""
        return ()

    def address(self, name: str, query: str = "", **kwargs: object) -> str:
        """Return the address of one of our pages in this site, "" where it does not have it."""
        try:
            found = reverse(
                f"admin:trigger_ops_{name}", kwargs=kwargs, current_app=self.admin_site.name
            )
        except NoReverseMatch:
            return ""
        return f"{found}?{query}" if query else found

    @admin.display(description=_code.verbose_name)
    def runbook(self, row: Any) -> str:
        """Return the ID of a finding, or of one that is allowed, with a link to its page."""
        return columns.runbook_of(
            row.code, self.address("runbook", code=row.code.removeprefix("trigger_ops."))
        )

    def list_of(self, request: HttpRequest, model: str, query: str = "") -> str:
        """Return the address of a list, "" for those who may not see it."""
        if not request.user.has_perm(f"trigger_ops.view_{model}"):
            return ""
        return self.address(f"{model}_changelist", query)
