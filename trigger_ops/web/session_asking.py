"""The form that asks for a session: which triggers, why, and for how long."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from trigger_ops import api, conf
from trigger_ops.api.inspecting import known
from trigger_ops.durations import duration, spelled
from trigger_ops.exceptions import BadDuration, SessionRefused, UnknownSelector
from trigger_ops.models import Session
from trigger_ops.records import GuardState
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.requests import guard_on, stated_reason
from trigger_ops.states import SessionState
from trigger_ops.web.logins import SURFACE, bind, bound
from trigger_ops.web.session_basics import SessionsPage
from trigger_ops.web.session_choices import Choices, choices

FIELDS = ("reason", "ticket", "duration")
"""Those that stand below the list of triggers."""


class AskForm(forms.Form):
    """What one asks for; the API judges it once more."""

    triggers = forms.MultipleChoiceField(
        label=gettext_lazy("Triggers that are to stand aside"),
        error_messages={
            "required": gettext_lazy("Choose at least one trigger."),
            # Django's own repeats what was sent.
            "invalid_choice": gettext_lazy(
                "Select a valid choice: what was sent is none of these triggers."
            ),
        },
    )
    history = forms.BooleanField(
        required=False,
        label=gettext_lazy(
            "Triggers that write history may stand aside: what is done is not in it"
        ),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        max_length=10_000,
        help_text=gettext_lazy("What is to be corrected, and why: whoever reviews it reads this."),
    )
    ticket = forms.CharField(required=False, label=gettext_lazy("Ticket"), max_length=200)
    duration = forms.CharField(
        label=gettext_lazy("How long"),
        max_length=20,
        widget=forms.TextInput(attrs={"size": 8, "autocomplete": "off"}),
    )
    nonce = forms.CharField(widget=forms.HiddenInput, max_length=100)

    def __init__(self, *args: Any, offered: Choices, longest: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered
        self.fields["triggers"].choices = [(uri, uri) for uri in offered.uris]  # type: ignore[attr-defined]  # it is a ChoiceField
        told = _("Such as 250ms, 30s, 15m, 2h or 1d; %(longest)s at most.")
        self.fields["duration"].help_text = told % {"longest": longest}

    def clean_reason(self) -> str:
        """Refuse a reason that says nothing, as the API does."""
        try:
            return stated_reason(self.cleaned_data["reason"])
        except SessionRefused as error:
            raise forms.ValidationError(printable(error.told())) from error

    def clean_duration(self) -> str:
        """Refuse what is no duration."""
        given: str = self.cleaned_data["duration"]
        try:
            duration(given)
        except BadDuration as error:
            raise forms.ValidationError(printable(error.told())) from error
        return given.strip()

    def clean(self) -> None:
        """Refuse triggers that write history unless that is ticked: a list is easily swept through."""
        chosen = self.cleaned_data.get("triggers", [])
        swept = [uri for uri in chosen if uri in self.offered.history]
        if swept and not self.cleaned_data.get("history"):
            told = _("%(triggers)s would stop writing history: tick this too if you mean it.")
            self.add_error("history", told % {"triggers": ", ".join(swept)})


class SessionAsk(SessionsPage):
    """The form, and what becomes of it."""

    permission = "trigger_ops.request_session"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show it, with the triggers that the address names ticked."""
        try:
            guard = guard_on(known(self.alias))
        except SessionRefused as error:
            return self._form(None, None, problem=error.told())
        offered = choices(self.alias, guard, words=request.GET.get("q", ""))
        longest = _longest(guard)
        form = AskForm(
            initial={
                "triggers": request.GET.getlist("trigger"),
                "duration": min(spelled(conf.session_duration()), longest, key=duration),
                "nonce": secrets.token_urlsafe(24),
            },
            offered=offered,
            longest=longest,
        )
        return self._form(form, offered)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Open the session, or show the form with what is wrong with it."""
        guard = guard_on(known(self.alias))
        before = self._sent_before(request.POST.get("nonce", ""))
        if before:
            return self._told(before)
        offered = choices(self.alias, guard)
        form = AskForm(request.POST, offered=offered, longest=_longest(guard))
        number = self._opened(form) if form.is_valid() else None
        return self._form(form, offered) if number is None else self._told(number)

    def _opened(self, form: AskForm) -> int | None:
        """Return the number of the session that was opened; None where the form says why not."""
        asked = form.cleaned_data
        try:
            found = api.open_session(
                *asked["triggers"],
                reason=asked["reason"],
                actor=self.actor,
                ticket=asked["ticket"],
                duration=asked["duration"],
                using=self.alias,
                history=asked["history"],
                nonce=asked["nonce"],
                surface=SURFACE,
            )
        except UnknownSelector as error:
            form.add_error("triggers", printable(error.told()))
        except BadDuration as error:
            form.add_error("duration", printable(error.told()))
        except SessionRefused as error:
            # Somebody who is impatient sends it twice at once: both find the one session.
            before = self._sent_before(asked["nonce"])
            if before:
                return before
            form.add_error(None, printable(error.told()))
        else:
            bind(self.request, found.id, self.alias)
            return found.id
        return None

    def _sent_before(self, nonce: str) -> int | None:
        """Return the session that this very form opened, if it was sent before."""
        own = Session.objects.using(self.alias).filter(
            nonce=nonce.replace("\0", ""), opener_key=self.actor.key
        )
        return own.values_list("pk", flat=True).first() if nonce else None

    def _told(self, number: int) -> HttpResponse:
        found = api.find_session(number, using=self.alias)
        values = {"number": number, "needs": found.needs}
        if found.state is SessionState.PENDING:
            said = ngettext(
                "Session %(number)d waits for %(needs)d approval of somebody else.",
                "Session %(number)d waits for %(needs)d approvals of others.",
                found.needs,
            )
        elif found.state is SessionState.ACTIVE:
            said = _("Session %(number)d is open.")
        else:
            said = _("This form was sent before: session %(number)d, which it opened, is over.")
        messages.success(self.request, said % values)
        if self.may("trigger_ops.view_session"):
            return HttpResponseRedirect(self.address("session_detail", session=number))
        return HttpResponseRedirect(reverse("admin:index", current_app=self.place.name))

    def _form(
        self, form: AskForm | None, offered: Choices | None, *, problem: str = ""
    ) -> HttpResponse:
        binding = bound(self.request)
        return self.session_page(
            "session_ask.html",
            title=_("Ask for a session"),
            form=form,
            fields=[form[name] for name in FIELDS] if form is not None else [],
            offered=offered,
            chosen=set(form["triggers"].value() or ()) if form is not None else set(),
            words=self.request.GET.get("q", ""),
            problem=printable(problem),
            binding=binding,
            ask_url=self.address("session_ask"),
        )


def _longest(guard: GuardState) -> str:
    """Return how long a session may last at most: as the settings say, or the guard, if that is less."""
    longest = conf.session_longest()
    return spelled(min(longest, guard.limits.longest or longest))
