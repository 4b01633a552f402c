"""Joins what PostgreSQL has with what the code declares, into inspected triggers."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Collection, Sequence

from trigger_ops.catalog.guard import GuardCatalog
from trigger_ops.catalog.snapshot import CatalogTrigger, RelatedTable, Snapshot
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.states import Enabled, Facet, Status, Verdict

TABLE_MISSING = "its table is missing"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Which schemas to look at.

    ``path`` replaces the connection's search_path (stock's ``-s``); ``glob`` takes every schema
    whose name matches (``*`` for all). Neither means the connection's own search_path.
    """

    path: tuple[str, ...] | None = None
    glob: str | None = None

    def takes(self, schema: str) -> bool:
        """Tell whether ``glob`` includes a schema."""
        return self.glob is not None and fnmatch.fnmatchcase(schema, self.glob)

    def covers(self, schema: str, search_path: Sequence[str]) -> bool:
        """Tell whether registered triggers are looked for in a schema; the path counts without a glob."""
        return self.takes(schema) if self.glob is not None else schema in search_path


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InspectedTrigger:
    """One trigger in one place: what the code says, what the database has, and the verdict.

    ``uri`` is ``table:trigger`` for a trigger the code does not know. ``facets`` are those that
    differ from the code. ``reason`` says why a status is what it is, where that is not obvious.
    ``condition`` is the code's condition in PostgreSQL's own spelling, ``live_condition`` the
    database's (None where it could not be had, "" where there is none). ``elsewhere`` says that a
    command finds it only if it names the schema.
    """

    uri: str
    database: str
    schema: str | None
    table: str
    trigger: str
    status: Status
    enabled: Enabled
    verdict: Verdict
    facets: tuple[Facet, ...] = ()
    expected_mode: Enabled = Enabled.ENABLED
    registered_hash: str | None = None
    installed_hash: str | None = None
    reason: str = ""
    condition: str | None = None
    live_condition: str | None = None
    registered: RegisteredTrigger | None = None
    installed: CatalogTrigger | None = None
    elsewhere: bool = False

    @property
    def table_missing(self) -> bool:
        """True for a registered trigger whose table does not exist in the schemas looked at."""
        return self.verdict in (Verdict.PENDING, Verdict.MISSING) and self.reason == TABLE_MISSING

    def differs(self, ignoring: Collection[Facet] = ()) -> bool:
        """Tell whether the database is known to be other than the code here.

        What could not be read is not known to differ, and a foreign trigger is none of the code's.
        """
        if self.verdict in (Verdict.SAME, Verdict.AHEAD):
            return any(facet not in ignoring for facet in self.facets)
        if self.verdict is Verdict.NOT_ALLOWED:
            return self.installed is not None
        return self.verdict not in (Verdict.FOREIGN, Verdict.UNVERIFIED, Verdict.BROKEN)

    @property
    def is_suspect(self) -> bool:
        """True for what is worth a second look before it is reported."""
        return self.verdict not in (Verdict.SAME, Verdict.FOREIGN, Verdict.NOT_ALLOWED) or bool(
            self.facets
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InspectedDatabase:
    """One database, inspected. ``status`` is ok, unreachable or "not postgresql".

    ``spelled`` are the canonical conditions that had to be minted, by key, so that they can be
    remembered; ``ms`` is how long it took, in milliseconds; ``registered`` are (table, trigger
    name) of all that the code declares, asked for or not; ``known_pgids`` are the trigger names
    that it or any migration of the project ever used, ``applied`` those that the migrations which
    are applied somewhere want; ``shadowed`` are tables without the trigger
    behind the inspected ones on the search_path. ``guarded`` is what the guard has there, where
    that was asked for, and ``mask`` what the names of masked columns match. ``unread`` says what
    else could not be read that a verdict needs.
    """

    alias: str
    status: str
    triggers: tuple[InspectedTrigger, ...]
    reason: str = ""
    snapshot: Snapshot | None = None
    schemas: int = 0
    ms: int = 0
    known_pgids: frozenset[str] = frozenset()
    applied: frozenset[str] = frozenset()
    shadowed: tuple[RelatedTable, ...] = ()
    registered: frozenset[tuple[str, str]] = frozenset()
    spelled: dict[str, str] = dataclasses.field(default_factory=dict)
    guarded: GuardCatalog | None = None
    mask: re.Pattern[str] = re.compile(r"(?!)")
    unread: str = ""

    @property
    def complete(self) -> bool:
        """False when anything asked for could not be read."""
        return (
            self.status == "ok"
            and not self.unread
            and not any(trigger.status is Status.UNKNOWN for trigger in self.triggers)
        )
