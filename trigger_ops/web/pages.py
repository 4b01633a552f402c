"""What every page of ours in the admin has in common: who may see it, where it is, what went wrong."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View

from trigger_ops.exceptions import (
    Busy,
    DatabaseUnreadable,
    NotRecorded,
    Refused,
    TriggerOpsError,
    UnknownDatabase,
    UnknownSchema,
    UnknownSelector,
    UnknownSession,
)
from trigger_ops.models import Trigger
from trigger_ops.rendering.wording import printable
from trigger_ops.web.nonces import issue
from trigger_ops.web.trouble import is_refusal, next_step, refusal

LOGGER = logging.getLogger("trigger_ops")

Answer = Callable[..., HttpResponseBase]

_STATUSES: tuple[tuple[tuple[type[TriggerOpsError], ...], int], ...] = (
    ((UnknownSelector, UnknownDatabase, UnknownSchema, UnknownSession), 404),
    ((Refused,), 409),
    ((Busy, DatabaseUnreadable, NotRecorded), 503),
)


class Forbidden(Exception):
    """Whoever asks lacks a permission, which this names."""

    def __init__(self, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


class Page(View):
    """One page under an AdminSite: ``Page.as_view(site=…)``, wrapped by :func:`placed`.

    ``permission`` is what it takes to see it. An error of ours, or the database's, becomes a page
    with one sentence and the next step.
    """

    site: AdminSite | None = None
    permission = "trigger_ops.view_trigger"
    not_so: str | Promise = gettext_lazy("Nothing was done: this page is to be looked at.")
    """What somebody is told who asks it in another way than it answers."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, or say why not."""
        request.current_app = self.place.name
        try:
            self.require(self.permission)
            return super().dispatch(request, *args, **kwargs)
        except Forbidden as error:
            return self._forbidden(error.permission)
        except TriggerOpsError as error:
            found = [status for kinds, status in _STATUSES if isinstance(error, kinds)]
            status = found[0] if found else 400
            step = next_step(error) if status == 503 else ""
            return self.sentence(printable(error.told()), status=status, step=step)
        except DatabaseError as error:
            if not is_refusal(error):
                raise
            return self.sentence(refusal(error), status=503, step=next_step(error))

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Say that nothing is done in this way."""
        response = self.sentence(str(self.not_so), status=405)
        ways = [way for way in ("get", "head", "post") if hasattr(self, way)]
        response["Allow"] = ", ".join(ways).upper()
        return response

    @property
    def place(self) -> AdminSite:
        """The site that this page is in."""
        assert self.site is not None, "use placed()"  # noqa: S101 - a mistake of ours, never a user's
        return self.site

    def may(self, permission: str) -> bool:
        """Tell whether whoever asks has a permission, by its full name."""
        return bool(self.request.user.has_perm(permission))

    def require(self, permission: str) -> None:
        """Raise :class:`Forbidden` unless whoever asks has a permission."""
        if not self.may(permission):
            raise Forbidden(permission)

    def page(
        self, template: str, *, title: str, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Render ``trigger_ops/<template>`` within the admin of this site."""
        return TemplateResponse(
            self.request,
            f"trigger_ops/{template}",
            {
                **self.place.each_context(self.request),
                "title": title,
                "opts": Trigger._meta,
                "may": self.permissions(),
                # Called where it stands, so that each form has one of its own.
                "nonce": functools.partial(issue, self.request),
                **context,
            },
            status=status,
        )

    def permissions(self) -> dict[str, bool]:
        """Return what whoever asks may do, by codename: buttons are shown by it."""
        return {
            name: self.may(f"trigger_ops.{name}")
            for name in (
                "view_trigger",
                "install_trigger",
                "toggle_trigger",
                "prune_trigger",
                "view_session",
                "request_session",
                "review_session",
                "revoke_session",
                "view_change",
            )
        }

    def url(self, name: str, **kwargs: Any) -> str:
        """Return the address of one of our pages in this site, by its name without the prefix."""
        return reverse(f"admin:trigger_ops_{name}", kwargs=kwargs, current_app=self.place.name)

    def _forbidden(self, permission: str) -> HttpResponse:
        return self.page(
            "forbidden.html", title=_("Not permitted"), status=403, permission=permission
        )

    def sentence(self, sentence: str, *, status: int, step: str = "") -> HttpResponse:
        """Answer with one sentence that says what is wrong and what to do next.

        ``step`` is what to do, where the sentence does not say it.
        """
        title = _("This cannot be shown")
        return self.page("sentence.html", title=title, status=status, sentence=sentence, step=step)


def placed(site: AdminSite, page: type[Page]) -> Answer:
    """Return a page as a view of a site: for its staff alone, and never a traceback."""
    view = site.admin_view(page.as_view(site=site))

    @functools.wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
            # Rendered here, so that what a template asks the database is within this block too.
            return response.render() if isinstance(response, TemplateResponse) else response
        except (DatabaseError, InterfaceError) as error:
            LOGGER.warning("trigger_ops: %s cannot be shown: %s", request.path, error)
            return _without_page(error)

    return answered


def _without_page(error: Exception) -> HttpResponse:
    """Answer where not even the user is known: that, too, takes the database."""
    if is_refusal(error):
        told = f"{refusal(error)} {next_step(error)}"
    else:
        told = _(
            "The database cannot be asked. Try again when it answers; then: manage.py pgtrigger ls"
        )
    response = HttpResponse(f"{told}\n", status=503, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response
