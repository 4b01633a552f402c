"""The closed vocabularies of the project: statuses, enabled modes, facets, levels."""

from __future__ import annotations

import enum


class Status(enum.StrEnum):
    """How a trigger in the database compares with the code."""

    INSTALLED = "INSTALLED"
    OUTDATED = "OUTDATED"
    UNINSTALLED = "UNINSTALLED"
    PRUNE = "PRUNE"
    UNALLOWED = "UNALLOWED"
    TAMPERED = "TAMPERED"
    FOREIGN = "FOREIGN"
    UNKNOWN = "UNKNOWN"


class Enabled(enum.StrEnum):
    """When PostgreSQL fires the trigger: ``pg_trigger.tgenabled``, clones included."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    REPLICA = "REPLICA"
    ALWAYS = "ALWAYS"
    PARTIAL = "PARTIAL"
    NOT_APPLICABLE = "N/A"

    @classmethod
    def from_catalog(cls, tgenabled: str) -> Enabled:
        """Translate the ``"char"`` of ``pg_trigger.tgenabled`` (O, D, R or A).

        PostgreSQL knows no other; one that was written into the catalog by hand is not trusted.
        """
        known = {"O": cls.ENABLED, "D": cls.DISABLED, "R": cls.REPLICA, "A": cls.ALWAYS}
        return known.get(tgenabled, cls.DISABLED)


class Facet(enum.StrEnum):
    """One comparable part of a trigger's definition."""

    BODY = "body"
    CONDITION = "condition"
    TIMING = "timing"
    EVENTS = "events"
    LEVEL = "level"
    COLUMNS = "columns"
    ARGUMENTS = "arguments"
    DEFERRAL = "deferral"
    TRANSITION = "transition"
    FUNCTION = "function"
    SECURITY = "security"
    OWNER = "owner"
    ENABLED = "enabled"
    COMMENT = "comment"


class Level(enum.IntEnum):
    """How bad a finding is. Ordered, so that ``>=`` means at least as bad."""

    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


class ExitCode(enum.IntEnum):
    """What a command's exit code says. Zero is the only good news."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    REFUSED = 4
    BUSY = 5
    PARTIAL = 6
    INTERNAL = 70


class Verdict(enum.StrEnum):
    """What the database, the code and the applied migrations say together."""

    SAME = "same"
    PENDING = "pending"
    AHEAD = "ahead"
    OUTDATED = "outdated"
    TAMPERED = "tampered"
    MISSING = "missing"
    ORPHANED = "orphaned"
    FOREIGN = "foreign"
    NOT_ALLOWED = "not allowed"
    UNVERIFIED = "unverified"
    BROKEN = "cannot be compiled"


class Verb(enum.StrEnum):
    """What a plan does."""

    INSTALL = "install"
    UNINSTALL = "uninstall"
    ENABLE = "enable"
    DISABLE = "disable"
    PRUNE = "prune"
    GUARD_INSTALL = "guard install"
    GUARD_REMOVE = "guard remove"


class Lock(enum.StrEnum):
    """The strongest lock that a statement takes on a table, in PostgreSQL's own words.

    NONE stands for whatever conflicts with neither reads nor writes (ACCESS SHARE at most).
    """

    NONE = "NONE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"


class Hazard(enum.StrEnum):
    """A side effect that has to be allowed by name."""

    DROPS_FOREIGN = "DROPS_FOREIGN"
    PRUNES_MOST = "PRUNES_MOST"
    EMPTY_REGISTRY = "EMPTY_REGISTRY"
    REENABLES_DISABLED = "REENABLES_DISABLED"
    GAP_IN_ENFORCEMENT = "GAP_IN_ENFORCEMENT"
    REPLACES_SHARED_FUNCTION_OF_OTHERS = "REPLACES_SHARED_FUNCTION_OF_OTHERS"


class Result(enum.StrEnum):
    """What a run did with one trigger."""

    CREATED = "created"
    REPLACED = "replaced"
    DROPPED = "dropped"
    SWITCHED = "switched"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


class SessionState(enum.StrEnum):
    """What has become of a session. All but the first two are final."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"
    REVOKED = "revoked"
    DENIED = "denied"
    EXPIRED = "expired"
    ABANDONED = "abandoned"


class Policy(enum.StrEnum):
    """What it takes to have a trigger stand aside.

    OPEN is as without us, RECORD (the default) keeps what is done outside a session as
    unattributed, SESSION refuses it, and FOUR_EYES wants a session that somebody else approved.
    """

    OPEN = "open"
    RECORD = "record"
    SESSION = "session"
    FOUR_EYES = "four_eyes"


class EventKind(enum.StrEnum):
    """What happened to a finding from one recorded check to the next."""

    OPENED = "opened"
    CHANGED = "changed"
    GREW = "grew"
    ALLOWED = "allowed"
    RETURNED = "returned"
    RESOLVED = "resolved"


class TargetState(enum.StrEnum):
    """How far the check of one database has got. All but the first two are final."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    INCOMPLETE = "incomplete"
    DEPLOYING = "deploying"
    UNREACHABLE = "unreachable"
    NOT_POSTGRESQL = "not postgresql"
    LOST = "lost"
