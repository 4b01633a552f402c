"""Which sessions a transaction is in, and how it enters and leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from trigger_ops.sessions import statements
from trigger_ops.sessions.current import Presence
from trigger_ops.sessions.timeouts import Timeouts


class Membership:
    """What the transaction of one connection has entered; None where that is not known.

    It is not after a rollback to a savepoint, which takes back what was set. Nor is it in what is
    left of a transaction that has been in a session which goes on: a rollback that nobody sees,
    such as one on a cursor of the driver's, would bring that back.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Begin anew, as every transaction does."""
        self.entered: tuple[int, ...] | None = ()
        self._joined: set[int] = set()
        self._timeouts = Timeouts()
        self._may_come_back = False

    def lose_track(self) -> None:
        """Know no more what is entered: something was rolled back."""
        self.entered = None

    def join(self, session: Presence, sessions: tuple[Presence, ...]) -> None:
        """Enter a session in the midst of a transaction, beside those that it is in."""
        self._joined.add(session.id)
        self.synchronise(sessions)

    def leave(self, session: Presence, sessions: tuple[Presence, ...]) -> None:
        """Leave a session in the midst of a transaction; stay in others."""
        self._may_come_back = self._may_come_back or not session.opened_here
        self.synchronise(sessions)

    def synchronise(self, sessions: tuple[Presence, ...]) -> None:
        """Make the transaction be in exactly these sessions."""
        wanted = tuple(one.id for one in sessions)
        if self.entered == wanted and not self._may_come_back:
            return
        if self._timeouts.lowered or not wanted:
            self.ask(self._timeouts.restoring())
        if wanted:
            self.enter(sessions)
        self.entered = wanted

    def enter(self, sessions: tuple[Presence, ...], template: str | None = None) -> None:
        """Enter sessions, and put a statement on record that comes next."""
        call = self.call(sessions, template)
        ((before, statement, idle),) = self.ask(self._timeouts.asking(call))
        self._timeouts.note(before, statement, idle)

    def call(self, sessions: Sequence[Presence], template: str | None) -> str:
        """Return the call of the function that enters sessions."""
        raw = self._connection.connection
        numbers = ",".join(str(one.id) for one in sessions)
        joins = "true" if any(one.id in self._joined for one in sessions) else "false"
        text = "NULL" if template is None else statements.literal(template, raw)
        home = statements.identifier(sessions[0].home, raw)
        return f"{home}.trigger_ops_enter('{numbers}', {joins}, {text})"

    def ask(self, statement: Any) -> list[Any]:
        """Run a statement of ours on a cursor of the driver's, which no wrapper sees."""
        connection = self._connection
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
