"""Makes a request for a session out of what somebody asks for, or says why it cannot be one."""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Sequence

from django.db import connections
from django.utils.translation import gettext_noop as _

from trigger_ops import conf
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.durations import duration, spelled
from trigger_ops.exceptions import BadDuration, Sentence, SessionRefused
from trigger_ops.ledger.guard import guard_home, read_guard
from trigger_ops.records import Actor, GuardState, SessionRequest
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.sessions.scopes import scope_of
from trigger_ops.states import Policy

SHORTEST = dt.timedelta(seconds=1)

KINDS_OF_LETTERS = 5
"""So many different letters a reason has at least, where it has to be that long."""

_FILLER = re.compile(r"(.{1,5}?)\1{2,}.{0,4}", re.DOTALL)
_WORD = re.compile(r"[^\W_]+")


def session_request(
    selectors: Sequence[str],
    *,
    alias: str,
    reason: str,
    actor: Actor | str | None = None,
    surface: str = "code",
    ticket: str | None = None,
    lasts: str | dt.timedelta | None = None,
    history: bool = False,
    owns_transaction: bool = True,
    nonce: str | None = None,
) -> SessionRequest:
    """Return a request for a session that the database would not refuse, as far as can be seen.

    ``actor`` is whoever runs this process if it is not given. ``owns_transaction`` says that no
    transaction is open that the session would join; without it triggers that may be deferred are
    refused. ``history`` allows triggers that write history, which a wide selector may sweep in.

    Raises:
        UnknownSelector: naming the nearest match.
        BadDuration: for what is no duration.
        SessionRefused: in a sentence that says what to do.
        DatabaseUnreadable: when the database cannot be asked.
    """
    guard = guard_on(alias)
    said = stated_reason(reason)
    asked = _lasts(lasts)
    chosen = scope_of(selectors, alias=alias, history=history, owns_transaction=owns_transaction)
    return SessionRequest(
        uris=tuple(one.uri for one in chosen),
        triggers=tuple(one.pgid for one in chosen),
        reason=said,
        actor=actor_of(actor),
        surface=surface,
        lasts=asked,
        idle=conf.session_idle(),
        longest=conf.session_longest(),
        waits=conf.session_waits(),
        most_rows=conf.number("SESSION_ROWS"),
        most_extensions=conf.number("SESSION_EXTENSIONS"),
        needs=max(_approvals(guard, one) for one in chosen),
        ticket=(ticket or "").strip(),
        host=socket.gethostname(),
        nonce=nonce,
    )


def home_of_sessions(alias: str) -> str:
    """Return the schema of a database that has the tables of sessions.

    Raises:
        SessionRefused: where they are missing, or there is no PostgreSQL.
        DatabaseUnreadable: when the database cannot be asked.
    """
    if connections[alias].vendor != "postgresql":
        raise SessionRefused(
            _(
                '"%(alias)s" is no PostgreSQL database, and has no triggers that could stand aside: '
                "name another one."
            ),
            alias=alias,
        )
    home = guard_home(alias)
    if home is None:
        raise SessionRefused(
            _(
                'The tables of sessions are missing on "%(alias)s": run manage.py migrate '
                "--database %(alias)s, then manage.py pgtrigger guard install%(on)s."
            ),
            alias=alias,
            on=for_pgtrigger(alias),
        )
    return home


def guard_on(alias: str) -> GuardState:
    """Return the guard of a database.

    Raises:
        SessionRefused: where it is not on, our tables are missing, or there is no PostgreSQL.
        DatabaseUnreadable: when the database cannot be asked.
    """
    guard = read_guard(alias, home_of_sessions(alias))
    if guard is None:
        raise SessionRefused(
            _(
                'The guard is not on in "%(alias)s", so that nothing would be recorded: run '
                "manage.py pgtrigger guard install%(on)s."
            ),
            alias=alias,
            on=for_pgtrigger(alias),
        )
    return guard


def actor_of(actor: Actor | str | None) -> Actor:
    """Return somebody as the database keeps them.

    Raises:
        SessionRefused: for a name that is neither ``user:NAME`` nor ``os:user@host``.
    """
    if isinstance(actor, Actor):
        return actor
    name = (actor or operating_system_actor()).strip()
    kind, _colon, who = name.partition(":")
    if kind not in ("user", "os") or not who.strip():
        raise SessionRefused(
            f'"{name}" is nobody who could open a session: give user:NAME or os:user@host.'
        )
    return Actor(name=name)


A_SESSION = Sentence(_("A session"))


def stated_reason(reason: str, *, what: str = A_SESSION) -> str:
    """Return a reason without blanks round it; ``what`` needs it.

    It has at least so many letters and digits, where a word that is repeated counts once, and
    among them some different letters. Whether it is a good one is for people to judge.

    Raises:
        SessionRefused: for one that says too little, or nothing but filler.
    """
    said = reason.replace("\0", "").strip()
    words = _WORD.findall(said.casefold())
    letters = "".join(words)
    least = conf.number("SESSION_REASON")
    if len(letters) < least:
        raise SessionRefused(
            _(
                "%(what)s takes a reason of at least %(least)d letters and digits: say what is to "
                "be corrected, and why."
            ),
            what=what,
            least=least,
        )
    if _FILLER.fullmatch(letters) or len("".join(set(words))) < least:
        raise SessionRefused(
            _(
                '"%(said)s" repeats itself and gives no reason: say what is to be corrected, and '
                "why."
            ),
            said=said[:60],
        )
    kinds = min(KINDS_OF_LETTERS, least)
    if len({one for one in letters if one.isalpha()}) < kinds:
        raise SessionRefused(
            f'"{said[:60]}" has fewer than {kinds} different letters and gives no reason: say '
            "what is to be corrected, and why."
        )
    return said


def _lasts(asked: str | dt.timedelta | None) -> dt.timedelta:
    longest = conf.session_longest()
    if asked is None:
        return min(conf.session_duration(), longest)
    lasts = asked if isinstance(asked, dt.timedelta) else duration(asked)
    if lasts < SHORTEST:
        raise BadDuration(
            _('"%(asked)s" is too short for a session: write 1s or more.'), asked=asked
        )
    if lasts > longest:
        raise SessionRefused(
            _(
                "A session may last %(longest)s and no longer, not %(asked)s: ask for less, and "
                'extend it, or raise TRIGGER_OPS["SESSION_LONGEST"].'
            ),
            longest=spelled(longest),
            asked=asked,
        )
    return lasts


def _approvals(guard: GuardState, trigger: RegisteredTrigger) -> int:
    policy, approvals = guard.policy, guard.approvals
    if trigger.pgid in guard.policies:
        _uri, policy, approvals = guard.policies[trigger.pgid]
    return max(approvals, 1) if policy is Policy.FOUR_EYES else 0
