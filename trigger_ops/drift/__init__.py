"""Differences that somebody should know about. Decides; executes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections import Counter

from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.records import AllowanceRecord, Places
from trigger_ops.states import Enabled, ExitCode, Facet, Level, Status


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One difference. ``uri`` is None for a finding about the database as a whole.

    ``schemas`` are all schemas that show the same thing, ``count`` how many places do, ``fix``
    is the command or SQL statement that ends it. ``digest`` is of what was observed, the same in
    every schema, and ``places`` say which schemas show what where they do not show the same.
    ``allowance`` is whoever answers for it as it is, ``outgrown`` whoever did for less of it.
    """

    id: str
    level: Level
    uri: str | None
    database: str
    schema: str | None
    table: str | None
    trigger: str | None
    status: Status | None
    enabled: Enabled | None
    facets: tuple[Facet, ...]
    message: str
    fix: str
    schemas: tuple[str, ...] = ()
    count: int = 1
    first_seen: dt.datetime | None = None
    digest: str = ""
    allowance: AllowanceRecord | None = None
    places: Places = ()
    outgrown: AllowanceRecord | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One database of a run.

    ``status`` is ok, incomplete, deploying, unreachable or "not postgresql": incomplete where
    something beside the triggers could not be read, which ``reason`` names.
    """

    database: str
    schemas: int
    triggers: int
    status: str
    ms: int
    reason: str = ""


def targets_of(databases: tuple[InspectedDatabase, ...]) -> tuple[Target, ...]:
    """Summarise inspected databases, one target each."""
    return tuple(
        Target(
            database=database.alias,
            schemas=database.schemas,
            triggers=len(database.triggers),
            status="incomplete" if database.unread else database.status,
            ms=database.ms,
            reason=database.unread or database.reason,
        )
        for database in databases
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What ``ls`` and ``diff`` print.

    ``asked`` is true under ``--check``; ``ignoring`` are facets that count as no difference.
    """

    databases: tuple[InspectedDatabase, ...]
    triggers: tuple[InspectedTrigger, ...]
    asked: bool = False
    ignoring: frozenset[Facet] = frozenset()

    @property
    def complete(self) -> bool:
        """False when anything could not be read."""
        return all(database.complete for database in self.databases)

    @property
    def summary(self) -> dict[str, int]:
        """How many triggers have each status."""
        return dict(sorted(Counter(trigger.status.value for trigger in self.triggers).items()))

    @property
    def differing(self) -> tuple[InspectedTrigger, ...]:
        """The triggers that are not exactly as the code says."""
        return tuple(one for one in self.triggers if one.differs(self.ignoring))

    @property
    def exit_code(self) -> ExitCode:
        """What the command exits with."""
        if self.asked and self.differing:
            return ExitCode.FINDINGS
        return ExitCode.CLEAN if self.complete else ExitCode.INCOMPLETE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What ``check`` found: databases looked at, and findings worst first.

    ``blind`` are (alias, ID) of what nothing could be said of; ``unrecorded`` says why a check
    that should have been recorded was not. ``scope`` says which schemas were looked at, as runs
    keep it, and ``whole`` that no selector left anything out.
    """

    run_id: uuid.UUID
    started: dt.datetime
    finished: dt.datetime
    databases: tuple[InspectedDatabase, ...]
    findings: tuple[Finding, ...]
    fail_level: Level = Level.WARNING
    blind: frozenset[tuple[str, str]] = frozenset()
    unrecorded: str = ""
    scope: str = ""
    whole: bool = True

    @property
    def targets(self) -> tuple[Target, ...]:
        """One summary a database."""
        return targets_of(self.databases)

    @property
    def complete(self) -> bool:
        """False when anything could not be read, verified or recorded as was asked."""
        return not self.unrecorded and all(database.complete for database in self.databases)

    @property
    def summary(self) -> dict[str, int]:
        """How many triggers have each status, over all databases."""
        statuses = (one.status.value for db in self.databases for one in db.triggers)
        return dict(sorted(Counter(statuses).items()))

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings at or above the fail level that nobody answers for.

        W004 is about completeness, not drift.
        """
        return tuple(
            one
            for one in self.findings
            if one.level >= self.fail_level
            and one.allowance is None
            and one.id != "trigger_ops.W004"
        )

    @property
    def exit_code(self) -> ExitCode:
        """What ``check`` exits with: findings win over incomplete."""
        if self.failing:
            return ExitCode.FINDINGS
        return ExitCode.CLEAN if self.complete else ExitCode.INCOMPLETE
