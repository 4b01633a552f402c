"""What the pages of sessions have in common: of which database, whose they are, how they are told."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.db import DEFAULT_DB_ALIAS
from django.template.response import TemplateResponse
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from trigger_ops import api
from trigger_ops.durations import spelled
from trigger_ops.models import Session
from trigger_ops.records import Actor, SessionRecord
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.actors import is_same, person
from trigger_ops.states import Policy, SessionState
from trigger_ops.web.pages import Page
from trigger_ops.web.people import actor_of_user

LIVE = (SessionState.ACTIVE, SessionState.PENDING)
OVER = tuple(state for state in SessionState if state not in LIVE)

STATES: dict[SessionState, tuple[str, str, Promise]] = {
    SessionState.PENDING: ("warn", "?", gettext_lazy("waits for approval")),
    SessionState.ACTIVE: ("bad", "●", pgettext_lazy("of a session", "active")),
    SessionState.ENDED: ("good", "✔", gettext_lazy("ended")),
    SessionState.REVOKED: ("bad", "✖", gettext_lazy("revoked")),
    SessionState.DENIED: ("quiet", "✖", gettext_lazy("denied")),
    SessionState.EXPIRED: ("quiet", "○", gettext_lazy("expired")),
    SessionState.ABANDONED: ("warn", "▲", gettext_lazy("abandoned")),
}
"""For each state the tone it is shown in, its sign and its word."""

POLICIES: dict[Policy, Promise] = {
    Policy.OPEN: gettext_lazy(
        "open: whoever can connect may ignore it, with or without a session"
    ),
    Policy.RECORD: gettext_lazy("record: what is done outside of a session is on record too"),
    Policy.SESSION: gettext_lazy("session: it takes a session"),
    Policy.FOUR_EYES: gettext_lazy("four eyes: it takes a session that others approve"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """How long a session lasts: ``until`` and ``words`` as people read it, ``at`` for machines."""

    at: dt.datetime
    now: dt.datetime
    until: str
    words: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShownSession:
    """One session as a page shows it: texts without what nobody sees, and what may be done."""

    record: SessionRecord
    tone: str
    sign: str
    word: str
    url: str
    uris: tuple[str, ...]
    reason: str
    ticket: str
    opened_by: str
    lasts: str
    left: Left | None
    approvals: int
    is_own: bool
    has_voted: bool


class SessionsPage(Page):
    """A page of sessions: of the database that ``?database=`` names."""

    permission = "trigger_ops.view_session"

    @property
    def alias(self) -> str:
        """The database that is asked for; whether there is one, the API finds out."""
        given = self.request.POST.get("database") or self.request.GET.get("database")
        return given or DEFAULT_DB_ALIAS

    @property
    def actor(self) -> Actor:
        """Whoever asks."""
        return actor_of_user(self.request.user)

    def address(self, name: str, query: dict[str, Any] | None = None, **kwargs: Any) -> str:
        """Return the address of a page of this database, with what else it is asked."""
        asked = {} if self.alias == DEFAULT_DB_ALIAS else {"database": self.alias}
        asked |= {key: str(value) for key, value in (query or {}).items() if value}
        return f"{self.url(name, **kwargs)}{'?' if asked else ''}{urlencode(asked)}"

    def owns(self, record: SessionRecord) -> bool:
        """Tell whether whoever asks opened a session, as a user of this site."""
        is_user = record.opened_by.startswith("user:")
        return is_user and record.opener_key == str(self.request.user.pk)

    def shown(self, record: SessionRecord) -> ShownSession:
        """Return a session as this page shows it to whoever asks."""
        tone, sign, word = STATES[record.state]
        me = person(self.actor.name)
        return ShownSession(
            record=record,
            tone=tone,
            sign=sign,
            word=str(word),
            url=self.address("session_detail", session=record.id),
            uris=tuple(map(printable, record.uris)),
            reason=printable(record.reason, keep="\n"),
            ticket=printable(record.ticket),
            opened_by=printable(record.opened_by),
            lasts=spelled(record.lasts),
            left=left(record),
            approvals=sum(one.verdict == "approve" for one in record.reviews),
            is_own=self.owns(record) or is_same(record.opened_by, self.actor.name),
            has_voted=any(person(one.reviewer) == me for one in record.reviews),
        )

    def session_page(
        self, template: str, *, title: str, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Render a page of sessions, with its database and the others there are."""
        aliases = api.postgres_aliases()
        return self.page(
            template,
            title=title,
            status=status,
            opts=Session._meta,
            alias=self.alias,
            aliases=aliases if len(aliases) > 1 else [],
            list_url=self.address("session_changelist"),
            **context,
        )


def left(record: SessionRecord) -> Left | None:
    """Return how long an active session lasts, None for any other."""
    if record.state is not SessionState.ACTIVE or record.expires is None:
        return None
    now = dt.datetime.now(dt.UTC)  # with its zone, whatever USE_TZ says, as all our times
    if record.expires - now < dt.timedelta(minutes=1):
        words = _("less than a minute left")
    else:
        words = _("%(time)s left") % {"time": timeuntil(record.expires, now).replace("\xa0", " ")}
    return Left(record.expires, now, clock(record.expires, now), words)


def clock(at: dt.datetime, now: dt.datetime) -> str:
    """Return a time of day with its zone, and the date unless that is today's."""
    there, here = timezone.localtime(at), timezone.localtime(now)
    told = f"{formats.time_format(there, 'H:i')} {there.tzname()}"
    if there.date() == here.date():
        return told
    return f"{formats.date_format(there, 'DATE_FORMAT')} {told}"


def number_in(text: str) -> int:
    """Return the number that a parameter of an address is; 1 for whatever is none."""
    return int(text[:9]) if text.isascii() and text.isdecimal() else 1
