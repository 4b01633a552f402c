"""Carries a plan out: one transaction a table, bounded waits, a result for every trigger."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from trigger_ops.planner import Step
from trigger_ops.states import ExitCode, Hazard, Result, Verb

OnProgress: TypeAlias = Callable[[int, int, str], None]
"""Called before each table with (tables done, tables in all, the table's name)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How a plan is carried out.

    ``lock_timeout`` bounds one attempt's wait for a lock, ``lock_budget`` all waiting of the run,
    tries included. ``strict`` refuses what has changed since it was planned, instead of planning
    that table anew; ``allowed`` are the hazards that a new plan may bring.
    """

    lock_timeout: dt.timedelta = dt.timedelta(milliseconds=250)
    lock_budget: dt.timedelta = dt.timedelta(seconds=60)
    strict: bool = False
    allowed: frozenset[Hazard] = frozenset()


class Planning(Protocol):
    """Plans anew, from what is there now, what has changed since the plan was made."""

    def database(self, alias: str) -> Sequence[Step]:
        """Plan one database again.

        Raises:
            Refused: for a hazard that nobody allowed, or an obstacle.
        """

    def table(self, alias: str, table_oid: int, names: frozenset[str]) -> Sequence[Step]:
        """Plan some triggers of one table again, inside the transaction that will change it."""

    def functions(self, alias: str) -> Sequence[Step]:
        """Plan what belongs to no table again."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What became of one step. ``ms`` is how long its table's transaction took.

    ``condition`` is the condition of a trigger just installed, in PostgreSQL's own spelling, read
    in the transaction that installed it; None where there is none.
    """

    step: Step
    result: Result
    reason: str = ""
    ms: int = 0
    condition: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """What a run did, trigger by trigger; ``stopped`` says why it ended early, or is "".

    ``busy`` tells that it was a lock, another run or a lost connection, so that trying again is
    safe.
    """

    run: uuid.UUID
    verb: Verb
    results: tuple[StepResult, ...]
    stopped: str = ""
    busy: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[StepResult, ...]:
        """The steps that were carried out."""
        untouched = (Result.UNCHANGED, Result.SKIPPED, Result.FAILED)
        return tuple(one for one in self.results if one.result not in untouched)

    @property
    def failed(self) -> tuple[StepResult, ...]:
        """The steps that could not be carried out."""
        return tuple(one for one in self.results if one.result is Result.FAILED)

    @property
    def exit_code(self) -> ExitCode:
        """What the verb exits with: 6 if it was cut short, 4 or 5 if it did nothing at all."""
        if not self.failed and not self.stopped:
            return ExitCode.CLEAN
        if self.changed:
            return ExitCode.PARTIAL
        return ExitCode.BUSY if self.busy else ExitCode.REFUSED
