"""Changing triggers from the admin: confirm, carry out, tell."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.exceptions import Busy, Refused, Sentence, TriggerOpsError
from trigger_ops.planner import Plan
from trigger_ops.rendering.runs import summary
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.requests import stated_reason
from trigger_ops.states import Hazard, Result
from trigger_ops.web import evidence
from trigger_ops.web.action_requests import Asked, asked_of, plans_of
from trigger_ops.web.columns import english
from trigger_ops.web.detail_repair import LOCKS
from trigger_ops.web.highlighting import highlighted
from trigger_ops.web.nonces import SENT_BEFORE, spend
from trigger_ops.web.pages import Page
from trigger_ops.web.people import actor_of_user
from trigger_ops.web.recent_actions import note

_STUCK = (Result.FAILED, Result.SKIPPED)

MOST_ROWS = 2_000
"""Ledger rows of one run that its page shows."""

AN_ACTION = Sentence(gettext_noop("An action"))


class Action(Page):
    """A page that an action goes through: POST alone, and only for whoever may do that."""

    not_so = gettext_lazy("Nothing was done: choose triggers in the list, then an action.")

    # The applier commits table by table: a request in one transaction cannot.
    @transaction.non_atomic_requests
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, or say why not."""
        return super().dispatch(request, *args, **kwargs)

    def asked(self) -> Asked:
        """Return what the form asks for, once it is certain that whoever asks may have it."""
        found = asked_of(self.request.POST)
        self.require(found.permission)
        return found

    @property
    def actor(self) -> str:
        """Whoever asks, as the ledger names people."""
        return actor_of_user(self.request.user).name

    def confirmation(
        self, asked: Asked, plans: list[Plan], *, refusal: str = "", status: int = 200
    ) -> HttpResponse:
        """Show what would be done, and a form to confirm it."""
        hazards: dict[str, str] = {}
        for plan in plans:
            for hazard, told in plan.hazards.items():
                hazards[hazard.value] = english(printable(told))
        posted = self.request.POST
        return self.page(
            "confirm.html",
            title=_("Confirm: %(action)s") % {"action": asked.verb.value},
            status=status,
            asked=asked,
            refusal=printable(refusal),
            plans=[_told(plan) for plan in plans],
            work=sum(len(plan.work) for plan in plans),
            stuck=any(step.result in _STUCK for plan in plans for step in plan.steps),
            obstacles=[english(printable(one)) for plan in plans for one in plan.obstacles],
            hazards=sorted(hazards.items()),
            ticked=posted.getlist("allow"),
            fingerprint=_fingerprint(plans),
            reason=posted.get("reason", ""),
            run=self.url("action_run"),
            back=self.url("trigger_changelist"),
        )


class ConfirmAction(Action):
    """What an action would do, to be confirmed."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Show the plan; change nothing."""
        asked = self.asked()
        return self.confirmation(asked, [api.plan(one) for one in plans_of(asked, self.actor)])


class CarryOut(Action):
    """The action that was confirmed."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Carry it out, and redirect to what was done."""
        asked = self.asked()
        plans = [api.plan(one) for one in plans_of(asked, self.actor)]
        posted = request.POST
        try:
            reason = stated_reason(posted.get("reason", ""), what=AN_ACTION)
        except Refused as error:
            return self.confirmation(asked, plans, refusal=error.told(), status=400)
        if asked.typed and posted.get("typed", "").strip() != asked.typed:
            said = _("Type “%(text)s” to confirm what cannot be taken back by itself.")
            told = said % {"text": asked.typed}
            return self.confirmation(asked, plans, refusal=told, status=400)
        if not spend(request, posted.get("nonce", "")):
            return self.confirmation(asked, plans, refusal=str(SENT_BEFORE), status=409)
        if posted.get("fingerprint") != _fingerprint(plans):
            said = _(
                "The database is not as it was when this was planned: look again, then confirm."
            )
            return self.confirmation(asked, plans, refusal=said, status=409)
        return self._carried_out(asked, plans, reason)

    def _carried_out(self, asked: Asked, plans: list[Plan], reason: str) -> HttpResponse:
        """Carry the plans out, one database after the other, and lead to what they did."""
        ticked = set(self.request.POST.getlist("allow"))
        allowed = [hazard for hazard in Hazard if hazard.value in ticked]
        reports: list[RunReport] = []
        refusal = ""
        for plan in plans:
            try:
                reports.append(
                    api.apply(plan, actor=self.actor, reason=reason, allowed=allowed, strict=True)
                )
            except (Refused, Busy) as error:
                refusal = error.told()
                break
            finally:
                evidence.forget()
        if refusal and not reports:
            again = [api.plan(one) for one in plans_of(asked, self.actor)]
            return self.confirmation(asked, again, refusal=refusal, status=409)
        for report in reports:
            told = english(printable(summary(report)))
            level = messages.WARNING if report.stopped or report.failed else messages.SUCCESS
            messages.add_message(self.request, level, told)
            if report.stopped:
                messages.warning(self.request, english(printable(report.stopped)))
        if refusal:
            messages.error(self.request, printable(refusal))
        note(self.request.user, asked, reports, reason)
        runs = [str(report.run) for report in reports]
        also = "".join(f"&also={one}" for one in runs[1:])
        page = self.url("action_result", run=uuid.UUID(runs[0]))
        return HttpResponseRedirect(f"{page}?{also[1:]}" if also else page)


class ActionResult(Page):
    """What a run did with each trigger, from the ledger."""

    def get(self, request: HttpRequest, run: uuid.UUID) -> HttpResponse:
        """Show it."""
        runs = [run]
        for text in request.GET.getlist("also")[:20]:
            try:
                runs.append(uuid.UUID(text))
            except ValueError:
                continue
        entries, unread = [], []
        for alias in api.postgres_aliases():
            try:
                for one in runs:
                    entries += api.read_log([alias], run=one, limit=MOST_ROWS)
            except TriggerOpsError as error:
                unread.append(printable(error.told()))
        if not entries:
            said = _(
                "No ledger knows the run %(run)s: manage.py pgtrigger log shows those there are."
            )
            return self.sentence(" ".join([said % {"run": run}, *unread]), status=404)
        rows = [_entry(one) for one in sorted(entries, key=lambda one: one.id)]
        finished = {one.run for one in entries if one.kind == "finished"}
        return self.page(
            "result.html",
            title=_("What was done"),
            entries=rows,
            first=rows[0],
            unfinished=not finished.issuperset(one.run for one in entries),
            back=self.url("trigger_changelist"),
        )


def _fingerprint(plans: list[Plan]) -> str:
    return " ".join(plan.fingerprint for plan in plans)


def _told(plan: Plan) -> dict[str, Any]:
    """Return a plan as its page shows it."""
    return {
        "databases": ", ".join(plan.request.databases),
        "moves": [
            {
                "sql": highlighted(one.sql),
                "uri": printable(step.uri),
                "table": printable(step.table or ""),
                "lock": one.lock.value,
                "waits": LOCKS[one.lock],
                "reason": english(printable(one.reason)),
                "hazards": [hazard.value for hazard in one.hazards],
            }
            for step, one in plan.statements
        ],
        "unchanged": [
            (printable(step.uri), english(printable(step.reason)))
            for step in plan.steps
            if not step.is_work
        ],
        "warnings": [english(printable(one)) for one in plan.warnings],
    }


def _entry(one: Any) -> dict[str, Any]:
    """Return a row of the ledger as its page shows it."""
    names = dict.fromkeys([*one.before, *one.after])
    return {
        "at": one.at,
        "kind": one.kind,
        "verb": one.verb,
        "actor": printable(one.actor),
        "reason": printable(one.reason),
        "database": one.database,
        "uri": printable(one.uri),
        "sql": highlighted(one.sql) if one.sql else "",
        "outcome": printable(one.outcome),
        "detail": english(printable(one.detail)),
        "changes": [
            (
                name,
                printable(str(one.before.get(name, ""))),
                printable(str(one.after.get(name, ""))),
            )
            for name in names
            if one.before.get(name) != one.after.get(name)
        ],
    }
