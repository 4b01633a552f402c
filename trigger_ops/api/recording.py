"""Keeps what checks found: one run at a time for each database, findings over time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from django.db import connections, transaction

from trigger_ops import conf
from trigger_ops.api.inspecting import postgres_aliases
from trigger_ops.api.looking import PAUSE_SECONDS, Look
from trigger_ops.catalog.reading import read_schemas
from trigger_ops.drift.life import Seen, by_key, follow
from trigger_ops.drift.vouching import scope_words
from trigger_ops.exceptions import Busy, DatabaseUnreadable, NotRecorded
from trigger_ops.inspection import Scope
from trigger_ops.ledger.allowances import read_allowances
from trigger_ops.ledger.findings import end_elsewhere, read_open_findings, write_steps
from trigger_ops.ledger.recording import Book, recording
from trigger_ops.ledger.runs import (
    Wanted,
    begin,
    claim,
    finish_target,
    give_up,
    hold,
    release,
    unfinished_runs,
)
from trigger_ops.records import FindingChange, FindingRecord, RunRecord, TargetRecord
from trigger_ops.registry import registered_names
from trigger_ops.registry.selectors import select
from trigger_ops.signals import finding_changed
from trigger_ops.states import Status, TargetState

LOGGER = logging.getLogger("trigger_ops")

ELSEWHERE = "another check of it was under way"


class Attempt:
    """A check that is to be recorded.

    ``run_id`` is its run, or the one that answers for it; None where there is none, and
    ``reason`` says why. ``finished`` is the run, once it has ended.
    """

    def __init__(self, wanted: Wanted, *, selectors: Sequence[str], scope: Scope) -> None:
        self.wanted, self.selectors, self.scope = wanted, tuple(selectors), scope
        self.run_id: uuid.UUID | None = None
        self.reason = ""
        self._asked_since = time.monotonic()
        self._asked_before = max(dt.datetime.now(dt.UTC) - wanted.asked, dt.timedelta())
        self.claims: dict[str, uuid.UUID] = {}
        self.finished: RunRecord | None = None
        self._is_own = False

    def start(self) -> None:
        """Begin a run and claim its databases, unless another run answers for it."""
        try:
            with recording() as book:
                self._end_what_nobody_finishes(book)
                run, self._is_own = begin(book, self._by_the_clock_of(book))
                if self._is_own:
                    self.claims = claim(book, run.id, self.wanted.aliases, self.wanted.lasts)
            self.run_id = run.id
            if self._is_own:
                self._wait_for_others(run.id)
        except NotRecorded as error:
            self.reason = str(error)

    def _by_the_clock_of(self, book: Book) -> Wanted:
        """Return what is wanted, asked for by the database's clock: this host's may be wrong."""
        waited = dt.timedelta(seconds=time.monotonic() - self._asked_since)
        return dataclasses.replace(self.wanted, asked=book.now - self._asked_before - waited)

    def _end_what_nobody_finishes(self, book: Book) -> None:
        """Give up runs of checks that were killed, long after anybody could be at them."""
        limit = conf.check_limit()
        for run in unfinished_runs(book):
            if run.began + 2 * limit * max(1, len(run.targets)) < book.now:
                give_up(book, run.id)

    def _wait_for_others(self, run: uuid.UUID) -> None:
        """Give those who check one of the databases right now a moment to finish."""
        deadline = time.monotonic() + conf.deploy_wait().total_seconds()
        while left := set(self.wanted.aliases) - set(self.claims):
            if time.monotonic() >= deadline:
                return
            time.sleep(PAUSE_SECONDS)
            with recording() as book:
                self.claims |= claim(book, run, left, self.wanted.lasts)

    def record(self, looks: Sequence[Look]) -> None:
        """Write down what was seen, and end the run; ``reason`` says what could not be."""
        if not self._is_own or self.run_id is None:
            return
        changes: list[FindingChange] = []
        missed = [
            f'"{one.database.alias}" was not recorded, because {ELSEWHERE}.'
            for one in looks
            if one.database.alias not in self.claims
        ]
        try:
            with recording() as book:
                for one in looks:
                    if one.database.alias in self.claims:
                        try:
                            changes += self._record(book, one)
                        except Busy as error:
                            missed.append(str(error))
                if not self.selectors:
                    end_elsewhere(book, self.run_id, postgres_aliases())
                self.finished = give_up(book, self.run_id, ELSEWHERE) or self.finished
        except NotRecorded as error:
            self.reason = str(error)
            return
        self.claims = {}
        self.reason = " ".join(dict.fromkeys(missed))
        announce(changes)

    def _record(self, book: Book, seen: Look) -> list[FindingChange]:
        changes, finished = record_look(
            book, self.claims[seen.database.alias], seen, self.scope, self.selectors
        )
        self.finished = finished or self.finished
        return changes

    def abandon(self) -> None:
        """Give up what is still claimed, so that the next check need not wait."""
        if not self.claims or self.run_id is None:
            return
        with contextlib.suppress(NotRecorded), recording() as book:
            release(book, self.claims.values())
            give_up(book, self.run_id, "the check failed")


@contextlib.contextmanager
def recorded(
    aliases: Sequence[str],
    selectors: Sequence[str],
    scope: Scope,
    *,
    source: str,
    holder: str,
    asked: dt.datetime,
) -> Iterator[Attempt]:
    """Give an attempt to record a check; what is claimed is given back whatever happens.

    Raises:
        BadSettings: when the recording database is no PostgreSQL.
    """
    attempt = Attempt(
        wanted(aliases, selectors, scope, source=source, holder=holder, asked=asked),
        selectors=selectors,
        scope=scope,
    )
    attempt.start()
    try:
        yield attempt
    finally:
        attempt.abandon()


def wanted(
    aliases: Sequence[str],
    selectors: Sequence[str],
    scope: Scope,
    *,
    source: str,
    holder: str,
    asked: dt.datetime,
) -> Wanted:
    """Return what is to be recorded, in the words of the ledger."""
    return Wanted(
        aliases=tuple(dict.fromkeys(aliases)),
        source=source,
        holder=holder,
        scope=" ".join(filter(None, [*selectors, scope_words(scope)])),
        whole=not selectors,
        asked=asked,
        lasts=conf.check_limit() * max(1, len(aliases)),
    )


def record_look(
    book: Book, claim_id: uuid.UUID, seen: Look, scope: Scope, selectors: Sequence[str] = ()
) -> tuple[list[FindingChange], RunRecord | None]:
    """Write what was seen of one database; return what people are told, and the run if it ended.

    Raises:
        Busy: when somebody else has taken the check over.
    """
    target = hold(book, claim_id)
    changes: list[FindingChange] = []
    if seen.database.status == "ok":
        alias = seen.database.alias
        before = read_open_findings(book, [alias])
        steps = list(
            follow(
                before,
                judged(seen, before, scope, selectors),
                read_allowances(book, [alias]),
                now=book.now,
            )
        )
        changes = write_steps(book, target.run_id, steps, conf.destinations())
    return changes, finish_target(book, target, _outcome(seen))


def judged(
    seen: Look, before: Sequence[FindingRecord], scope: Scope, selectors: Sequence[str]
) -> Seen:
    """Return what a look can tell of the open findings of its database, and of new ones."""
    uris = None
    if selectors:
        uris = frozenset(one.uri for one in select(registered_names(), selectors))
    unread = [one for one in seen.database.triggers if one.status is Status.UNKNOWN]
    tables = _tables(seen)
    # Findings about no table are of everywhere, and some models name their schema.
    elsewhere = {
        schema
        for record in before
        for schema in record.schemas
        if record.table and (schema, record.table) not in tables
    }
    return Seen(
        findings=by_key(seen.findings),
        schemas=_looked_at(seen, elsewhere, scope),
        tables=tables,
        uris=uris,
        unread=frozenset((one.table, one.trigger) for one in unread),
        unread_in=frozenset((one.schema or "", one.table, one.trigger) for one in unread),
        blind=seen.blind,
        own_path=scope.path is None and scope.glob is None,
    )


def _looked_at(seen: Look, schemas: Collection[str], scope: Scope) -> frozenset[str] | None:
    """Return which of some schemas were looked at, or are there no more; None without a reading."""
    snapshot = seen.database.snapshot
    if snapshot is None:
        return None
    path = snapshot.server.search_path if scope.glob is None else ()
    looked = {schema for schema in schemas if schema in path or scope.takes(schema)}
    if others := set(schemas) - looked:
        with contextlib.suppress(DatabaseUnreadable):
            looked |= others.difference(read_schemas(seen.database.alias))
    return frozenset(looked)


def _tables(seen: Look) -> frozenset[tuple[str, str]]:
    """Return schema and name of every table that triggers were looked for on, or found on."""
    tables = {(one.schema, one.table) for one in seen.database.triggers}
    for one in seen.database.triggers:
        if one.registered is not None:
            tables.add(one.registered.table)
        if one.installed is not None:
            tables.update((clone.schema, clone.table) for clone in one.installed.clones)
    return frozenset((schema, table) for schema, table in tables if schema is not None)


def _outcome(seen: Look) -> TargetRecord:
    database = seen.database
    states: Mapping[str, TargetState] = {
        "ok": TargetState.OK if database.complete else TargetState.INCOMPLETE,
        "deploying": TargetState.DEPLOYING,
        "not postgresql": TargetState.NOT_POSTGRESQL,
    }
    return TargetRecord(
        database=database.alias,
        state=states.get(database.status, TargetState.UNREACHABLE),
        schemas=database.schemas,
        triggers=len(database.triggers),
        ms=database.ms,
        reason=database.unread or database.reason,
        statuses=Counter(one.status.value for one in database.triggers),
        levels=Counter(one.level.name for one in seen.findings),
    )


def announce(changes: Sequence[FindingChange]) -> None:
    """Send the signal for each change that people are told of, once that is certain.

    Inside a caller's transaction on the recording database that is after its COMMIT.
    """
    alias = conf.record_database()
    if changes and connections[alias].in_atomic_block:
        transaction.on_commit(lambda: _send(changes), using=alias)
    else:
        _send(changes)


def _send(changes: Sequence[FindingChange]) -> None:
    """Send the signal for each change; receivers that fail are logged."""
    for change in changes:
        for receiver, answer in finding_changed.send_robust(sender=FindingChange, change=change):
            if isinstance(answer, Exception):
                LOGGER.error("trigger_ops: %r failed: %s", receiver, answer, exc_info=answer)
