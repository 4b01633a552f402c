"""What the tasks of a queue do: one run, one task for each database, and somebody who sweeps up.

Nothing here knows a queue. Each function is one short step, may be called by any process at any
time, and again: what has been done is done once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, connections

from trigger_ops import conf
from trigger_ops.api.freshness import all_is_fresh
from trigger_ops.api.inspecting import inspect_all, known, postgres_aliases, remember
from trigger_ops.api.looking import Look, look
from trigger_ops.api.recording import announce, record_look, wanted
from trigger_ops.catalog.snapshot import Extent
from trigger_ops.durations import spelled
from trigger_ops.exceptions import Busy, DatabaseUnreadable, NotRecorded, TriggerOpsError
from trigger_ops.inspection import InspectedDatabase, Scope
from trigger_ops.ledger.findings import end_elsewhere
from trigger_ops.ledger.recording import Book, recording
from trigger_ops.ledger.runs import (
    begin,
    claim,
    finish_run,
    finish_target,
    give_up,
    hold,
    is_anybody_at,
    is_left_behind,
    mark_sent,
    read_run,
    release,
    unattended,
    unfinished_runs,
)
from trigger_ops.records import FindingChange, RunRecord, TargetRecord
from trigger_ops.states import TargetState

PATIENCE = dt.timedelta(seconds=15)
"""How long a task that was sent may go untaken before another is sent; it doubles each time."""

GRACE = dt.timedelta(seconds=30)
"""How long whoever runs out of time has to say so."""

LONGEST_QUEUE = dt.timedelta(seconds=30)
"""How old a wish for a check may be. Clocks differ; older ones wait in the queue of their run."""

FEW = 10
"""With so few databases left somebody looks after a run, even if its own sweep was lost."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """What is to be done about a run after a step.

    ``send`` are databases whose tasks are to be sent; ``sweep`` asks for somebody to look after
    the run later, ``deliver`` for people to be told. ``ended`` is the run if this step ended it,
    and ``heartbeat`` says that every database has been read in full of late.
    """

    run_id: uuid.UUID
    send: tuple[str, ...] = ()
    sweep: bool = False
    deliver: bool = False
    ended: RunRecord | None = None
    heartbeat: bool = False


def begin_run(
    databases: Sequence[str] | None,
    scope: Scope,
    *,
    source: str,
    holder: str,
    waited: dt.timedelta = dt.timedelta(),
) -> Next:
    """Begin a run of some databases, all PostgreSQL ones by default, whose tasks are to be sent.

    A run that is under way for the same, or that began less than ``waited`` ago, answers for it:
    then only what nobody attends to is sent again. Runs that were left behind are given up.

    Raises:
        UnknownDatabase: naming the nearest match.
        NotRecorded: when the recording database cannot be reached, or is not migrated.
        BadSettings: when it is not PostgreSQL, and for destinations that cannot be read.
    """
    aliases = list(dict.fromkeys(known(alias) for alias in databases or postgres_aliases()))
    conf.destinations()
    limit = conf.check_limit()
    with recording() as book:
        over = [_given_up(book, one.id) for one in unfinished_runs(book)]
        asked = book.now - min(max(waited, dt.timedelta()), LONGEST_QUEUE)
        words = wanted(aliases, (), scope, source=source, holder=holder, asked=asked)
        run, is_new = begin(book, dataclasses.replace(words, idle=limit))
        if is_new:
            send = aliases
            end_elsewhere(book, run.id, postgres_aliases())
        elif run.finished is None and run.source == source:
            send, _ = unattended(book, run.id, PATIENCE)
        else:
            send = []
        mark_sent(book, run.id, send)
    return Next(run_id=run.id, send=tuple(send), sweep=bool(send), deliver=any(over))


def check_one(
    run_id: uuid.UUID,
    alias: str,
    scope: Scope,
    *,
    once_more: bool,
    out_of_time: type[Exception],
) -> Next | None:
    """Check one database of a run; None where somebody else is at it, or has done it.

    The claim is this connection to the recording database: it stays open until all is recorded.
    ``once_more`` says that a database which cannot be reached is tried again before that is
    recorded; ``out_of_time`` is what is raised here after ``TRIGGER_OPS["CHECK_LIMIT"]``.

    Raises:
        DatabaseUnreadable: when the database cannot be reached, and ``once_more`` is true.
        NotRecorded: when the recording database cannot be reached, or was lost.
    """
    with recording() as book:
        claims = claim(book, run_id, [alias], claim_lasts())
    if not claims:
        return None
    try:
        try:
            changes, after = _checked(run_id, alias, claims[alias], scope, once_more=once_more)
        except out_of_time:
            reason = (
                f'"{alias}" was not checked within {spelled(conf.check_limit())}: give it more time with '
                'TRIGGER_OPS["CHECK_LIMIT"].'
            )
            changes, after = _failed(run_id, alias, claims[alias], TargetState.LOST, reason)
    except Busy:
        return None
    except BaseException:
        with contextlib.suppress(NotRecorded), recording() as book:
            release(book, claims.values())
        raise
    announce(changes)
    remember()
    return after


def claim_lasts() -> dt.timedelta:
    """Return how long somebody may hold a database.

    That is ``TRIGGER_OPS["CHECK_LIMIT"]``, and what the last statement before it may take: no
    process hears that its time is over while it waits for the server.
    """
    return conf.check_limit() + dt.timedelta(milliseconds=conf.statement_timeout()) + GRACE


def sweep_run(run_id: uuid.UUID, *, alone: bool = False) -> Next:
    """Look after a run: say what to send again, and give it up after its time.

    ``alone`` says that nobody will ever take a task that is sent: then its time has come.

    Raises:
        NotRecorded: when the recording database cannot be reached, or is not migrated.
    """
    with recording() as book:
        ended = give_up(book, run_id) if alone else _given_up(book, run_id)
        run = read_run(book, run_id)
        if ended is not None or run is None or run.finished is not None:
            return dataclasses.replace(_over(book, run_id, ended), deliver=run is not None)
        send, _ = unattended(book, run_id, PATIENCE)
        mark_sent(book, run_id, send)
        ended = finish_run(book, run_id)
        over = _over(book, run_id, ended)
    return dataclasses.replace(over, send=tuple(send), sweep=ended is None)


def _over(book: Book, run_id: uuid.UUID, ended: RunRecord | None) -> Next:
    """Return that people are to be told, and that a complete run is heard of, if one has ended."""
    heartbeat = ended is not None and ended.whole and ended.complete and all_is_fresh(book)
    return Next(run_id=run_id, deliver=True, ended=ended, heartbeat=heartbeat)


def _given_up(book: Book, run_id: uuid.UUID) -> RunRecord | None:
    """End a run that everybody left; return it if there was something to end."""
    if is_left_behind(book, run_id, conf.check_limit()):
        return give_up(book, run_id)
    return None


def _checked(
    run_id: uuid.UUID, alias: str, claim_id: uuid.UUID, scope: Scope, *, once_more: bool
) -> tuple[list[FindingChange], Next]:
    def inspect(some: Sequence[str]) -> list[InspectedDatabase]:
        return inspect_all((), some, scope, surroundings=Extent.ALL)

    try:
        connected = _connected(known(alias))
        (seen,) = look([alias], inspect)
    except NotRecorded:
        raise
    except TriggerOpsError as error:
        return _failed(run_id, alias, claim_id, TargetState.INCOMPLETE, str(error))
    if once_more and _is_lost(seen, connected):
        why = seen.database.reason or "its connection was lost while it was read."
        raise DatabaseUnreadable(f'"{alias}" cannot be reached: {why}')
    with recording() as book:
        changes, ended = record_look(book, claim_id, seen, scope)
        return changes, _after(book, run_id, ended)


def _connected(alias: str) -> object:
    """Connect to a database, if it can be reached; return the driver's connection, or None."""
    connection = connections[alias]
    with contextlib.suppress(DatabaseError, InterfaceError):
        if connection.vendor == "postgresql":
            connection.ensure_connection()
    return connection.connection


def _is_lost(seen: Look, connected: object) -> bool:
    """Tell whether something could not be read because a connection was lost, or never had.

    Django connects anew at the end of a transaction whose connection was lost: then it is
    another one than that which was ``connected`` before.
    """
    if seen.database.complete or seen.database.status not in ("ok", "unreachable"):
        return False
    connection = connections[seen.database.alias]
    try:
        return connection.connection is not connected or not connection.is_usable()
    except (DatabaseError, InterfaceError, AttributeError):  # there is none
        return True


def _failed(
    run_id: uuid.UUID, alias: str, claim_id: uuid.UUID, state: TargetState, reason: str
) -> tuple[list[FindingChange], Next]:
    """Record that a database could not be checked: nothing opens, nothing resolves."""
    outcome = TargetRecord(
        database=alias,
        state=state,
        reason=reason,
        schemas=0,
        triggers=0,
        ms=0,
        statuses={},
        levels={},
    )
    with recording() as book:
        ended = finish_target(book, hold(book, claim_id), outcome)
        return [], _after(book, run_id, ended)


def _after(book: Book, run_id: uuid.UUID, ended: RunRecord | None) -> Next:
    """Say what follows on one database done: people are told, or what was lost is looked for."""
    if ended is not None:
        return _over(book, run_id, ended)
    run = read_run(book, run_id)
    left = [one for one in run.targets if one.finished is None] if run is not None else []
    if len(left) > FEW or is_anybody_at(book, run_id):
        return Next(run_id=run_id)
    send, _ = unattended(book, run_id, PATIENCE)
    mark_sent(book, run_id, send)
    return Next(run_id=run_id, send=tuple(send), sweep=True)
