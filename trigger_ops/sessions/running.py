"""A session that code is in, from its beginning to its end."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import DatabaseError, Error, connections

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionOver, SessionRefused, TriggerOpsError
from trigger_ops.records import SessionRequest
from trigger_ops.sessions import current
from trigger_ops.sessions.entering import entrance_of
from trigger_ops.sessions.opening import close_session, look, open_session
from trigger_ops.sessions.refusals import ENDED_FOR_IT, OVER, refusal_code, state_of
from trigger_ops.states import SessionState

LOGGER = logging.getLogger("trigger_ops")


class RunningSession:
    """A session that code is in, as ``with api.session(…) as running`` gives it."""

    def __init__(self, presence: current.Presence) -> None:
        self._presence = presence

    @property
    def id(self) -> int:
        """Its number."""
        return self._presence.id

    @property
    def database(self) -> str:
        """The alias of its database."""
        return self._presence.database

    @property
    def home(self) -> str:
        """The schema of our tables in it."""
        return self._presence.home

    @property
    def uris(self) -> tuple[str, ...]:
        """The triggers that stand aside."""
        return self._presence.uris

    @property
    def expires(self) -> dt.datetime:
        """When it expires, as the database said when it was entered."""
        return self._presence.expires

    @property
    def refused(self) -> str | None:
        """The code (``TO0xx``) of its first statement that a rule of sessions refused."""
        return self._presence.refused

    def state(self) -> SessionState:
        """Return what the session is now, asked over a connection of its own.

        Raises:
            SessionRefused: when that connection cannot be had.
        """
        found = look(self.database, self._presence.home, self.id, apart=True)
        return SessionState.ABANDONED if found is None else found.state

    def over(self, error: BaseException) -> bool:
        """Tell whether an error was raised because the session has expired, was revoked or ended.

        Where the error does not say so itself (a connection that was ended, a timeout), the
        session is looked at.
        """
        if refusal_code(error) in OVER or self.refused in OVER:
            return True
        if not isinstance(error, Error) or state_of(error) not in ("", *ENDED_FOR_IT):
            return False
        try:
            return self.state() is not SessionState.ACTIVE
        except (DatabaseError, SessionRefused):
            return False


def begin(
    alias: str, home: str, session: int, *, actor: str, opened_here: bool
) -> current.Presence:
    """Let the running code be in an active session, at once where a transaction is open.

    Who works in one that was opened before is put on record.

    Raises:
        SessionOver: for a session that has an end.
        SessionRefused: for one that nobody asked for, or that is not approved yet.
        DatabaseError: for what the database refuses as the session is entered.
    """
    found = look(alias, home, session, worker=None if opened_here else actor)
    if found is None:
        raise SessionRefused(
            f'There is no session {session} on "{alias}": manage.py pgtrigger session '
            f"list{for_pgtrigger(alias)} lists them."
        )
    if found.state is SessionState.PENDING:
        raise SessionRefused(
            f"Session {session} is not approved yet: somebody else approves it with manage.py "
            f"pgtrigger session approve {session}{for_pgtrigger(alias)}."
        )
    if found.state is not SessionState.ACTIVE or found.expires is None:
        raise SessionOver(f"Session {session} is {found.state}: open another one.")
    connection = connections[alias]
    presence = current.Presence(
        id=session,
        database=alias,
        uris=found.uris,
        triggers=found.triggers,
        expires=found.expires,
        home=home,
        actor=actor,
        opened_here=opened_here,
        connection=connection,
    )
    current.begin(presence)
    try:
        entrance_of(connection).join(presence)
    except BaseException:
        _leave(presence, quietly=True)
        raise
    return presence


def finish(presence: current.Presence, raised: BaseException | None) -> None:
    """Take code out of a session, and end that if it was opened for this code alone.

    What the code raised is never replaced by an error of ours: that goes to the log then.

    Raises:
        SessionOver: when the code raised nothing, but the session was over before its end.
        DatabaseError: when its transaction cannot be left, as on a lost connection.
    """
    try:
        _leave(presence, quietly=raised is not None)
    except BaseException as error:
        if presence.opened_here:
            _close_quietly(
                presence.database,
                presence.home,
                presence.id,
                actor=presence.actor,
                cause=f"{type(error).__name__} was raised",
            )
        raise
    over: TriggerOpsError | None = None
    try:
        over = _ended(presence, raised)
    except (DatabaseError, TriggerOpsError) as error:
        LOGGER.exception("Session %s could not be ended", presence.id)
        if raised is None:
            raise SessionRefused(
                f"Session {presence.id} could not be ended ({first_line(error)}): end it with "
                f"manage.py pgtrigger session end {presence.id}{for_pgtrigger(presence.database)}."
            ) from error
    if over is not None and raised is None:
        raise over


def open_here(alias: str, home: str, request: SessionRequest) -> current.Presence:
    """Open a session for the running code alone, and let it be in that.

    Raises:
        SessionRefused: for one that needs approval, and whatever :func:`open_session` refuses.
    """
    if request.needs:
        raise SessionRefused(
            f"{', '.join(request.uris)}: a session takes the approval of {request.needs}: open it "
            f"with manage.py pgtrigger session open …{for_pgtrigger(alias)} and have it approved, "
            "then use it with session(id=…)."
        )
    number = open_session(alias, request)
    try:
        return begin(alias, home, number, actor=request.actor.name, opened_here=True)
    except BaseException:
        _close_quietly(
            alias, home, number, actor=request.actor.name, cause="it could not be entered"
        )
        raise


def _leave(presence: current.Presence, *, quietly: bool) -> None:
    current.end(presence)
    try:
        entrance_of(presence.connection).leave(presence)
    except Error:
        if not quietly:
            raise
        LOGGER.warning("Session %s was left with its transaction", presence.id, exc_info=True)


def _ended(presence: current.Presence, raised: BaseException | None) -> SessionOver | None:
    if presence.opened_here:
        cause = f"{type(raised).__name__} was raised" if raised is not None else ""
        state = close_session(
            presence.database,
            presence.home,
            presence.id,
            wanted=SessionState.ENDED,
            actor=presence.actor,
            cause=cause,
        )
        was_over = state is not SessionState.ENDED
    else:
        found = look(presence.database, presence.home, presence.id)
        state = found.state if found is not None else SessionState.ABANDONED
        was_over = state is not SessionState.ACTIVE
    if was_over or presence.refused in OVER:
        word = state if was_over else SessionState.EXPIRED
        return SessionOver(
            f"Session {presence.id} is {word}: what was not committed before is not kept; open "
            "another one."
        )
    return None


def _close_quietly(alias: str, home: str, session: int, *, actor: str, cause: str) -> None:
    try:
        close_session(alias, home, session, wanted=SessionState.ENDED, actor=actor, cause=cause)
    except (DatabaseError, TriggerOpsError):
        LOGGER.exception("Session %s could not be ended", session)
