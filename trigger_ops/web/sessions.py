"""The list of ignore sessions: those that are active, those that wait for a yes, and the past."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trigger_ops import api
from trigger_ops.api.inspecting import known
from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import SessionRecord
from trigger_ops.sessions.requests import guard_on
from trigger_ops.states import SessionState
from trigger_ops.web.session_basics import (
    LIVE,
    OVER,
    STATES,
    SessionsPage,
    ShownSession,
    number_in,
)

PAGE = 25
"""So many sessions of the past are on a page."""

LAST_PAGE = 40

MOST_LIVE = 200
"""So many that are active or wait are shown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What the list is to show, as its address says; whatever is no such thing is as not asked."""

    state: SessionState | None
    opener: str
    words: str
    page: int

    @classmethod
    def from_query(cls, query: Any) -> Asked:
        """Read the parameters of an address."""
        state, page = query.get("state", ""), query.get("page", "")
        return cls(
            SessionState(state) if state in set(SessionState) else None,
            query.get("opener", "").replace("\0", "").strip(),
            query.get("q", "").replace("\0", "").strip(),
            min(max(number_in(page), 1), LAST_PAGE),
        )

    def states(self, some: Sequence[SessionState]) -> list[SessionState]:
        """Return those of some states that are asked for."""
        return [state for state in some if self.state in (None, state)]

    def finds(self, record: SessionRecord) -> bool:
        """Tell whether a session has the words that are looked for."""
        text = " ".join(
            [str(record.id), *record.uris, record.reason, record.ticket, record.opened_by]
        ).lower()
        return all(word in text for word in self.words.lower().split())


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """A session that is over, and what its report says: a tone, a sign and a word."""

    session: ShownSession
    verdict: tuple[str, str, str]


class SessionList(SessionsPage):
    """Sessions that are active or wait for a yes, and those that are over."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show them."""
        asked = Asked.from_query(request.GET)
        problem = _guard_problem(self.alias)
        try:
            live = self._listed(asked, LIVE, MOST_LIVE) if asked.page == 1 else []
            past, has_more = self._past(asked)
        except SessionRefused:  # our tables are missing: the guard's sentence says so
            live, past, has_more = [], [], False
        shown = [self.shown(one) for one in live]
        active = [one for one in shown if one.record.state is SessionState.ACTIVE]
        openers = {one.record.opened_by for one in [*shown, *(one.session for one in past)]}
        return self.session_page(
            "sessions.html",
            title=_("Ignore sessions"),
            asked=asked,
            problem=problem,
            active=active,
            waiting=[one for one in shown if one not in active],
            past=past,
            openers=sorted(openers),
            states=[(state.value, STATES[state][2]) for state in SessionState],
            is_filtered=bool(asked.state or asked.opener or asked.words),
            ask_url=self.address("session_ask"),
            newer=self._turned(asked, asked.page - 1) if asked.page > 1 else "",
            older=self._turned(asked, asked.page + 1) if has_more else "",
        )

    def _past(self, asked: Asked) -> tuple[list[Past], bool]:
        first = (asked.page - 1) * PAGE
        found = self._listed(asked, OVER, first + PAGE + 1)
        some = found[first : first + PAGE]
        reports = api.session_reports(some, using=self.alias)
        past = [
            Past(self.shown(record), _verdict(report.findings))
            for record, report in zip(some, reports, strict=True)
        ]
        return past, len(found) > first + PAGE and asked.page < LAST_PAGE

    def _listed(
        self, asked: Asked, some: Sequence[SessionState], limit: int
    ) -> list[SessionRecord]:
        states = asked.states(some)
        if not states:
            return []
        # Words are looked for here: so many sessions are asked for, and no more.
        found = api.list_sessions(
            using=self.alias,
            states=states,
            opener=asked.opener or None,
            limit=LAST_PAGE * PAGE if asked.words else limit,
        )
        return [one for one in found if asked.finds(one)][:limit]

    def _turned(self, asked: Asked, page: int) -> str:
        query = {
            "state": asked.state.value if asked.state else "",
            "opener": asked.opener,
            "q": asked.words,
            "page": page if page > 1 else "",
        }
        return self.address("session_changelist", query)


def _guard_problem(alias: str) -> str:
    """Return why no session can be opened on a database, "" where one can."""
    try:
        guard_on(known(alias))
    except SessionRefused as error:
        return error.told()
    return ""


def _verdict(findings: Sequence[str]) -> tuple[str, str, str]:
    if not findings:
        return "good", "✔", _("clean")
    number = len(findings)
    told = ngettext("%(number)d finding", "%(number)d findings", number)
    return "warn", "▲", told % {"number": number}
