"""Enters sessions at the start of each transaction, without touching the user's SQL.

An autocommit statement is entered in its own message, by one more statement before it, so that no
parameter of it is counted anew; what cannot be sent so gets a transaction of its own. In a
transaction, the session is entered by a statement of its own as soon as that has begun, and again
after a rollback to a savepoint. What is set is local to the transaction: nothing stays in a pool.

Not entered, so that triggers stay on: COPY, ``callproc()`` and cursors of the driver outside a
transaction, CALL and DO outside one, and what cannot run in one, such as VACUUM. In a block of
``atomic()`` all of them are in the session. A transaction that says that it is read-only is in
none.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from trigger_ops.catalog.transactions import first_line
from trigger_ops.sessions import hooks, statements
from trigger_ops.sessions.current import Presence, sessions_on
from trigger_ops.sessions.recording import (
    Statement,
    log_failure,
    log_lost,
    record_failures,
    recorded,
)
from trigger_ops.sessions.refusals import refusal_code, state_of
from trigger_ops.sessions.sending import Sending
from trigger_ops.sessions.statuses import Status, status_of
from trigger_ops.sessions.timeouts import Timeouts

_ATTRIBUTE = "_trigger_ops_entrance"
_NUMBER = re.compile(r"\bsession (\d+)")

MOST_KEPT = 200
"""Statements that are kept in memory until they are written, in a transaction without an end."""


class Entrance:
    """The way into sessions on one connection: first of its execute wrappers.

    ``_entered`` is what this transaction has entered, None where a rollback to a savepoint made
    that unknown. ``_untouched`` says that it did nothing else yet, ``_reads`` that it is read-only,
    ``_haunted`` that it has left a session that goes on: a rollback that nobody sees, on a cursor
    of the driver's, brings what was set back.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.members: list[Presence] = []
        self._raw: Any = connection.connection
        self._entered: tuple[int, ...] | None = ()
        self._untouched = self._reads = self._haunted = False
        self._joined: set[int] = set()
        self._timeouts = Timeouts()
        self._kept: list[Statement] = []
        self._failed: list[Statement] = []

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
        self.members.append(session)
        if self._observe() is Status.IN_TRANSACTION:
            self._joined.add(session.id)
            self._synchronise(sessions_on(self.connection))

    def leave(self, session: Presence) -> None:
        """Let a session end, or be no more: what is still open goes on in the others alone."""
        if session in self.members:
            self.members.remove(session)
        try:
            if self._observe() is Status.IN_TRANSACTION and not self._reads:
                self._haunted = self._haunted or not session.opened_here
                self.write_kept()
                self._synchronise(sessions_on(self.connection))
        finally:
            self._rest()

    def write_kept(self) -> None:
        """Write the statements of this transaction into it, so that they live and die with it."""
        kept, self._kept = [] if self._reads else self._kept, []
        for statement in recorded(kept):
            self._ask(statement)

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
        self._entered = ()
        self._untouched = self._reads = self._haunted = False
        self._joined.clear()
        self._timeouts = Timeouts()
        self._kept.clear()

    def _inside(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        untouched, self._untouched = self._untouched, False
        if self._haunted:
            self._entered = None
        if untouched and statements.must_be_first(send.start):
            self._begin_again()
        if statements.ends_transaction(send.start):
            self.write_kept()
        if self._reads or statements.is_about_transaction(send.start):
            return self._watched(send)
        if not sessions:
            self._synchronise(sessions)
            return self._watched(send)
        return self._on_record(send, sessions)

    def _on_record(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        with self._noting(sessions, send.template):
            self._synchronise(sessions)
            began = time.perf_counter()
            result = send()
            took = (time.perf_counter() - began) * 1000
        if statements.is_worth_recording(send.start):
            rows = send.rows()
            self._kept.append(
                Statement(session=sessions[0], template=send.template, rows=rows, took_ms=took)
            )
        if send.takes_back() and self._observe() is Status.IN_TRANSACTION:
            self._resume()
        if len(self._kept) >= MOST_KEPT:
            self.write_kept()
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
            status = self._observe()
            if statements.makes_read_only(send.start) and status is Status.IN_TRANSACTION:
                self._reads = True
            if send.takes_back() and status is Status.IN_TRANSACTION:
                self._resume()
            self._rest()

    def _resume(self) -> None:
        """After a rollback to a savepoint: nobody knows what that took back of what was set."""
        self._entered = None
        if self._reads:
            return
        sessions = sessions_on(self.connection)
        with self._noting(sessions, "ROLLBACK TO SAVEPOINT"):
            self._synchronise(sessions)
        if sessions and self._kept:
            # What it took back stays among the statements: a report has to know of it.
            rollback = Statement(session=sessions[0], template="ROLLBACK TO SAVEPOINT")
            self._kept.append(rollback)

    def _prefixed(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        prefix = f"SELECT {self._call(sessions, send.template)}; "
        # With parameters, each percent sign of the text has a meaning.
        result = send.after(prefix if send.params is None else prefix.replace("%", "%%"))
        if is_psycopg3:
            send.context["cursor"].nextset()
        if self._observe() is Status.IN_TRANSACTION:
            self._entered = None  # it has begun one, in which what was set goes on
        return result

    def _in_own_transaction(self, send: Sending, sessions: tuple[Presence, ...]) -> Any:
        self._ask("BEGIN")
        try:
            self._enter(sessions, send.template)
            result = send()
            self._ask("COMMIT")
        except BaseException:
            if status_of(self.connection) in (Status.IN_TRANSACTION, Status.FAILED):
                with contextlib.suppress(Error):
                    self._ask("ROLLBACK")
            raise
        finally:
            self._observe()
        return result

    def _synchronise(self, sessions: tuple[Presence, ...]) -> None:
        """Make this transaction be in exactly these sessions."""
        wanted = tuple(one.id for one in sessions)
        if self._entered == wanted:
            return
        if self._timeouts.lowered or not wanted:
            self._ask(self._timeouts.restoring())
        if wanted:
            self._enter(sessions)
        self._entered = wanted

    def _enter(self, sessions: tuple[Presence, ...], template: str | None = None) -> None:
        call = self._call(sessions, template)
        ((before, statement, idle),) = self._ask(self._timeouts.asking(call))
        self._timeouts.note(before, statement, idle)

    def _call(self, sessions: Sequence[Presence], template: str | None) -> str:
        raw = self.connection.connection
        numbers = ",".join(str(one.id) for one in sessions)
        joins = "true" if any(one.id in self._joined for one in sessions) else "false"
        text = "NULL" if template is None else statements.literal(template, raw)
        home = statements.identifier(sessions[0].home, raw)
        return f"{home}.trigger_ops_enter('{numbers}', {joins}, {text})"

    def _ask(self, statement: Any) -> list[Any]:
        """Run a statement of ours on a cursor of the driver's, which no wrapper sees."""
        with self.connection.wrap_database_errors, self.connection.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def _noting(self, sessions: tuple[Presence, ...], template: str) -> Iterator[None]:
        """Keep a statement that fails, to be written once nothing can take that back."""
        try:
            yield
        except Error as error:
            self._note(error, sessions, template)
            if self._observe() is Status.IDLE and self._autocommit():
                self._rest()
            raise

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
        log_failure(failure)
        self._failed.append(failure)

    def _rest(self, *, closing: bool = False) -> None:
        """Do what waits for the end of the transaction, if it has ended."""
        if status_of(self.connection) not in (Status.IDLE, Status.UNKNOWN):
            return
        failed, self._failed = self._failed, []
        if failed:
            # Where no second connection was to be had, there is one when atomic() has let go.
            self._failed = record_failures(failed, apart=closing)
        if self._failed and closing:
            log_lost(self._failed)
            self._failed = []
        if not self.members and not self._failed:
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
        entered = bool(self._entered)
        try:
            if self._observe() is Status.IN_TRANSACTION:
                self.write_kept()
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
        force_begin_transaction_with_broken_autocommit: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        begins = force_begin_transaction_with_broken_autocommit
        original(autocommit, force_begin_transaction_with_broken_autocommit=begins)
        if autocommit and self._failed:
            self._rest()
        sessions = sessions_on(self.connection)
        # Only atomic() asks to begin: whoever turns autocommit off by hand may turn it on again.
        if autocommit or not begins or not sessions:
            return
        try:
            with self._noting(sessions, "BEGIN"):
                self._observe()
                self._synchronise(sessions)
            self._untouched = True
        except BaseException:
            with contextlib.suppress(Error):
                self.connection.rollback()
            original(autocommit=True)
            raise


def entrance_of(connection: BaseDatabaseWrapper) -> Entrance:
    """Return the way into sessions on a connection, which is made where there is none yet."""
    found = vars(connection).get(_ATTRIBUTE)
    if isinstance(found, Entrance):
        return found
    entrance = Entrance(connection)
    hooks.put(connection, entrance.hooks())
    connection.execute_wrappers.insert(0, entrance)
    setattr(connection, _ATTRIBUTE, entrance)
    return entrance


def _remove(entrance: Entrance) -> None:
    connection = entrance.connection
    while entrance in connection.execute_wrappers:
        connection.execute_wrappers.remove(entrance)
    if vars(connection).get(_ATTRIBUTE) is entrance:
        delattr(connection, _ATTRIBUTE)
        hooks.take(connection, entrance.hooks())
