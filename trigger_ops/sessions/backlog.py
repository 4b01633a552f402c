"""What waits for the end of a transaction to be put on record beside it."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from trigger_ops.sessions.denials import Denial, log_denial, log_unwritten, write_denials
from trigger_ops.sessions.recording import Statement, log_failure, log_lost, record_failures

MOST_WAITING = 200
"""Denials that wait on one connection; of those beyond, only the log tells."""

MOST_TRIES = 3
"""How often denials are tried to be written: each try may wait for a connection in vain."""


class Backlog:
    """Failed and refused statements of sessions, and denials, of one connection.

    All of them are logged at once. Those of sessions are kept until they can be written.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._failed: list[Statement] = []
        self._denied: list[Denial] = []
        self._tries = 0

    def __bool__(self) -> bool:
        return bool(self._failed or self._denied)

    def fail(self, one: Statement) -> None:
        """Keep a statement of a session that failed."""
        log_failure(one)
        self._failed.append(one)

    def deny(self, one: Denial, *, waits: bool) -> None:
        """Keep a denial; ``waits`` says that it cannot be written at once."""
        log_denial(self._connection.alias, one, waits=waits)
        if len(self._denied) < MOST_WAITING:
            self._denied.append(one)

    def forget_denials(self) -> None:
        """Leave denials to the log: where a test is rolled back, nothing of it may stay."""
        self._denied.clear()

    def write(self, *, apart: bool = False, last: bool = False) -> None:
        """Write what waits, where nothing can take that back.

        ``apart`` is for a connection that is not to be touched, ``last`` for one that is closed.
        """
        failed, self._failed = self._failed, []
        if failed:
            # Where no second connection was to be had, there is one when atomic() has let go.
            self._failed = record_failures(failed, apart=apart or last)
        if self._failed and last:
            log_lost(self._failed)
            self._failed = []
        self._write_denied(apart=apart or last, last=last)

    def _write_denied(self, *, apart: bool, last: bool) -> None:
        denied, self._denied = self._denied, []
        error = write_denials(self._connection, denied, apart=apart) if denied else None
        if error is None:
            self._tries = 0
            return
        self._tries += 1
        if last or self._tries >= MOST_TRIES:
            log_unwritten(self._connection.alias, denied, error)
            self._tries = 0
        else:
            self._denied = [*denied, *self._denied]
