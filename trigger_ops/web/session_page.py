"""The page of one session: who, why, what was done, which rows, and whether it all agrees."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trigger_ops import api, conf
from trigger_ops.durations import spelled
from trigger_ops.ledger.sessions import REFUSED, REJECTED
from trigger_ops.records import EventRecord, SessionRecord, StatementRecord
from trigger_ops.rendering.session_documents import plain
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.exporting import EXPORTED
from trigger_ops.sessions.reporting import SessionAccount
from trigger_ops.sessions.workers import ENTERED
from trigger_ops.states import SessionState
from trigger_ops.web.columns import english
from trigger_ops.web.session_basics import LIVE, SessionsPage, number_in
from trigger_ops.web.session_rows import shortened, shown_change

PAGE = 100
"""So many changed rows, and so many steps of the timeline, are on a page."""

HAPPENED = {
    "requested": gettext_lazy("asked for"),
    "approved": gettext_lazy("approved"),
    "activated": gettext_lazy("active from here on"),
    "extended": gettext_lazy("extended"),
    "denied": gettext_lazy("denied"),
    "ended": gettext_lazy("ended"),
    "revoked": gettext_lazy("revoked"),
    "expired": gettext_lazy("expired"),
    "abandoned": gettext_lazy("abandoned"),
    "killed": gettext_lazy("connections ended"),
    REFUSED: gettext_lazy("a statement was refused"),
    REJECTED: gettext_lazy("a request was refused"),
    EXPORTED: gettext_lazy("exported"),
    ENTERED: gettext_lazy("worked in it"),
}

One = TypeVar("One")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Something that happened in a session, or a statement of it: ``sql`` is "" for an event."""

    at: dt.datetime
    what: str
    who: str = ""
    told: str = ""
    sql: str = ""
    rows: int | None = None
    took_ms: float | None = None
    is_denial: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part(Generic[One]):
    """One page of many things: which are on it, how many there are, and where the others are."""

    some: Sequence[One]
    number: int
    first: int
    last: int
    before: str
    after: str


class SessionPage(SessionsPage):
    """One session with all its evidence."""

    def get(self, request: HttpRequest, session: int) -> HttpResponse:
        """Show it."""
        return show(self, session)


def show(
    page: SessionsPage, session: int, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    """Return the page of a session; ``refusal`` is why something was not done to it.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    account = api.show_session(session, using=page.alias)
    record, shown = account.session, page.shown(account.session)
    report = account.report
    if record.state is SessionState.ACTIVE:
        # That it is active is no finding here: the page says so, and has the button.
        report = api.session_report(session, using=page.alias, at_work=True)
    may_stop = page.owns(record) or page.may("trigger_ops.revoke_session")
    is_live = record.state in LIVE
    steps = _steps(account)
    sees_rows = page.may("trigger_ops.view_change")
    return page.session_page(
        "session.html",
        title=_("Session %(number)d") % {"number": record.id},
        status=status,
        refusal=printable(refusal),
        session=shown,
        facts=_facts(record),
        triggers=[(uri, _trigger_url(page, uri)) for uri in record.uris],
        reviews=[
            (one, printable(one.reviewer), printable(one.remark, keep="\n"))
            for one in record.reviews
        ],
        origins=_origins(account),
        report=report,
        findings=[english(printable(one)) for one in report.findings],
        notes=[english(printable(one)) for one in report.notes],
        denials=[step for step in steps if step.is_denial],
        steps=_part(page, session, steps, "steps"),
        rows=_part(page, session, account.changes if sees_rows else (), "rows", shown_change),
        sees_rows=sees_rows,
        may_review=record.state is SessionState.PENDING and page.may("trigger_ops.review_session"),
        may_extend=record.state is SessionState.ACTIVE and may_stop,
        may_stop=is_live and may_stop,
        longer=spelled(conf.session_duration()),
        urls={
            name: page.address(f"session_{name}", session=session)
            for name in ("review", "extend", "end", "revoke", "json", "csv")
        },
    )


def _facts(record: SessionRecord) -> list[tuple[str, dt.datetime | None, str]]:
    """Return what there is to know: a label, a moment if it is one, and a text."""
    extended = _("%(lasts)s; extended %(times)d of %(most)d times") % {
        "lasts": spelled(record.lasts),
        "times": record.extensions,
        "most": record.most_extensions,
    }
    found: list[tuple[str, dt.datetime | None, str]] = [
        (_("Opened"), record.opened, record.opened_by),
        (_("Ticket"), None, record.ticket),
        (_("Where it was asked for"), None, record.surface),
        (_("Host"), None, record.host),
        (_("Database role"), None, record.role),
        (_("Database"), None, record.database),
        (_("Active from"), record.activated, ""),
        (_("Expires"), record.expires, ""),
        (_("Lasts"), None, extended),
        (_("Rows at most"), None, str(record.most_rows)),
        (_("Last used"), record.newest, ""),
        (_("Ended"), record.ended, record.ended_by),
        (_("Cause of its end"), None, record.end_cause),
    ]
    return [(label, at, printable(text)) for label, at, text in found if at or text]


def _origins(account: SessionAccount) -> list[str]:
    """Return from where its transactions came."""
    found = {
        " ".join(part for part in (one.role, one.application, one.address) if part): None
        for one in account.transactions
    }
    return [printable(one) for one in found]


def _trigger_url(page: SessionsPage, uri: str) -> str:
    if not page.may("trigger_ops.view_trigger"):
        return ""
    try:
        address = page.url("trigger_detail", uri=uri)
    except NoReverseMatch:
        return ""
    return f"{address}?{urlencode({'database': page.alias})}"


def _steps(account: SessionAccount) -> list[Step]:
    entries = [
        *((one.at, number, _sent(one)) for number, one in enumerate(account.statements)),
        *((one.at, number, _happened(one)) for number, one in enumerate(account.events)),
    ]
    return [step for _at, _number, step in sorted(entries, key=lambda entry: entry[:2])]


def _sent(one: StatementRecord) -> Step:
    failed = _("failed: SQLSTATE %(code)s") % {"code": one.error}
    return Step(
        at=one.at,
        what=failed if one.error else _("statement"),
        sql=shortened(printable(one.template, keep="\n\t")),
        rows=one.rows,
        took_ms=one.took_ms,
        is_denial=bool(one.error),
    )


def _happened(one: EventRecord) -> Step:
    detail: Mapping[str, Any] = plain(one.detail)
    told = "; ".join(
        f"{key} {value}" for key, value in detail.items() if value and key != "template"
    )
    return Step(
        at=one.at,
        what=str(HAPPENED.get(one.kind, one.kind)),
        who=printable(one.actor),
        told=english(shortened(printable(told, keep="\n"))),
        sql=shortened(printable(str(detail.get("template", "")), keep="\n\t")),
        is_denial=one.kind in (REFUSED, REJECTED),
    )


def _part(
    page: SessionsPage,
    session: int,
    every: Sequence[Any],
    name: str,
    shown: Any = lambda one: one,
) -> Part[Any]:
    """Return the page of things that the parameter ``name`` asks for; the last, beyond it."""
    pages = max(-(-len(every) // PAGE), 1)
    number = min(max(number_in(page.request.GET.get(name, "")), 1), pages)
    first = (number - 1) * PAGE

    def turned(to: int) -> str:
        # The other table stays where it is.
        others = {key: page.request.GET.get(key) for key in ("steps", "rows")}
        query = {**others, name: to}
        return f"{page.address('session_detail', query, session=session)}#{name}"

    some = [shown(one) for one in every[first : first + PAGE]]
    return Part(
        some=some,
        number=len(every),
        first=first + 1 if some else 0,
        last=first + len(some),
        before=turned(number - 1) if number > 1 else "",
        after=turned(number + 1) if number < pages else "",
    )
