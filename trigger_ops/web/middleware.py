"""Applies an ignore session to its owner's writes in the admin, and says so on every page there.

Put it last in ``MIDDLEWARE``: ``"trigger_ops.web.middleware.SessionMiddleware"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils.translation import gettext as _

from trigger_ops import api
from trigger_ops.exceptions import SessionOver, TriggerOpsError, UnknownSession
from trigger_ops.records import SessionRecord
from trigger_ops.registry import registered_names
from trigger_ops.rendering.wording import printable
from trigger_ops.states import SessionState
from trigger_ops.web.banner import with_banner
from trigger_ops.web.logins import Binding, bound, end_quietly, may_work, unbind
from trigger_ops.web.people import actor_of_user
from trigger_ops.web.refusing import will_write_in
from trigger_ops.web.session_basics import STATES


class SessionMiddleware:
    """Lets what a login posts in the admin work in the session that it has open, and no more.

    A session counts on admin pages of models whose triggers it names, for POST alone, in the
    login that opened it; a page that is read only learns what it may offer. It lies outside of
    ``ATOMIC_REQUESTS``, so that a rollback of the request takes no evidence with it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if iscoroutinefunction(get_response):
            raise NotImplementedError("SessionMiddleware is synchronous.")
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, in the session where that is due."""
        match = _in_admin(request)
        binding = _bound(request) if match is not None else None
        if binding is None or match is None:
            return self._get_response(request)
        record = _usable(request, binding)
        if record is None:
            return self._get_response(request)
        if record.state is SessionState.ACTIVE and _covers(match, record):
            if request.method == "POST":
                return self._inside(request, record)
            will_write_in(request, record)
        return with_banner(self._get_response(request), request, record)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a rule of sessions refused with a sentence; other errors are none of ours."""
        if not api.refusal_code(error) or _bound(request) is None:
            return None
        return _refused(str(error).strip().splitlines()[0])

    def _inside(self, request: HttpRequest, record: SessionRecord) -> HttpResponseBase:
        actor = actor_of_user(request.user)
        try:
            with api.session(id=record.id, actor=actor, using=record.database):
                response = self._get_response(request)
        except SessionOver as error:
            unbind(request)
            return _refused(error.told())
        except TriggerOpsError as error:
            return _refused(error.told())
        return with_banner(response, request, record)


def _in_admin(request: HttpRequest) -> ResolverMatch | None:
    """Return where a request goes, if that is a page of an AdminSite."""
    try:
        match = resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None
    return match if "admin" in match.app_names else None


def _bound(request: HttpRequest) -> Binding | None:
    """Return the session of a login; none where the database that knows logins is down."""
    try:
        return bound(request)
    except (DatabaseError, InterfaceError):
        return None


def _usable(request: HttpRequest, binding: Binding) -> SessionRecord | None:
    """Return the login's session while it waits or is active; leave one that is over."""
    try:
        record = api.find_session(binding.session, using=binding.database)
    except UnknownSession:
        unbind(request)
        return None
    except (TriggerOpsError, DatabaseError, InterfaceError):
        return None
    if record.state not in (SessionState.ACTIVE, SessionState.PENDING):
        unbind(request)
        said = _("Session %(number)d is over: %(state)s.")
        messages.info(request, said % {"number": record.id, "state": STATES[record.state][2]})
        return None
    if not may_work(request, record):
        unbind(request)
        end_quietly(record.id, record.database)
        return None
    return record


def _covers(match: ResolverMatch, record: SessionRecord) -> bool:
    """Tell whether a page is one of a model, or has an inline of one, whose trigger is named."""
    page: ModelAdmin[Any] | None = getattr(match.func, "model_admin", None)
    if page is None:
        return False
    named = set(record.uris)
    models = {one.model_class for one in registered_names() if one.uri in named}
    return page.model in models or any(inline.model in models for inline in page.inlines)


def _refused(sentence: str) -> HttpResponse:
    return HttpResponse(
        f"{printable(sentence)}\n", status=409, content_type="text/plain; charset=utf-8"
    )
