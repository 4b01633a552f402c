"""Who answers for a finding as it is, and whose allowance it has outgrown."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

from trigger_ops.records import AllowanceRecord, FindingRecord


class Answers:
    """Allowances that are live at a moment, by what they are of."""

    def __init__(self, allowances: Iterable[AllowanceRecord], now: dt.datetime) -> None:
        self._live: dict[tuple[str, str], list[AllowanceRecord]] = defaultdict(list)
        for one in allowances:
            if one.is_live(now):
                self._live[one.key, one.digest].append(one)

    def covering(self, key: str, digest: str, count: int) -> AllowanceRecord | None:
        """Return the newest allowance of a finding as it is, in so many places."""
        found = [one for one in self._of(key, digest) if one.covers(count)]
        return found[-1] if found else None

    def outgrown(self, key: str, digest: str, count: int) -> AllowanceRecord | None:
        """Return the newest allowance of what a finding is where it was in far fewer places."""
        found = self._of(key, digest)
        return found[-1] if found and not self.covering(key, digest, count) else None

    def of(self, record: FindingRecord) -> AllowanceRecord | None:
        """Return the allowance of a recorded finding as it was last seen."""
        return self.covering(record.key, record.digest, record.count)

    def _of(self, key: str, digest: str) -> list[AllowanceRecord]:
        return self._live.get((key, digest), [])
