"""The statements of a transaction that are to be put on record in it, so that they share its fate."""

from __future__ import annotations

from trigger_ops.sessions.membership import Membership
from trigger_ops.sessions.recording import Statement, recorded

MOST_KEPT = 200
"""Statements that are kept in memory until they are written, in a transaction without an end."""

# Not current_setting(): a query of ours would make a SET TRANSACTION that follows come too late.
_ASK = "SHOW transaction_read_only"


class Kept:
    """What one transaction has yet to put on record; ``reads`` says that it cannot, being read-only.

    It may be read-only for a while: from a savepoint on, until that is released or rolled back to.
    """

    def __init__(self, within: Membership) -> None:
        self._within = within
        self.forget()

    def __bool__(self) -> bool:
        return bool(self._statements)

    def forget(self) -> None:
        """Begin anew, as every transaction does."""
        self.reads = False
        self._statements: list[Statement] = []
        self._before_reading: list[Statement] = []

    def add(self, one: Statement) -> None:
        """Keep a statement."""
        self._statements.append(one)

    def write(self) -> None:
        """Write what is kept."""
        kept, self._statements = self._statements, []
        for statement in recorded(kept):
            self._within.ask(statement)

    def write_many(self) -> None:
        """Write what is kept if that is a lot."""
        if len(self._statements) >= MOST_KEPT:
            self.write()

    def write_before_reading(self, *last: Statement) -> None:
        """Write what is kept, before a statement after which the transaction may be read-only.

        ``last`` is that statement, which goes on record before it runs.
        """
        if not self.reads:
            self._before_reading = self._statements.copy()
            self._statements += last
            self.write()

    def may_come_back(self) -> bool:
        """Tell whether a rollback may take back what was written before reading."""
        return self.reads or bool(self._before_reading)

    def look(self, *, took_back: bool) -> None:
        """Ask whether the transaction may write, after a statement that may have changed that.

        ``took_back`` says that it rolled back to a savepoint: if the transaction may write now,
        what was written right before it became read-only has gone, and is kept again.
        """
        ((now,),) = self._within.ask(_ASK)
        was, self.reads = self.reads, now == "on"
        if self.reads:
            return
        if took_back:
            self._statements[:0] = self._before_reading
        self._before_reading = []
        if was:
            self._within.lose_track()
