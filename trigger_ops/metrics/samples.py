"""Makes the samples of every metric from what is known of databases, findings and notices."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping

from trigger_ops import metrics
from trigger_ops.metrics import FINAL_STATES, LOOKED, OPEN_SESSIONS, Family
from trigger_ops.states import Level, SessionState, Status, TargetState

Samples = dict[tuple[str, ...], float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseMeasure:
    """What is known of one database; None is for what is not.

    ``state`` is what became of its last check, ``last_ok`` when one last read all of it.
    ``statuses`` are triggers by status; ``findings`` are those that nobody answers for, by ID and
    level; ``unattributed`` is a number of rows.
    """

    database: str
    state: TargetState | None = None
    last_ok: dt.datetime | None = None
    statuses: Mapping[str, int] = dataclasses.field(default_factory=dict)
    findings: Mapping[tuple[str, Level], int] = dataclasses.field(default_factory=dict)
    allowed: int = 0
    sessions: Mapping[SessionState, int] | None = None
    unattributed: int | None = None

    @property
    def is_seen(self) -> bool:
        """Tell whether the last check could look, so that a zero is what it saw."""
        return self.state in LOOKED


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What is known of everything; None is for what is not.

    ``complete``, ``lasted`` and ``finished`` are of the last check, ``last_complete`` is when one
    last could read everything; ``waiting`` and ``given_up`` are numbers of notices.
    """

    databases: tuple[DatabaseMeasure, ...] = ()
    complete: bool | None = None
    lasted: dt.timedelta | None = None
    finished: dt.datetime | None = None
    last_complete: dt.datetime | None = None
    waiting: int | None = None
    given_up: int | None = None


def families(measured: Measurement) -> tuple[Family, ...]:
    """Return every metric with its samples, in the order of :data:`~trigger_ops.metrics.METRICS`.

    What is not known has no sample: not a zero, which would look like the truth.
    """
    per_database = {
        metrics.TRIGGERS: _triggers,
        metrics.FINDINGS: _findings,
        metrics.FINDINGS_BY_LEVEL: _by_level,
        metrics.FINDINGS_ALLOWED: _allowed,
        metrics.TARGET_STATE: _state,
        metrics.LAST_OK: _last_ok,
        metrics.SESSIONS_OPEN: _sessions,
        metrics.UNATTRIBUTED_ROWS: _unattributed,
    }
    samples: dict[metrics.Metric, Samples] = {
        metric: {key: number for one in measured.databases for key, number in of(one).items()}
        for metric, of in per_database.items()
    }
    single = {
        metrics.CHECK_COMPLETE: None if measured.complete is None else int(measured.complete),
        metrics.CHECK_DURATION: (
            None if measured.lasted is None else measured.lasted.total_seconds()
        ),
        metrics.LAST_CHECK: _epoch(measured.finished),
        metrics.LAST_COMPLETE_RUN: _epoch(measured.last_complete),
        metrics.NOTICES_WAITING: measured.waiting,
        metrics.NOTICES_GIVEN_UP: measured.given_up,
    }
    for metric, number in single.items():
        samples[metric] = {} if number is None else {(): number}
    return tuple(Family(metric=one, samples=samples[one]) for one in metrics.METRICS)


def _triggers(one: DatabaseMeasure) -> Samples:
    if not one.is_seen:
        return {}
    return {(one.database, status.value): one.statuses.get(status.value, 0) for status in Status}


def _findings(one: DatabaseMeasure) -> Samples:
    return {
        (one.database, finding, level.name): number
        for (finding, level), number in one.findings.items()
    }


def _by_level(one: DatabaseMeasure) -> Samples:
    """Return every level of a database that was seen; of another one, what was open before."""
    counts: Counter[Level] = Counter()
    for (_, level), number in one.findings.items():
        counts[level] += number
    levels = sorted(Level, reverse=True)
    return {
        (one.database, level.name): counts[level]
        for level in levels
        if counts[level] or one.is_seen
    }


def _allowed(one: DatabaseMeasure) -> Samples:
    return {(one.database,): one.allowed} if one.allowed or one.is_seen else {}


def _state(one: DatabaseMeasure) -> Samples:
    if one.state is None:
        return {}
    return {(one.database, state.value): int(state is one.state) for state in FINAL_STATES}


def _last_ok(one: DatabaseMeasure) -> Samples:
    moment = _epoch(one.last_ok)
    return {} if moment is None else {(one.database,): moment}


def _sessions(one: DatabaseMeasure) -> Samples:
    if one.sessions is None:
        return {}
    return {(one.database, state.value): one.sessions.get(state, 0) for state in OPEN_SESSIONS}


def _unattributed(one: DatabaseMeasure) -> Samples:
    return {} if one.unattributed is None else {(one.database,): one.unattributed}


def _epoch(moment: dt.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
