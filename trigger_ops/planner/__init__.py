"""What would be done, in which order, under which locks. Decides; executes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TypeAlias

from trigger_ops.inspection import Scope
from trigger_ops.states import Enabled, ExitCode, Hazard, Lock, Result, Verb

Marks: TypeAlias = tuple[tuple[int, str, int, str, str], ...]
"""One version of one trigger: for it and each clone (oid, xmin, function oid, its xmin, comment).

Empty for a trigger that is not there. Any change to trigger or function changes a mark.
"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for: enough to make the same plan again.

    ``databases`` are aliases. ``mode`` is what ``enable --always`` and ``--replica`` ask for;
    ``lasts`` is how long a disable lasts (``disable --for``), None for as long as it takes;
    ``expired`` is ``enable --expired``; ``functions`` is ``prune --functions``; ``lock_timeout``
    is how long one attempt waits for a lock. ``named`` are triggers that no code knows, as
    ``ls`` prints them (``table:trigger``), which ``prune`` was told to drop. ``actor`` is who
    asks: to end one's own lease is no hazard.
    """

    verb: Verb
    databases: tuple[str, ...]
    selectors: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    scope: Scope = dataclasses.field(default_factory=Scope)
    mode: Enabled | None = None
    lasts: dt.timedelta | None = None
    expired: bool = False
    functions: bool = False
    lock_timeout: dt.timedelta = dt.timedelta(milliseconds=250)
    actor: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement, complete with its literals. ``undo`` is SQL that takes it back, or "".

    ``function`` is the (schema, name) of the function that it creates, replaces or hands over.
    """

    sql: str
    lock: Lock
    reason: str
    undo: str = ""
    hazards: tuple[Hazard, ...] = ()
    function: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """All that is done to one trigger (or to one shared function), in one place.

    ``result`` is what comes out of it if nothing goes wrong; a step without work is unchanged or
    skipped, and ``reason`` says why. ``table_oid`` is None for a function that belongs to no
    table. ``before`` and ``after`` are states in words, for the record. ``opens_lease`` is
    the mode that a disable goes back to when its lease ends; ``ends_lease`` ends an open one.
    ``turn`` says when: 0 before all tables, 1 with them, 2 after them. ``arguments`` counts those
    of a function that a step without a table is about. ``path`` is the search_path that names in the statements resolve with, None for the session's;
    ``seal`` is the key under which the trigger's condition may be remembered once it is installed.
    """

    uri: str
    database: str
    schema: str | None
    table: str | None
    table_oid: int | None
    trigger: str
    result: Result
    statements: tuple[Statement, ...] = ()
    reason: str = ""
    marks: Marks = ()
    before: dict[str, str] = dataclasses.field(default_factory=dict)
    after: dict[str, str] = dataclasses.field(default_factory=dict)
    opens_lease: Enabled | None = None
    ends_lease: bool = False
    path: tuple[str, ...] | None = None
    seal: str = ""
    turn: int = 1
    arguments: int = 0

    @property
    def uri_in_place(self) -> tuple[str, str, str | None, str | None]:
        """What tells one step from all others of a plan."""
        return self.database, self.uri, self.schema, self.table

    @property
    def is_work(self) -> bool:
        """True where something is to be done, be it only to a lease."""
        return bool(self.statements or self.opens_lease or self.ends_lease)

    @property
    def hazards(self) -> frozenset[Hazard]:
        """The side effects of its statements."""
        return frozenset(hazard for one in self.statements for hazard in one.hazards)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServerIdentity:
    """Which database a plan is for. ``identifier`` is the cluster's own (pg_control_system).

    ``role`` is who would carry it out; another role may carry out the same plan.
    """

    alias: str
    database: str
    version: int
    identifier: str
    role: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything one verb would do. ``obstacles`` are sentences why it cannot be done at all.

    ``hazards`` says, for each side effect that has to be allowed, what it would do.
    """

    request: Request
    created: dt.datetime
    expires: dt.datetime
    servers: tuple[ServerIdentity, ...]
    steps: tuple[Step, ...]
    fingerprint: str
    obstacles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hazards: dict[Hazard, str] = dataclasses.field(default_factory=dict)
    asked: bool = False

    @property
    def work(self) -> tuple[Step, ...]:
        """The steps that change something, in the order in which they are carried out."""
        return tuple(step for step in self.steps if step.is_work)

    def role_on(self, alias: str) -> str:
        """Return the role that the plan was made as, "" for an unknown alias."""
        return next((one.role for one in self.servers if one.alias == alias), "")

    @property
    def statements(self) -> tuple[tuple[Step, Statement], ...]:
        """Every statement in order, with the step it belongs to."""
        return tuple((step, one) for step in self.work for one in step.statements)

    @property
    def exit_code(self) -> ExitCode:
        """What ``plan`` exits with: 4 where it could not be carried out, 1 under ``--check``."""
        if self.obstacles:
            return ExitCode.REFUSED
        return ExitCode.FINDINGS if self.asked and self.work else ExitCode.CLEAN
