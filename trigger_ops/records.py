"""What our tables hold, as inert data.

Times are of the database's clock, with a zone; transactions are 64-bit numbers that are unique in
one cluster (``pg_current_xact_id``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from trigger_ops.states import EventKind, Level, Policy, SessionState, TargetState


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Somebody who asks: ``user:NAME`` with key and e-mail, or ``os:user@host`` without."""

    name: str
    key: str = ""
    email: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionRequest:
    """What somebody asks for: everything that the database needs to judge it.

    ``triggers`` are pgids in the order of ``uris``; ``needs`` is how many approvals it takes at
    least; ``surface`` is where it is used: run, shell, open, code or admin.
    """

    uris: tuple[str, ...]
    triggers: tuple[str, ...]
    reason: str
    actor: Actor
    surface: str
    lasts: dt.timedelta
    idle: dt.timedelta
    longest: dt.timedelta
    waits: dt.timedelta
    most_rows: int
    most_extensions: int
    needs: int = 0
    ticket: str = ""
    host: str = ""
    nonce: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRecord:
    """One person's "approve" or "deny"."""

    reviewer: str
    verdict: str
    remark: str
    at: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionRecord:
    """One session as it is now: ``state`` is what the database's clock makes of it.

    ``newest`` is when it was last used, None before its first transaction.
    """

    id: int
    database: str
    state: SessionState
    uris: tuple[str, ...]
    triggers: tuple[str, ...]
    reason: str
    ticket: str
    surface: str
    opened_by: str
    opener_key: str
    role: str
    host: str
    needs: int
    most_rows: int
    extensions: int
    most_extensions: int
    lasts: dt.timedelta
    idle: dt.timedelta
    opened: dt.datetime
    activated: dt.datetime | None
    expires: dt.datetime | None
    ended: dt.datetime | None
    ended_by: str
    end_cause: str
    newest: dt.datetime | None
    reviews: tuple[ReviewRecord, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EventRecord:
    """What happened to a session, or was denied to somebody without one."""

    id: int
    session: int | None
    kind: str
    actor: str
    at: dt.datetime
    detail: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StatementRecord:
    """One statement of a session, without its parameters. ``error`` is an SQLSTATE, or "".

    ``id`` is below zero for one that a transaction was made for: that of the transaction.
    """

    id: int
    template: str
    rows: int | None
    at: dt.datetime
    error: str
    transaction: int | None
    took_ms: float | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ChangeRecord:
    """One row that was written while something was ignored. ``session`` None: outside any."""

    id: int
    session: int | None
    number: int
    schema: str
    table: str
    op: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    cause: str
    transaction: int
    role: str
    application: str
    address: str
    at: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """That a trigger stood aside in a transaction. ``session`` None: for nobody's session."""

    transaction: int
    trigger: str
    session: int | None
    role: str
    at: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRecord:
    """One committed transaction that entered a session."""

    transaction: int
    session: int
    pid: int
    role: str
    application: str
    address: str
    at: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a session may be asked for at most; None is no limit."""

    longest: dt.timedelta | None = None
    idle: dt.timedelta | None = None
    waits: dt.timedelta | None = None
    most_rows: int | None = None
    most_extensions: int | None = None
    most_triggers: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardState:
    """The guard of a database, as its own tables say: on since ``since``.

    ``home`` is the schema of our tables and functions; ``policies`` are by pgid, where they are
    not ``policy``, with the URI and the number of approvals; ``approvals`` is how many ``policy``
    takes where it is four_eyes. ``uris`` are those of the triggers that the code declares, by pgid.
    """

    home: str
    policy: Policy
    policies: Mapping[str, tuple[str, Policy, int]]
    ddl: bool
    since: dt.datetime
    approvals: int = 1
    limits: Limits = dataclasses.field(default_factory=Limits)
    uris: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardAct:
    """One change of what is enforced: of a policy, the guard's own row, a trigger or its function.

    ``kind`` is policy, guard, trigger or function; ``name`` is the URI of a policy, or that of the
    trigger; ``op`` is what was done. ``old`` and ``new`` are rows, or what is known of a trigger.
    """

    kind: str
    op: str
    schema: str
    table: str
    name: str
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Unattributed:
    """What one transaction did past triggers outside any session, and nobody has acknowledged.

    ``tables`` are ``schema.table``; ``triggers`` those that stood aside; ``rows`` is how many rows
    are on record, which is 0 where a trigger stood aside too late for them to be seen. ``acts``
    are changes of what is enforced that no run of ours made.
    """

    transaction: int
    rows: int
    tables: tuple[str, ...]
    triggers: tuple[str, ...]
    causes: tuple[str, ...]
    role: str
    application: str
    address: str
    first: dt.datetime
    last: dt.datetime
    acts: tuple[GuardAct, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One recorded check. ``finished`` is None while it is under way."""

    id: uuid.UUID
    source: str
    holder: str
    scope: str
    whole: bool
    began: dt.datetime
    finished: dt.datetime | None
    complete: bool
    targets: tuple[TargetRecord, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TargetRecord:
    """One database of a run. ``statuses`` are triggers by status, ``levels`` findings by level."""

    database: str
    state: TargetState
    schemas: int
    triggers: int
    ms: int
    reason: str
    statuses: Mapping[str, int]
    levels: Mapping[str, int]
    finished: dt.datetime | None = None


Places = tuple[tuple[str, tuple[str, ...]], ...]
"""What was observed, as digests, and the schemas that show each: one for each place."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FindingRecord:
    """One finding over time. ``resolved`` is None while it is open.

    ``key`` digests what it is about, ``digest`` what was observed, in ``places`` where not all
    show the same; ``told_count`` is the count that people were last told, 0 while nobody was;
    ``allowed`` says that an allowance covers it.
    """

    id: int
    key: str
    digest: str
    code: str
    level: Level
    database: str
    uri: str
    schema: str
    schemas: tuple[str, ...]
    table: str
    trigger: str
    status: str
    enabled: str
    facets: tuple[str, ...]
    count: int
    told_count: int
    message: str
    fix: str
    allowed: bool
    first_seen: dt.datetime
    last_seen: dt.datetime
    resolved: dt.datetime | None
    places: Places = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FindingChange:
    """Something that happened to a finding, as it was told or may be. ``run`` None: by hand."""

    id: int
    kind: EventKind
    at: dt.datetime
    run: uuid.UUID | None
    finding: FindingRecord


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AllowanceRecord:
    """Somebody answers for one finding, exactly as it is, until a date.

    ``count`` is in how many places it was then, 0 where nobody knows.
    """

    id: int
    key: str
    digest: str
    code: str
    database: str
    uri: str
    message: str
    owner: str
    reason: str
    since: dt.datetime
    expires: dt.datetime
    ended: dt.datetime | None = None
    ended_by: str = ""
    count: int = 0

    def covers(self, count: int) -> bool:
        """Tell whether it covers its finding in so many places: in less than twice as many."""
        return self.count == 0 or count < 2 * self.count

    def is_live(self, now: dt.datetime) -> bool:
        """Tell whether it covers its finding at a moment."""
        return self.ended is None and now < self.expires


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Whom to tell of findings: of ``level`` or worse; ``kinds`` of events, empty for all.

    ``backend`` is email, webhook or the dotted name of a class; ``options`` are its own, and
    secrets.
    """

    name: str
    backend: str
    level: Level
    kinds: frozenset[EventKind]
    options: Mapping[str, Any] = dataclasses.field(repr=False)

    def wants(self, level: Level, kind: EventKind) -> bool:
        """Tell whether it is to be told."""
        return level >= self.level and (not self.kinds or kind in self.kinds)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What one destination is told at once. ``id`` stays the same when it is sent again.

    ``changes`` are worst first; a message without any is a test.
    """

    id: uuid.UUID
    destination: str
    changes: tuple[FindingChange, ...]
    attempt: int = 1
