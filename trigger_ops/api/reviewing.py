"""Sessions from outside: opening them for others to use, reviewing, ending and reading them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterator, Sequence

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext_noop as _

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.api.inspecting import known
from trigger_ops.durations import duration as read_duration
from trigger_ops.exceptions import SessionRefused, UnknownSession
from trigger_ops.ledger.sessions import read_denials, read_sessions
from trigger_ops.ledger.tables import reading
from trigger_ops.records import Actor, EventRecord, SessionRecord
from trigger_ops.sessions import ending, reviewing
from trigger_ops.sessions.actors import USER, is_same, person
from trigger_ops.sessions.current import outside_all
from trigger_ops.sessions.ending import Revocation
from trigger_ops.sessions.exporting import tell_export
from trigger_ops.sessions.opening import open_session as open_row
from trigger_ops.sessions.reporting import (
    SessionAccount,
    SessionReport,
    account_of,
    reports_on,
)
from trigger_ops.sessions.requests import actor_of, home_of_sessions, session_request
from trigger_ops.sessions.running import RunningSession
from trigger_ops.sessions.watching import rejections
from trigger_ops.states import SessionState


def open_session(
    *selectors: str,
    reason: str,
    actor: Actor | str | None = None,
    ticket: str | None = None,
    duration: str | dt.timedelta | None = None,
    using: str = DEFAULT_DB_ALIAS,
    history: bool = False,
    nonce: str | None = None,
    surface: str = "open",
) -> SessionRecord:
    """Open a session for ``session(id=…)`` to use, or ask for one that others have to approve.

    ``surface`` is where it is asked for: open or admin. ``nonce`` is a text of the caller's that no two sessions may share, so that a form that is
    sent twice opens one session.

    Raises:
        UnknownSelector, UnknownDatabase, BadDuration: naming what would be right.
        SessionRefused: in a sentence that says what to do.
    """
    alias = known(using)
    with rejections(alias, "a session", actor=actor, triggers=selectors, reason=reason):
        request = session_request(
            selectors,
            alias=alias,
            reason=reason,
            actor=actor,
            surface=surface,
            ticket=ticket,
            lasts=duration,
            history=history,
            nonce=nonce,
        )
        number = open_row(alias, request)
    return find_session(number, using=alias)


def review_session(
    session: int,
    *,
    reviewer: Actor,
    verdict: str,
    remark: str = "",
    using: str = DEFAULT_DB_ALIAS,
) -> SessionRecord:
    """Give somebody's "approve" or "deny" to a pending session; return what became of it.

    Whoever calls this has made sure who the reviewer is, and that they may review.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: for one's own request, a second vote, what is not pending any more, and
            somebody who is no user of Django.
    """
    alias, home = _place(using)
    found = find_session(session, using=alias)
    with rejections(alias, f'to "{verdict}" a session', actor=reviewer, session=session):
        # The database judges; but some encodings of it know no letters beyond ASCII.
        if found.state is SessionState.PENDING:
            _refuse_reviewer(found, reviewer)
        reviewing.review(alias, home, session, reviewer=reviewer, verdict=verdict, remark=remark)
    return find_session(session, using=alias)


def _refuse_reviewer(session: SessionRecord, reviewer: Actor) -> None:
    who = person(reviewer.name)
    if is_same(reviewer.name, session.opened_by):
        raise SessionRefused(
            _("Session %(number)s cannot be reviewed: nobody reviews their own request."),
            number=session.id,
        )
    if who and (not who.startswith(USER) or who == USER):
        raise SessionRefused(
            _(
                'Session %(number)s cannot be reviewed: "%(reviewer)s" is no user of Django, who '
                "alone reviews: give user:NAME."
            ),
            number=session.id,
            reviewer=reviewer.name,
        )


def extend_session(
    session: int,
    *,
    longer: str | dt.timedelta,
    actor: Actor | str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> SessionRecord:
    """Move the end of an active session, never past its longest.

    Raises:
        UnknownSession, BadDuration: naming what would be right.
        SessionRefused: for one that is over, or was extended as often as it may be.
    """
    alias, home = _place(using)
    length = longer if isinstance(longer, dt.timedelta) else read_duration(longer)
    found = find_session(session, using=alias)
    with rejections(alias, "to extend a session", actor=actor, session=session):
        ending.extend(alias, home, found, actor=actor_of(actor).name, longer=length)
    return find_session(session, using=alias)


def end_session(
    session: int, *, actor: Actor | str | None = None, using: str = DEFAULT_DB_ALIAS
) -> SessionRecord:
    """End a session that is not needed any more; one that is over stays as it is.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: when the database refuses.
    """
    alias, home = _place(using)
    found = find_session(session, using=alias)
    with rejections(alias, "to end a session", actor=actor, session=session):
        ending.end(alias, home, found, actor=actor_of(actor).name)
    return find_session(session, using=alias)


def revoke_session(
    session: int,
    *,
    reason: str,
    actor: Actor | str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Revocation:
    """Stop a session at once, and whoever is in it.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: without a reason, and when the database refuses.
    """
    alias, home = _place(using)
    found = find_session(session, using=alias)
    # However short: whoever stops a session in a hurry has no time for words.
    said = reason.replace("\0", "").strip()
    if not said:
        raise SessionRefused("A revocation needs a reason: say why with --reason.")
    with rejections(alias, "to revoke a session", actor=actor, session=session, reason=said):
        return ending.revoke(alias, home, found, actor=actor_of(actor).name, cause=said)


def list_sessions(
    *,
    using: str = DEFAULT_DB_ALIAS,
    states: Collection[SessionState] = (),
    opener: str | None = None,
    limit: int = 100,
) -> list[SessionRecord]:
    """Return sessions, newest first, that are in one of the states and were opened by somebody.

    Raises:
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    alias, home = _place(using)
    with outside_all():
        return read_sessions(alias, home, states=states, opener=opener, limit=limit)


def list_denials(*, using: str = DEFAULT_DB_ALIAS, limit: int = 100) -> list[EventRecord]:
    """Return refused statements and requests, newest first, in sessions and without one.

    Raises:
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    alias, home = _place(using)
    with outside_all():
        return read_denials(alias, home, limit=limit)


def find_session(session: int, *, using: str = DEFAULT_DB_ALIAS) -> SessionRecord:
    """Return one session as it is now.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: where our tables are missing.
    """
    alias, home = _place(using)
    with outside_all():
        return _found(alias, home, session)


def show_session(session: int, *, using: str = DEFAULT_DB_ALIAS) -> SessionAccount:
    """Return a session with its report and all its evidence, as of one moment.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    with _one_moment(using) as (alias, home):
        return account_of(alias, home, _found(alias, home, session))


def export_session(
    session: int, *, actor: Actor | str | None = None, using: str = DEFAULT_DB_ALIAS
) -> SessionAccount:
    """Return a session with all its evidence for another system, and put on record that it was.

    Where nothing can be written, as on a standby, only the log tells of it.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    alias, home = _place(using)
    found = find_session(session, using=alias)
    tell_export(alias, home, found.id, actor=actor_of(actor).name)
    return show_session(session, using=alias)


def session_report(
    session: int, *, using: str = DEFAULT_DB_ALIAS, at_work: bool = False
) -> SessionReport:
    """Return what statements, decisions and rows of a session say together.

    ``at_work`` says that it is no finding that the session is active still.

    Raises:
        UnknownSession: for a number that no session has.
        SessionRefused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    with _one_moment(using) as (alias, home):
        found = _found(alias, home, session)
        (report,) = reports_on(alias, home, [found], at_work=at_work)
        return report


def session_reports(
    sessions: Sequence[SessionRecord], *, using: str = DEFAULT_DB_ALIAS
) -> list[SessionReport]:
    """Return reports on sessions that were just listed, in their order.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    with _one_moment(using) as (alias, home):
        return reports_on(alias, home, sessions)


def time_left(running: RunningSession) -> tuple[SessionState, dt.timedelta]:
    """Return what a session is that code is in, and how long it still lasts.

    Asked beside whatever transaction is open, and of the database's clock.

    Raises:
        SessionRefused: when a second connection is needed and cannot be had.
        DatabaseError: when the database cannot be asked.
    """
    return ending.left(running.database, running.home, running.id)


def _found(alias: str, home: str, session: int) -> SessionRecord:
    for found in read_sessions(alias, home, number=session, limit=1):
        return found
    raise UnknownSession(
        _(
            'There is no session %(number)s on "%(alias)s": manage.py pgtrigger session list%(on)s '
            "shows those there are."
        ),
        number=session,
        alias=alias,
        on=for_pgtrigger(alias),
    )


@contextlib.contextmanager
def _one_moment(using: str) -> Iterator[tuple[str, str]]:
    alias, home = _place(using)
    with outside_all(), reading(alias):
        yield alias, home


def _place(using: str) -> tuple[str, str]:
    alias = known(using)
    with outside_all():
        return alias, home_of_sessions(alias)
