"""The dashboard in the project's own admin: models and addresses. What they show is in ``web``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern, path

from trigger_ops.models import (
    Allowance,
    Change,
    DriftFinding,
    DriftRun,
    LedgerEntry,
    Session,
    Trigger,
)
from trigger_ops.web.acting import ActionResult, CarryOut, ConfirmAction
from trigger_ops.web.allowing import AllowanceAdmin
from trigger_ops.web.detail import TriggerDetail
from trigger_ops.web.findings import DriftFindingAdmin
from trigger_ops.web.history import ChangeAdmin, LedgerEntryAdmin
from trigger_ops.web.logins import follow_logins
from trigger_ops.web.pages import placed
from trigger_ops.web.runbook import Runbook
from trigger_ops.web.runs import DriftRunAdmin
from trigger_ops.web.session_acts import EndSession, ExtendSession, ReviewSession, RevokeSession
from trigger_ops.web.session_asking import SessionAsk
from trigger_ops.web.session_export import SessionCsv, SessionJson
from trigger_ops.web.session_page import SessionPage
from trigger_ops.web.sessions import SessionList
from trigger_ops.web.triggers import TriggerList

follow_logins()

if TYPE_CHECKING:
    TriggerAdminBase = admin.ModelAdmin[Trigger]
    SessionAdminBase = admin.ModelAdmin[Session]
else:
    TriggerAdminBase = admin.ModelAdmin
    SessionAdminBase = admin.ModelAdmin


class TriggerAdmin(TriggerAdminBase):
    """Puts the dashboard into the admin's index; no row is behind it."""

    def get_urls(self) -> list[URLPattern]:
        """Return our pages, and none of those that would show rows."""
        site = self.admin_site
        return [
            path("", placed(site, TriggerList), name="trigger_ops_trigger_changelist"),
            path("at/<path:uri>/", placed(site, TriggerDetail), name="trigger_ops_trigger_detail"),
            path("act/", placed(site, ConfirmAction), name="trigger_ops_action_confirm"),
            path("act/now/", placed(site, CarryOut), name="trigger_ops_action_run"),
            path("runs/<uuid:run>/", placed(site, ActionResult), name="trigger_ops_action_result"),
            path("findings/<slug:code>/", placed(site, Runbook), name="trigger_ops_runbook"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a trigger here: code does."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Actions ask for permissions of their own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Actions ask for permissions of their own."""
        return False


class SessionAdmin(SessionAdminBase):
    """Ignore sessions: asked for, reviewed and stopped on pages of our own."""

    def get_urls(self) -> list[URLPattern]:
        """Return our pages, and none of those that would edit rows."""
        site, one = self.admin_site, "<int:session>/"
        return [
            path("", placed(site, SessionList), name="trigger_ops_session_changelist"),
            path("ask/", placed(site, SessionAsk), name="trigger_ops_session_ask"),
            path(one, placed(site, SessionPage), name="trigger_ops_session_detail"),
            path(f"{one}review/", placed(site, ReviewSession), name="trigger_ops_session_review"),
            path(f"{one}extend/", placed(site, ExtendSession), name="trigger_ops_session_extend"),
            path(f"{one}revoke/", placed(site, RevokeSession), name="trigger_ops_session_revoke"),
            path(f"{one}end/", placed(site, EndSession), name="trigger_ops_session_end"),
            path(f"{one}report.json", placed(site, SessionJson), name="trigger_ops_session_json"),
            path(f"{one}report.csv", placed(site, SessionCsv), name="trigger_ops_session_csv"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a row: one asks for a session."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits what is on record."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes what is on record."""
        return False


ADMINS: dict[type[Model], type[admin.ModelAdmin[Any]]] = {
    Trigger: TriggerAdmin,
    Session: SessionAdmin,
    LedgerEntry: LedgerEntryAdmin,
    DriftRun: DriftRunAdmin,
    DriftFinding: DriftFindingAdmin,
    Allowance: AllowanceAdmin,
    Change: ChangeAdmin,
}


def register(site: admin.AdminSite) -> None:
    """Put every page of the dashboard into a site; the project's default one has them already."""
    for model, model_admin in ADMINS.items():
        site.register(model, model_admin)


register(admin.site)
