"""What one does to a session from its page: review, extend, revoke and end it. Nothing else posts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from trigger_ops import api
from trigger_ops.exceptions import BadDuration, Refused, SessionRefused, TriggerOpsError
from trigger_ops.records import SessionRecord
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.ending import Revocation
from trigger_ops.states import SessionState
from trigger_ops.web.logins import bound, unbind
from trigger_ops.web.nonces import SENT_BEFORE, spend
from trigger_ops.web.session_basics import LIVE, STATES, SessionsPage, clock
from trigger_ops.web.session_page import show

VERDICTS = ("approve", "deny")


class Unsaid(TriggerOpsError):
    """The form lacks something, which this says."""


class SessionAct(SessionsPage):
    """Something that is done to one session: POST alone, and back to its page."""

    not_so = gettext_lazy("Nothing was done: use the buttons on the page of the session.")

    def post(self, request: HttpRequest, session: int) -> HttpResponse:
        """Do it, or show the session with why it was not done."""
        try:
            said = self.act(session)
        except (Unsaid, BadDuration) as error:
            return self._not_done(session, error.told(), status=400)
        except Refused as error:
            return self._not_done(session, error.told(), status=409)
        messages.success(request, printable(said))
        return HttpResponseRedirect(self._next(session))

    def act(self, session: int) -> str:
        """Do it; return what was done, in a sentence.

        Raises:
            Unsaid, BadDuration: for a form that does not say enough.
            Refused: when the session is no more what it was, or a rule forbids it.
        """
        raise NotImplementedError

    def once(self) -> None:
        """Refuse a form that was sent before; one that does not say enough may be sent again."""
        if not spend(self.request, self.request.POST.get("nonce", "")):
            raise SessionRefused(str(SENT_BEFORE))

    def _not_done(self, session: int, sentence: str, *, status: int) -> HttpResponse:
        if not self.may("trigger_ops.view_session"):
            return self.sentence(printable(sentence), status=status)
        return show(self, session, refusal=sentence, status=status)

    def _next(self, session: int) -> str:
        if not self.may("trigger_ops.view_session"):
            return reverse("admin:index", current_app=self.place.name)
        if self.request.POST.get("back") == "list":
            return self.address("session_changelist")
        return self.address("session_detail", session=session)


class OwnersAct(SessionAct):
    """An act that takes no permission of whoever opened the session."""

    permission = "trigger_ops.revoke_session"

    def require(self, permission: str) -> None:
        """Let those pass who have the permission, and the one whose session it is."""
        if not self.may(permission) and not self.owns(self._session()):
            super().require(permission)

    def _session(self) -> Any:
        return api.find_session(self.kwargs["session"], using=self.alias)


class ReviewSession(SessionAct):
    """Somebody's yes or no to a request of somebody else."""

    permission = "trigger_ops.review_session"

    def act(self, session: int) -> str:
        """Put the review on record."""
        posted = self.request.POST
        verdict = posted.get("verdict", "")
        if verdict not in VERDICTS:
            raise Unsaid(_("Say whether you approve or deny: use one of the two buttons."))
        self.once()
        found = api.review_session(
            session,
            reviewer=self.actor,
            verdict=verdict,
            remark=posted.get("remark", ""),
            using=self.alias,
        )
        values = {"number": session, "needs": found.needs}
        if verdict == "deny":
            return _("Session %(number)d is denied.") % values
        if found.state is SessionState.ACTIVE:
            return _("Session %(number)d is approved, and active from now on.") % values
        values["given"] = sum(one.verdict == "approve" for one in found.reviews)
        return _("Session %(number)d has %(given)d of %(needs)d approvals.") % values


class ExtendSession(OwnersAct):
    """A later end of an active session."""

    def act(self, session: int) -> str:
        """Move its end."""
        posted = self.request.POST
        longer = posted.get("longer", "").strip()
        if not longer:
            raise Unsaid(_("Say how much longer it is to last, such as 15m."))
        self.once()
        found = api.find_session(session, using=self.alias)
        # Nor is it extended once more than somebody saw: the form says how often that had been done.
        if posted.get("extensions", str(found.extensions)) != str(found.extensions):
            told = _(
                "Session %(number)d was extended meanwhile: look at its end before you do it."
            )
            raise SessionRefused(told % {"number": session})
        found = api.extend_session(session, longer=longer, actor=self.actor, using=self.alias)
        until = clock(found.expires, dt.datetime.now(dt.UTC)) if found.expires else ""
        told = _("Session %(number)d lasts until %(until)s now.")
        return told % {"number": session, "until": until}


class EndSession(OwnersAct):
    """The end of a session that is not needed any more, or of a request."""

    def act(self, session: int) -> str:
        """End it, and let this login go."""
        before = api.find_session(session, using=self.alias)
        self.once()
        found = api.end_session(session, actor=self.actor, using=self.alias)
        binding = bound(self.request)
        if binding is not None and (binding.session, binding.database) == (session, self.alias):
            unbind(self.request)
        if before.state not in LIVE or found.state is not SessionState.ENDED:
            raise SessionRefused(_already(found))
        return _("Session %(number)d is ended: its triggers are in force again.") % {
            "number": session
        }


class RevokeSession(OwnersAct):
    """A stop, at once, of a session and of whoever is in it."""

    def act(self, session: int) -> str:
        """Revoke it; tell of backends that could not be stopped."""
        reason = self.request.POST.get("reason", "").replace("\0", "").strip()
        if not reason:
            raise Unsaid(_("A revocation needs a reason: say why it is revoked."))
        self.once()
        done = api.revoke_session(session, reason=reason, actor=self.actor, using=self.alias)
        found = api.find_session(session, using=self.alias)
        if done.remaining:
            messages.warning(self.request, printable(_remaining(done)))
        if done.was_over:
            raise SessionRefused(_revoked(done, found))
        return _revoked(done, found)


def _already(found: SessionRecord) -> str:
    told = _("Session %(number)d is %(state)s already.")
    return told % {"number": found.id, "state": STATES[found.state][2]}


def _revoked(done: Revocation, found: SessionRecord) -> str:
    """Return what came of a revocation, in sentences."""
    revoked = _("Session %(number)d is revoked.") % {"number": found.id}
    told = [_already(found) if done.was_over else revoked]
    if done.stopped:
        told.append(_("Stopped by themselves: %(pids)s.") % {"pids": _listed(done.stopped)})
    if done.ended:
        told.append(_("Connections ended: %(pids)s.") % {"pids": _listed(done.ended)})
    return " ".join(told)


def _remaining(done: Revocation) -> str:
    """Return what to do about backends that a revocation could not end."""
    told = ngettext(
        "Session %(number)d is revoked and nothing more can be committed in it, but backend "
        '%(pids)s could not be ended: have a superuser run GRANT pg_signal_backend TO "%(role)s", '
        "or end it with pg_terminate_backend.",
        "Session %(number)d is revoked and nothing more can be committed in it, but backends "
        '%(pids)s could not be ended: have a superuser run GRANT pg_signal_backend TO "%(role)s", '
        "or end them with pg_terminate_backend.",
        len(done.remaining),
    )
    return told % {"number": done.session, "pids": _listed(done.remaining), "role": done.role}


def _listed(pids: Sequence[int]) -> str:
    return ", ".join(map(str, pids))
