"""The last complete recorded check of every database, and whether it is recent enough."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter

from trigger_ops.drift import Finding
from trigger_ops.drift.vouching import Reading
from trigger_ops.records import FindingRecord, RunRecord, TargetRecord
from trigger_ops.states import Enabled, ExitCode, Facet, Level, Status


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """What ``check --max-age`` looks at: the ``readings`` that vouch for its databases.

    ``missing`` are the databases that no recorded check could ever read in full. ``findings`` are
    those that are open now; ``now`` is the recording database's clock, and ``to_come`` when a run
    ends that is on record for later than that.
    """

    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    now: dt.datetime
    max_age: dt.timedelta
    missing: tuple[str, ...] = ()
    fail_level: Level = Level.WARNING
    to_come: dt.datetime | None = None

    @property
    def oldest(self) -> Reading | None:
        """The reading that is as old as all are together; None where a database lacks one."""
        if self.missing:
            return None
        return min(self.readings, key=lambda one: one.ended, default=None)

    @property
    def run(self) -> RunRecord | None:
        """The run of the oldest reading."""
        return self.oldest.run if self.oldest is not None else None

    @property
    def age(self) -> dt.timedelta | None:
        """How long ago the oldest reading ended; None without one that has ended by now."""
        if self.oldest is None or self.oldest.ended > self.now:
            return None
        return self.now - self.oldest.ended

    @property
    def complete(self) -> bool:
        """False when a database was never read in full, or longer ago than asked for."""
        return self.age is not None and self.age <= self.max_age

    @property
    def targets(self) -> tuple[TargetRecord, ...]:
        """What came of each database when it was last read in full."""
        return tuple(one.target for one in self.readings if one.target is not None)

    @property
    def summary(self) -> dict[str, int]:
        """How many triggers had each status, over all databases."""
        counts: Counter[str] = Counter()
        for target in self.targets:
            counts.update(target.statuses)
        return dict(sorted(counts.items()))

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The open findings at or above the fail level that nobody answers for."""
        return tuple(
            one
            for one in self.findings
            if one.level >= self.fail_level
            and one.allowance is None
            and one.id != "trigger_ops.W004"
        )

    @property
    def exit_code(self) -> ExitCode:
        """What the command exits with. Silence comes first: old findings prove nothing."""
        if not self.complete:
            return ExitCode.INCOMPLETE
        return ExitCode.FINDINGS if self.failing else ExitCode.CLEAN


def remembered(record: FindingRecord) -> Finding:
    """Return a recorded finding as a check would make it."""
    return Finding(
        id=record.code,
        level=record.level,
        uri=record.uri or None,
        database=record.database,
        schema=record.schema or None,
        schemas=record.schemas,
        table=record.table or None,
        trigger=record.trigger or None,
        status=Status(record.status) if record.status else None,
        enabled=Enabled(record.enabled) if record.enabled else None,
        facets=tuple(Facet(one) for one in record.facets),
        message=record.message,
        fix=record.fix,
        count=record.count,
        first_seen=record.first_seen,
        digest=record.digest,
        places=record.places,
    )
