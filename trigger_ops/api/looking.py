"""Looks at databases as a check does: with all their surroundings, and not in mid-deploy."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence

from django.db import DatabaseError, connections

from trigger_ops import conf
from trigger_ops.catalog.moving import migrations_mark
from trigger_ops.catalog.transactions import in_transaction
from trigger_ops.drift import Finding
from trigger_ops.drift.databases import at_work
from trigger_ops.drift.finding import find
from trigger_ops.drift.guarding import Guarding
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.guard.reading import is_denied, read_guarding, with_guard
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.leases import Announcement, Lease
from trigger_ops.ledger import tables as own_tables
from trigger_ops.ledger.announcements import read_announcement
from trigger_ops.ledger.leases import read_leases
from trigger_ops.ledger.rights import lacking_rights, why_unread

LOGGER = logging.getLogger("trigger_ops")

PAUSE_SECONDS = 0.5
"""Between two looks at a database where a deploy is in progress."""

GUARD_IDS = frozenset(
    {"trigger_ops.C006", "trigger_ops.C007", "trigger_ops.W006", "trigger_ops.I004"}
)
"""What nothing can be said of where the guard is not known: a witness may be all there is."""

LEASE_IDS = frozenset({"trigger_ops.I015"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was seen of one database. ``blind`` are the IDs that nothing could be said of."""

    database: InspectedDatabase
    findings: tuple[Finding, ...] = ()
    blind: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Business:
    """What is going on in a database. ``mark`` is another one after each migration.

    ``unread`` says why leases and runs are not known, where they are not.
    """

    leases: tuple[Lease, ...] = ()
    run: Announcement | None = None
    mark: str | None = None
    unread: str = ""


def look(
    aliases: Sequence[str], inspect: Callable[[Sequence[str]], Sequence[InspectedDatabase]]
) -> list[Look]:
    """Look at databases with ``inspect``, each again while a deploy is in progress there.

    After ``TRIGGER_OPS["DEPLOY_WAIT"]`` it is reported as such, and nothing as drift. Inside a
    caller's transaction that is at once: what one sees there does not become another by waiting.
    """
    deadline = time.monotonic() + conf.deploy_wait().total_seconds()
    done: dict[str, Look] = {}
    waiting = list(aliases)
    while waiting:
        before = {alias: _business(alias, logging.DEBUG) for alias in waiting}
        seen = [_seen(database) for database in inspect(waiting)]
        late, waiting = time.monotonic() >= deadline, []
        for one, after in seen:
            alias = one.database.alias
            done[alias] = _beside(one, before[alias])
            if one.database.snapshot is None or not _is_moving(before[alias], after):
                continue
            if late or in_transaction(connections[alias]):
                done[alias] = _deploying(one, after.run or before[alias].run)
            else:
                waiting.append(alias)
        if waiting:
            time.sleep(PAUSE_SECONDS)
    return [done[alias] for alias in aliases]


def _beside(seen: Look, before: Business) -> Look:
    """Return a look that is incomplete where nobody knows whether a run was at work before it."""
    if seen.database.status != "ok" or not before.unread:
        return seen
    return dataclasses.replace(seen, database=_unread(seen.database, before.unread))


def _is_moving(before: Business, after: Business) -> bool:
    """Tell whether a run was at work, or a migration came or went, while somebody looked."""
    return before.run is not None or after.run is not None or before.mark != after.mark


def _seen(database: InspectedDatabase) -> tuple[Look, Business]:
    if database.snapshot is None:
        return Look(database=database, findings=find([database])), Business()
    business = _business(database.alias)
    database, guard, blind = _guarded(_unread(database, business.unread))
    if database.status != "ok":
        return Look(database=database), Business()
    findings = find([database], business.leases, [], [guard] if guard is not None else [])
    blind = blind | LEASE_IDS if business.unread else blind
    return Look(database=database, findings=findings, blind=blind), business


def _deploying(seen: Look, run: Announcement | None) -> Look:
    """Return a look that says no more than that a deploy is in progress."""
    reason = f'"{seen.database.alias}" was not checked: migrations are being applied there.'
    findings: tuple[Finding, ...] = ()
    if run is not None:
        reason = (
            f'"{seen.database.alias}" was not checked: {run.holder} is changing triggers there '
            f"({run.verb}, pid {run.pid}) since {run.since:%Y-%m-%d %H:%M:%SZ}."
        )
        findings = (at_work(seen.database, run),)
    database = dataclasses.replace(
        seen.database, status="deploying", reason=reason, triggers=(), snapshot=None, unread=""
    )
    return Look(database=database, findings=findings)


def _business(alias: str, level: int = logging.WARNING) -> Business:
    """Return the open leases of a database, and the run at work there.

    None where our tables are missing, or cannot be read: then no disable is excused.
    """
    if connections[alias].vendor != "postgresql":
        return Business()
    mark = migrations_mark(
        alias, statement_timeout=conf.statement_timeout(), lock_timeout=conf.lock_timeout()
    )
    try:
        home = own_tables.home(alias)
        if home is None:
            return Business(mark=mark, unread=lacking_rights(alias, None))
        run = read_announcement(alias, home)
        return Business(leases=tuple(read_leases(alias, home)), run=run, mark=mark)
    except (DatabaseUnreadable, DatabaseError) as error:
        LOGGER.log(level, "trigger_ops: leases of %s were not read: %s", alias, error)
        return Business(mark=mark, unread=why_unread(alias, error))


def _guarded(
    database: InspectedDatabase,
) -> tuple[InspectedDatabase, Guarding | None, frozenset[str]]:
    """Return a database with what its guard has there, the guard if it is on, and blind IDs.

    A guard that cannot be read is unknown, which is never green: then the database is ``unread``.
    One that is gone by now is unreachable.
    """
    try:
        guard = read_guarding(database.alias)
        if guard is None:
            return database, None, GUARD_IDS if database.unread else frozenset()
        if not guard.is_on:
            return database, guard, frozenset()
        if guard.unread:
            database = _unread(database, guard.unread)
        blind = frozenset({"trigger_ops.C007"}) if guard.unread else frozenset()
        return with_guard(database, guard.state), guard, blind
    except (DatabaseUnreadable, DatabaseError) as error:
        LOGGER.warning("trigger_ops: the guard of %s was not read: %s", database.alias, error)
        if isinstance(error, DatabaseUnreadable) and not is_denied(error):
            database = dataclasses.replace(
                database, status="unreachable", reason=str(error), triggers=(), snapshot=None
            )
            return database, None, GUARD_IDS
        database = _unread(database, why_unread(database.alias, error))
        return database, None, GUARD_IDS


def _unread(database: InspectedDatabase, reason: str) -> InspectedDatabase:
    """Return a database of which something beside its triggers is not known."""
    return dataclasses.replace(database, unread=database.unread or reason)
