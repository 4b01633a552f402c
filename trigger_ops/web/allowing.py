"""Allowances: who answers for which finding until when, how one is given, and how one ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from trigger_ops import api
from trigger_ops.drift.answering import Answers
from trigger_ops.durations import duration
from trigger_ops.exceptions import (
    BadDuration,
    SessionRefused,
    TriggerOpsError,
    UnknownFinding,
)
from trigger_ops.models import Allowance, DriftFinding
from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.rendering.wording import printable
from trigger_ops.web import columns
from trigger_ops.web.columns import Table
from trigger_ops.web.filters import choosing, occurring
from trigger_ops.web.nonces import SENT_BEFORE, issue, spend
from trigger_ops.web.pages import Page, placed
from trigger_ops.web.people import actor_of_user
from trigger_ops.web.records import RecordAdmin

REVIEW = "trigger_ops.review_session"
"""Who may answer for a finding, and end that."""

USUAL = "7d"
_MOST = 200

_allowance = columns.fields_of(Allowance)
_LIVE = Q(ended__isnull=True, expires__gt=Now())


def _standing(row: Allowance) -> str:
    if row.ended is not None:
        return columns.state("quiet", "○", _("ended"))
    if not row.is_live:  # type: ignore[attr-defined]  # an annotation of the query
        return columns.state("quiet", "○", _("expired"))
    return columns.state("good", "✔", _("live"))


def _code(row: Allowance) -> str:
    return printable(row.code.removeprefix("trigger_ops."))


class EndForm(ActionForm):
    """The form above the list, which acts once."""

    nonce = forms.CharField(label="", required=False, widget=forms.HiddenInput)


class AllowanceAdmin(RecordAdmin):
    """Allowances. One is added through a form of our own, which knows the findings that are open."""

    ages = True
    nothing = gettext_lazy("Nobody answers for a finding.")
    actions = ("expire",)
    action_form = EndForm
    acting_permissions = {"expire": REVIEW}
    list_display = (
        columns.named(_code, _allowance("code").verbose_name, ordering="code"),
        columns.named(_standing, gettext_lazy("Standing"), ordering="is_live"),
        columns.text(_allowance("uri")),
        columns.text(_allowance("database")),
        columns.text(_allowance("owner")),
        columns.text(_allowance("reason"), wide=True),
        columns.moment(_allowance("since")),
        columns.moment(_allowance("expires")),
    )
    list_filter = (
        choosing(
            "standing",
            gettext_lazy("standing"),
            {
                "live": (gettext_lazy("live"), _LIVE),
                "expired": (
                    gettext_lazy("expired"),
                    Q(ended__isnull=True, expires__lte=Now()),
                ),
                "ended": (gettext_lazy("ended"), Q(ended__isnull=False)),
            },
        ),
        occurring("code", _allowance("code").verbose_name),
        occurring("database", _allowance("database").verbose_name),
        occurring("owner", _allowance("owner").verbose_name),
    )
    date_hierarchy = "since"
    ordering = ("-id",)
    search_fields = ("uri", "code", "owner", "reason", "message")
    shown = (
        "runbook",
        columns.named(_standing, gettext_lazy("Standing")),
        *(columns.text(_allowance(name), whole=True) for name in ("uri", "database")),
        columns.sentence(_allowance("message"), whole=True),
        *(columns.text(_allowance(name), whole=True) for name in ("owner", "reason")),
        *(columns.moment(_allowance(name)) for name in ("since", "expires", "ended")),
        columns.text(_allowance("ended_by"), whole=True),
    )

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the allowances, and of the form for one."""
        add = path("add/", placed(self.admin_site, AllowFinding), name="trigger_ops_allowance_add")
        return [add, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return allowances, with whether each is live by the clock of the database."""
        live: QuerySet[Any] = super().get_queryset(request).annotate(is_live=_LIVE)
        return live

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Give the form of the actions its text."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            form = response.context_data.get("action_form")
            if form is not None:
                form.initial["nonce"] = issue(request)
        return response

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell whether whoever asks may answer for a finding."""
        return bool(request.user.has_perm(REVIEW))

    def has_review_permission(self, request: HttpRequest) -> bool:
        """Tell whether whoever asks may end an allowance."""
        return bool(request.user.has_perm(REVIEW))

    @admin.action(
        description=gettext_lazy("End the chosen allowances now"), permissions=["review"]
    )
    def expire(self, request: HttpRequest, queryset: QuerySet[Allowance]) -> None:
        """End allowances: the next check tells of their findings again."""
        by, ended = actor_of_user(request.user).name, 0
        for row in queryset:
            try:
                api.expire_allowance(row.pk, by=by)
            except TriggerOpsError as error:
                self.message_user(request, printable(error.told()), messages.WARNING)
            else:
                ended += 1
                self.log_change(request, row, [{"changed": {"fields": ["ended"]}}])
        if ended:
            told = ngettext(
                "%(count)d allowance has ended: the next check tells of its finding again.",
                "%(count)d allowances have ended: the next check tells of their findings again.",
                ended,
            )
            self.message_user(request, told % {"count": ended}, messages.SUCCESS)

    def acts(self, request: HttpRequest, row: Allowance) -> Sequence[tuple[str, str]]:
        """Return the button that ends it, while it is live."""
        live = row.is_live  # type: ignore[attr-defined]  # an annotation of the query
        may = self.has_review_permission(request)
        return [(_("End this allowance now"), "expire")] if live and may else []

    def tables(self, request: HttpRequest, row: Allowance) -> Sequence[Table]:
        """Return the findings that it was given for."""
        if not request.user.has_perm("trigger_ops.view_driftfinding"):
            return ()
        found = DriftFinding.objects.using(self.alias(request)).filter(key=row.key)
        rows = [
            (
                columns.link(self.address("driftfinding_change", object_id=one.pk), str(one.pk)),
                columns.level_of(one.level),
                columns.english(printable(one.message)),
                columns.time_of(one.first_seen),
                columns.time_of(one.resolved) if one.resolved else _("still open"),
                _compared(row, one),
            )
            for one in found.order_by("-pk")[:_MOST]
        ]
        heads = (_("Number"), _("Level"), _("Told"), _("First seen"), _("Resolved"))
        return [
            Table(
                title=_("Findings"),
                caption=_("What it is about, the newest first"),
                heads=[*heads, _("Compared")],
                rows=rows,
                nothing=_("The finding is not on record any more."),
            )
        ]


def _compared(row: Allowance, finding: DriftFinding) -> str:
    if finding.digest != row.digest:
        return _("it has changed")
    has_grown = row.count and finding.count >= 2 * row.count
    return _("there is far more of it") if has_grown else _("as it was allowed")


class AllowForm(forms.Form):
    """What it takes to answer for a finding."""

    finding = forms.ChoiceField(label=gettext_lazy("Finding"))
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Why it is all right, for whoever reads this in a year."),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2000,
    )
    lasts = forms.CharField(
        label=gettext_lazy("For"),
        help_text=gettext_lazy("A whole number and a unit: 8h, 7d. It comes back by itself then."),
        initial=USUAL,
        max_length=12,
    )

    def __init__(self, findings: Sequence[FindingRecord], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["finding"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells mypy what the form is made of
        field.choices = [(str(one.id), _told(one)) for one in findings]
        field.error_messages["invalid_choice"] = _(
            "It is not open any more, or somebody answers for it already."
        )

    def clean_lasts(self) -> Any:
        """Read the duration."""
        try:
            return duration(self.cleaned_data["lasts"])
        except BadDuration as error:
            raise forms.ValidationError(printable(error.told())) from error


class AllowFinding(Page):
    """The form with which somebody answers for an open finding, exactly as it is now."""

    permission = REVIEW

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the form; ``?finding=`` chooses one."""
        chosen = {"finding": request.GET.get("finding")}
        return self._shown(AllowForm(_unanswered(), initial=chosen))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Write the allowance, or say on the form why not."""
        found = _unanswered()
        form = AllowForm(found, request.POST)
        if not form.is_valid():
            return self._shown(form, status=422)
        if not spend(request, request.POST.get("nonce", "")):
            form.add_error(None, str(SENT_BEFORE))
            return self._shown(form, status=409)
        try:
            made = api.allow(
                form.cleaned_data["finding"],
                owner=actor_of_user(request.user).name,
                reason=form.cleaned_data["reason"],
                lasts=form.cleaned_data["lasts"],
            )
        except (SessionRefused, UnknownFinding) as error:
            form.add_error(
                "reason" if isinstance(error, SessionRefused) else "finding", error.told()
            )
            return self._shown(form, status=422)
        self._logged(made)
        told = _(
            "The finding is allowed until the date below; what it hides comes back by itself."
        )
        messages.success(request, told)
        return HttpResponseRedirect(self._list())

    def _shown(self, form: AllowForm, *, status: int = 200) -> HttpResponse:
        return self.page(
            "allow.html",
            title=_("Allow a finding"),
            status=status,
            form=form,
            back=self._list(),
            sees=self.may("trigger_ops.view_allowance"),
            opts=Allowance._meta,
        )

    def _list(self) -> str:
        for model in ("allowance", "trigger"):
            if self.may(f"trigger_ops.view_{model}"):
                return self.url(f"{model}_changelist")
        return reverse("admin:index", current_app=self.place.name)

    def _logged(self, made: AllowanceRecord) -> None:
        """Have the admin remember who did it, as of anything that is added here."""
        row = Allowance(pk=made.id, code=made.code, uri=made.uri, database=made.database)
        log = self.place.get_model_admin(Allowance).log_addition
        log(self.request, row, [{"added": {}}])


def _unanswered() -> list[FindingRecord]:
    """Return the open findings that nobody answers for as they are, the worst first."""
    found, now = api.allowances()
    answers = Answers(found, now)
    return [one for one in api.open_findings() if not answers.of(one)]


def _told(one: FindingRecord) -> str:
    about = one.uri or one.message
    code = one.code.removeprefix("trigger_ops.")
    told = printable(f"{one.level.name} {code} {about} ({one.database})")
    return told if len(told) <= columns.LONGEST else f"{told[: columns.LONGEST - 1]}…"
