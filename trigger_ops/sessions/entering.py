"""Enters sessions at the start of each transaction, without touching the user's SQL.

An autocommit statement is entered in its own message, by one more statement before it, so that no
parameter of it is counted anew; what cannot be sent so gets a transaction of its own. In a
transaction, the session is entered by a statement of its own as soon as that has begun, and again
after a rollback to a savepoint. What is set is local to the transaction: nothing stays in a pool.

Not entered, so that triggers stay on: COPY, ``callproc()`` and cursors of the driver outside a
transaction, CALL and DO outside one, and what cannot run in one, such as VACUUM. In a block of
``atomic()`` all of them are in the session. A transaction enters none while it says that it is
read-only.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from trigger_ops.catalog.transactions import first_line
from trigger_ops.sessions import hooks, statements
from trigger_ops.sessions.backlog import Backlog
from trigger_ops.sessions.beside import is_shared
from trigger_ops.sessions.current import Presence, sessions_on
from trigger_ops.sessions.denials import Denial
from trigger_ops.sessions.kept import Kept
from trigger_ops.sessions.membership import Membership
from trigger_ops.sessions.recording import Statement
from trigger_ops.sessions.refusals import refusal_code, state_of
from trigger_ops.sessions.sending import Sending
from trigger_ops.sessions.statuses import Status, status_of

_ATTRIBUTE = "_trigger_ops_entrance"
_NUMBER = re.compile(r"\bsession (\d+)")


class Entrance:
    """The way into sessions on one connection: first of its execute wrappers.

    ``listens`` says that it will hear of an error that is raised now. ``_untouched`` says that
    this transaction did nothing yet but enter sessions.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.members: list[Presence] = []
        self.listens = self._rests = False
        self._raw: Any = connection.connection
        self._within = Membership(connection)
        self._untouched = False
        self._kept = Kept(self._within)
        self._backlog = Backlog(connection)

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001 - as Django calls it
        context: Any,
    ) -> Any:
        """Run one statement of Django's in the sessions of the code that sends it."""
        send = Sending(execute, sql, params, many, context)
        status = self._observe()
        if self.connection.needs_rollback:
            return send()
        sessions = sessions_on(self.connection)
        if status is Status.IN_TRANSACTION or (status is Status.IDLE and not self._autocommit()):
            return self._inside(send, sessions)
        if status is Status.IDLE and sessions and not send.runs_outside():
            with self._noting(sessions, send.template):
                if send.takes_one_statement():
                    return self._in_own_transaction(send, sessions)
                return self._prefixed(send, sessions)
        return self._watched(send)

    def join(self, session: Presence) -> None:
        """Let a session begin: at once where a transaction is open, else with the next one."""
        if self not in self.connection.execute_wrappers:
            self.connection.execute_wrappers.insert(0, self)
        self.members.append(session)
        if self._observe() is Status.IN_TRANSACTION:
            self._within.join(session, sessions_on(self.connection))

    def leave(self, session: Presence) -> None:
        """Let a session end, or be no more: what is still open goes on in the others alone."""
        if session in self.members:
            self.members.remove(session)
        try:
            if self._observe() is Status.IN_TRANSACTION:
                self._kept.write()
                self._within.leave(session, sessions_on(self.connection))
        finally:
            self._rest()

    def deny(self, denial: Denial, *, apart: bool = False) -> None:
        """Put a denial on record as soon as nothing can take that back, at once if that is so now.

        In a test that is rolled back as a whole it goes with the test, or is in the log alone.
        """
        status = status_of(self.connection)
        self._backlog.deny(denial, waits=status not in (Status.IDLE, Status.UNKNOWN))
        if is_shared() and status is Status.IN_TRANSACTION:
            self._backlog.write()
        elif _is_in_test(self.connection) or _is_in_test(connections[self.connection.alias]):
            self._backlog.forget_denials()
        self._rest(apart=apart)

    def _autocommit(self) -> bool:
        return bool(self.connection.autocommit)

    def _observe(self) -> Status:
        """Return the driver's status; forget a transaction that ended where nobody saw it."""
        status = status_of(self.connection)
        if self._raw is not self.connection.connection or status in (Status.IDLE, Status.UNKNOWN):
            self._raw = self.connection.connection
            self._forget()
        return status

    def _forget(self) -> None:
        self._within.forget()
        self._untouched = False
        self._kept.forget()

    def _inside(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        untouched, self._untouched = self._untouched, False
        if untouched and statements.must_be_first(send.start):
            self._begin_again()
        if statements.ends_transaction(send.start):
            self._kept.write()
        if self._kept.reads:
            return self._watched(send)
        if statements.is_about_transaction(send.start):
            if statements.makes_read_only(send.start):
                self._kept.write_before_reading()
            return self._watched(send)
        if not sessions:
            self._within.synchronise(sessions)
            return self._watched(send)
        return self._on_record(send, sessions)

    def _on_record(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        may_be_last = statements.may_make_read_only(send.start)
        with self._noting(sessions, send.template):
            self._within.synchronise(sessions)
            if may_be_last:
                last = Statement(session=sessions[0], template=send.template)
                self._kept.write_before_reading(last)
            began = time.perf_counter()
            result = send()
            took = (time.perf_counter() - began) * 1000
        if not may_be_last and statements.is_worth_recording(send.start):
            rows = send.rows()
            self._kept.add(
                Statement(session=sessions[0], template=send.template, rows=rows, took_ms=took)
            )
        if (may_be_last or send.takes_back()) and self._observe() is Status.IN_TRANSACTION:
            self._heed(send, asks=may_be_last)
        self._kept.write_many()
        return result

    def _begin_again(self) -> None:
        """Take back that a transaction was entered, for a statement that has to be its first one."""
        with self.connection.wrap_database_errors:
            self.connection.connection.rollback()
        self._forget()

    def _watched(self, send: Sending) -> Any:
        """Run a statement as it is, and see what it made of the transaction."""
        try:
            return send()
        finally:
            if self._observe() is Status.IN_TRANSACTION:
                if statements.makes_read_only(send.start):
                    self._kept.reads = True
                else:
                    ends = self._kept.reads and statements.may_end_reading(send.start)
                    self._heed(send, asks=ends)
            self._rest()

    def _heed(self, send: Sending, *, asks: bool) -> None:
        """See to what a statement made of the transaction; ``asks`` whether that is read-only."""
        takes_back = send.takes_back()
        if asks or (takes_back and self._kept.may_come_back()):
            self._kept.look(took_back=takes_back)
        if takes_back:
            self._resume()

    def _resume(self) -> None:
        """After a rollback to a savepoint: nobody knows what that took back of what was set."""
        self._within.lose_track()
        if self._kept.reads:
            return
        sessions = sessions_on(self.connection)
        with self._noting(sessions, "ROLLBACK TO SAVEPOINT"):
            self._within.synchronise(sessions)
        if sessions and self._kept:
            # What it took back stays among the statements: a report has to know of it.
            rollback = Statement(session=sessions[0], template="ROLLBACK TO SAVEPOINT")
            self._kept.add(rollback)

    def _prefixed(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        # Not SELECT: pghistory adds its context to no message that begins with that.
        prefix = f"VALUES ({self._within.call(sessions, send.template)}); "
        # With parameters, each percent sign of the text has a meaning.
        result = send.after(prefix if send.params is None else prefix.replace("%", "%%"))
        if is_psycopg3:
            send.context["cursor"].nextset()
        if self._observe() is Status.IN_TRANSACTION:
            self._within.lose_track()  # it has begun one, in which what was set goes on
        return result

    def _in_own_transaction(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        self._within.ask("BEGIN")
        try:
            self._within.enter(sessions, send.template)
            result = send()
            self._within.ask("COMMIT")
        except BaseException:
            if status_of(self.connection) in (Status.IN_TRANSACTION, Status.FAILED):
                with contextlib.suppress(Error):
                    self._within.ask("ROLLBACK")
            raise
        finally:
            self._observe()
        return result

    @contextlib.contextmanager
    def _noting(self, sessions: tuple[Presence, ...], template: str) -> Iterator[None]:
        """Keep a statement that fails, to be written once nothing can take that back."""
        try:
            with self._listening(bool(sessions)):
                yield
        except Error as error:
            self._note(error, sessions, template)
            if self._observe() is Status.IDLE and self._autocommit():
                self._rest()
            raise

    @contextlib.contextmanager
    def _listening(self, listens: bool) -> Iterator[None]:  # noqa: FBT001 - called here alone, with a word that tells
        before, self.listens = self.listens, listens
        try:
            yield
        finally:
            self.listens = before

    def _note(self, error: Error, sessions: Sequence[Presence], template: str) -> None:
        if not sessions:
            return
        code, session = refusal_code(error) or "", sessions[0]
        if code:
            named = _NUMBER.search(str(error))
            session = next((s for s in sessions if named and str(s.id) == named[1]), session)
            session.refused = session.refused or code
        failure = Statement(
            session=session,
            template=template,
            error=state_of(error) or "?????",
            code=code,
            message=first_line(error),
        )
        self._backlog.fail(failure)

    def _rest(self, *, apart: bool = False, closing: bool = False) -> None:
        """Do what waits for the end of the transaction, if it has ended."""
        if self._rests or status_of(self.connection) not in (Status.IDLE, Status.UNKNOWN):
            return
        self._rests = True  # what is written may be a transaction of this very connection
        try:
            self._backlog.write(apart=apart, last=closing)
        finally:
            self._rests = False
        if not self.members and not self._backlog:
            _remove(self)

    def hooks(self) -> dict[str, Callable[..., Any]]:
        """Return what is to happen where Django begins and ends transactions."""
        return {
            "_commit": self._commit,
            "_rollback": self._rollback,
            "_close": self._close,
            "set_autocommit": self._set_autocommit,
        }

    def _commit(self, original: Callable[[], Any]) -> Any:
        sessions = tuple(self.members[::-1])
        entered = bool(self._within.entered)
        try:
            if self._observe() is Status.IN_TRANSACTION:
                self._kept.write()
            with self._listening(entered):
                return original()
        except Error as error:
            if entered:
                self._note(error, sessions, "COMMIT")
            raise
        finally:
            self._observe()
            self._rest()

    def _rollback(self, original: Callable[[], Any]) -> Any:
        try:
            return original()
        finally:
            self._observe()
            self._rest()

    def _close(self, original: Callable[[], Any]) -> Any:
        try:
            return original()
        finally:
            self._forget()
            self._rest(closing=True)

    def _set_autocommit(
        self,
        original: Callable[..., Any],
        autocommit: bool,  # noqa: FBT001 - as Django calls it
        force_begin_transaction_with_broken_autocommit: bool = False,  # noqa: FBT001, FBT002 - as Django calls it
    ) -> None:
        begins = force_begin_transaction_with_broken_autocommit
        original(autocommit, force_begin_transaction_with_broken_autocommit=begins)
        if autocommit and self._backlog:
            self._rest()
        sessions = sessions_on(self.connection)
        # Only atomic() asks to begin: whoever turns autocommit off by hand may turn it on again.
        if autocommit or not begins or not sessions:
            return
        try:
            with self._noting(sessions, "BEGIN"):
                self._observe()
                self._within.synchronise(sessions)
            self._untouched = True
        except BaseException:
            try:
                self.connection.rollback()
                original(autocommit=True)
            except Error:
                self.connection.close()  # it was lost: Django makes another one for what comes next
            raise


def entrance_of(connection: BaseDatabaseWrapper) -> Entrance:
    """Return the way into sessions on a connection, which is made where there is none yet."""
    found = entrance_on(connection)
    if found is not None:
        return found
    entrance = Entrance(connection)
    hooks.put(connection, entrance.hooks())
    connection.execute_wrappers.insert(0, entrance)
    setattr(connection, _ATTRIBUTE, entrance)
    return entrance


def entrance_on(connection: BaseDatabaseWrapper) -> Entrance | None:
    """Return the way into sessions on a connection if there is one."""
    found = vars(connection).get(_ATTRIBUTE)
    return found if isinstance(found, Entrance) else None


def _is_in_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a connection is in a transaction that Django's TestCase will roll back."""
    blocks = connection.atomic_blocks
    return bool(blocks) and bool(getattr(blocks[0], "_from_testcase", False))


def _remove(entrance: Entrance) -> None:
    connection = entrance.connection
    while entrance in connection.execute_wrappers:
        connection.execute_wrappers.remove(entrance)
    if vars(connection).get(_ATTRIBUTE) is entrance:
        delattr(connection, _ATTRIBUTE)
        hooks.take(connection, entrance.hooks())
