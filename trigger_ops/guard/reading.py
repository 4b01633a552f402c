"""Reads the guard of a database, for whoever checks or shows it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Sequence

from trigger_ops import conf
from trigger_ops.catalog.guard import read_guard_catalog
from trigger_ops.drift.guarding import Guarding
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.guard import ddl
from trigger_ops.guard.keeping import find_gates
from trigger_ops.guard.wanting import wanted_guard
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.guarding import watched_tables
from trigger_ops.ledger import rights
from trigger_ops.ledger.guard import LEDGER, TABLES, guard_home, read_guard, read_unattributed
from trigger_ops.ledger.rights import why_unread
from trigger_ops.records import GuardState, Unattributed
from trigger_ops.sql.own_tables import OWN_TRIGGERS

LOGGER = logging.getLogger("trigger_ops")

AT_MOST = 1000
"""So many transactions are told of; more are known to be there, and no more."""


def read_guarding(alias: str) -> Guarding | None:
    """Return the guard of a database and what went past it; None where it is off.

    Where somebody switched it off past us, and nobody acknowledged that, it is returned as well.
    Where this role may not read what went past it, that is logged, and ``unread`` says so; where it
    may not read the guard's rows either, the functions tell that it is on.

    Raises:
        DatabaseUnreadable: when the database cannot be asked, and when this role may not read our
            tables and there are no functions either: they may have been taken away.
    """
    try:
        home = guard_home(alias)
        if home is None:
            return None
        state = read_guard(alias, home)
    except DatabaseUnreadable as error:
        if not is_denied(error):
            raise
        found = _by_its_functions(alias)
        if found is None:
            raise
        return dataclasses.replace(found, unread=_told(alias, error))
    past: list[Unattributed] = []
    unread = ""
    try:
        past = read_unattributed(alias, home, limit=AT_MOST + 1)
    except DatabaseUnreadable as error:
        if state is None or not is_denied(error):
            raise
        unread = _told(alias, error)
    if state is None:
        return _off(alias, home, past)
    return Guarding(
        database=alias,
        state=state,
        unattributed=tuple(past[:AT_MOST]),
        more=len(past) > AT_MOST,
        unread=unread,
        ddl_fault=ddl.fault(alias, home) if state.ddl else "",
        wanted=wanted_guard(alias, home),
    )


def _told(alias: str, error: DatabaseUnreadable) -> str:
    LOGGER.warning("trigger_ops: the guard of %s was not read in full: %s", alias, error)
    return why_unread(alias, error)


def read_state(alias: str, home: str) -> GuardState | None:
    """Return the guard of a database, None where it is off.

    Where this role may not read our tables, the functions tell whether it is on; its policies are
    not known then.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    try:
        return read_guard(alias, home)
    except DatabaseUnreadable as error:
        if not is_denied(error):
            raise
        found = _by_its_functions(alias)
        return found.state if found is not None else None


def is_denied(error: DatabaseUnreadable) -> bool:
    """Tell whether it was a right that was missing."""
    return rights.is_denied(error.__cause__)


def with_guard(database: InspectedDatabase, guard: GuardState) -> InspectedDatabase:
    """Return an inspected database with what its guard has there.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    found = read_guard_catalog(
        database.alias,
        guard.home,
        tables=watched_tables(database),
        own=[model._meta.db_table for model in (*LEDGER, *TABLES)],
        roles=conf.app_roles(),
        own_triggers=[(one.table, one.name) for one in OWN_TRIGGERS],
    )
    return dataclasses.replace(database, guarded=found, mask=conf.mask())


def _off(alias: str, home: str, past: Sequence[Unattributed]) -> Guarding | None:
    """Return a guard that is off, with what somebody did to it that no run of ours did."""
    done = tuple(one for one in past if one.acts)
    if not done:
        return None
    return Guarding(database=alias, state=_unknown(home), is_on=False, unattributed=done)


def _by_its_functions(alias: str) -> Guarding | None:
    found = find_gates(alias)
    if found is None:
        return None
    return Guarding(database=alias, state=_unknown(found.home), is_known=False)


def _unknown(home: str) -> GuardState:
    return GuardState(
        home=home,
        policy=conf.default_policy(),
        policies={},
        ddl=False,
        since=dt.datetime.fromtimestamp(0, dt.UTC),
    )
