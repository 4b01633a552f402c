"""What ``guard status`` tells: what is enforced in a database, what is detected, what neither."""

from __future__ import annotations

import dataclasses
import datetime as dt

from trigger_ops.guard.profile import Profile
from trigger_ops.records import GuardState, Unattributed
from trigger_ops.states import ExitCode, Policy


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardedTrigger:
    """A trigger that asks whether to stand aside. ``approvals`` are what ``four_eyes`` takes."""

    uri: str
    trigger: str
    policy: Policy
    approvals: int = 0

    @property
    def is_enforced(self) -> bool:
        """True where the database refuses to ignore it without a session."""
        return self.policy in (Policy.SESSION, Policy.FOUR_EYES)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardedTable:
    """A table with triggers that can be ignored.

    ``faults`` say what its witnesses lack. ``unwitnessable`` says what it is where no witness can
    be on it, "" where one can.
    """

    schema: str
    table: str
    triggers: tuple[GuardedTrigger, ...]
    faults: tuple[str, ...] = ()
    unwitnessable: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One piece of the guard that is not as it should be, or the gate of one schema.

    ``fault`` is "" where it is as it should be. ``kind`` is "function", "trigger" (of a table of
    ours), "role" (which may do too much) or "table" (of ours, with what is none of ours).
    """

    schema: str
    name: str
    fault: str = ""
    kind: str = "function"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardReport:
    """The guard of one database. ``state`` is None where it is off: then nothing else is told.

    Nothing but what somebody did to it: that is among ``unattributed``.

    ``missing`` says that our tables are not there. ``more`` tells that there are more
    unattributed transactions than those given, ``unread`` why none could be read. ``ddl_fault`` says
    what the DDL guard lacks, ``differences`` what the guard's rows say otherwise than the settings,
    ``writers`` who else may write our tables. ``denied`` is how many statements and requests were refused so far,
    ``last_denied`` when the last one was. ``role`` is the one that asks, and ``asker`` why nothing
    is kept from it, "" where the profile says it already.
    """

    database: str
    state: GuardState | None = None
    missing: bool = False
    profile: Profile | None = None
    tables: tuple[GuardedTable, ...] = ()
    gates: tuple[Gate, ...] = ()
    ddl_fault: str = ""
    differences: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    unattributed: tuple[Unattributed, ...] = ()
    more: bool = False
    unread: str = ""
    denied: int = 0
    last_denied: dt.datetime | None = None
    role: str = ""
    asker: str = ""

    @property
    def amiss(self) -> bool:
        """True where the guard is on and something is wrong, or waits for somebody's answer."""
        faults = [one.fault for one in self.gates] + [one for t in self.tables for one in t.faults]
        return any(faults) or bool(self.ddl_fault or self.differences or self.unattributed)

    @property
    def exit_code(self) -> ExitCode:
        """What ``guard status`` exits with for this database: what is amiss wins over what is unread."""
        if self.amiss:
            return ExitCode.FINDINGS
        return ExitCode.INCOMPLETE if self.unread else ExitCode.CLEAN
