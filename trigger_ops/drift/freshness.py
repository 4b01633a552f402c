"""The last complete recorded run, and whether it is recent enough."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter

from trigger_ops.drift import Finding
from trigger_ops.records import FindingRecord, RunRecord
from trigger_ops.states import Enabled, ExitCode, Facet, Level, Status


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """What ``check --max-age`` looks at. ``run`` is None where none was ever complete.

    ``findings`` are those that are open now; ``now`` is the recording database's clock.
    """

    run: RunRecord | None
    findings: tuple[Finding, ...]
    now: dt.datetime
    max_age: dt.timedelta
    fail_level: Level = Level.WARNING

    @property
    def age(self) -> dt.timedelta | None:
        """How long ago the run ended; None without a run."""
        if self.run is None or self.run.finished is None:
            return None
        return max(self.now - self.run.finished, dt.timedelta())

    @property
    def complete(self) -> bool:
        """False when there is no run, or it is older than asked for."""
        return self.age is not None and self.age <= self.max_age

    @property
    def summary(self) -> dict[str, int]:
        """How many triggers had each status, over all databases of the run."""
        counts: Counter[str] = Counter()
        for target in self.run.targets if self.run is not None else ():
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
    )
