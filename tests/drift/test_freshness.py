"""The last complete checks: recent enough or not, and what is open since."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from tests.drift.making import HOUR, NOW, allowance_of, make_finding, record_of
from trigger_ops.drift import Finding
from trigger_ops.drift.freshness import LastRun, remembered
from trigger_ops.drift.vouching import Reading
from trigger_ops.records import RunRecord, TargetRecord
from trigger_ops.rendering.freshness import summary_line
from trigger_ops.states import ExitCode, Level, TargetState

DRIFT = make_finding()
INFO = make_finding(id="trigger_ops.I004", level=Level.INFO)
UNVERIFIED = make_finding(id="trigger_ops.W004", level=Level.WARNING)
ALLOWED = dataclasses.replace(DRIFT, allowance=allowance_of(DRIFT))


def read(database: str, ended: dt.datetime, **statuses: int) -> Reading:
    """Make a reading of a database by a run of its own."""
    target = TargetRecord(
        database=database,
        state=TargetState.OK,
        schemas=1,
        triggers=sum(statuses.values()),
        ms=5,
        reason="",
        statuses=statuses,
        levels={},
        finished=ended,
    )
    run = RunRecord(
        id=uuid.uuid4(),
        source="command",
        holder="os:ann@web1",
        scope="",
        whole=True,
        began=ended - HOUR,
        finished=ended,
        complete=True,
        targets=(target,),
    )
    return Reading(database=database, scope="", ended=ended, run=run, target=target)


def last(
    ended: dt.datetime, findings: Sequence[Finding] = (), level: Level = Level.WARNING
) -> LastRun:
    return LastRun(
        readings=(read("db1", ended), read("db2", max(ended, NOW))),
        findings=tuple(findings),
        now=NOW,
        max_age=HOUR,
        fail_level=level,
    )


def never(*findings: Finding, **changes: Any) -> LastRun:
    one = LastRun(readings=(), findings=findings, now=NOW, max_age=HOUR, missing=("db1",))
    return dataclasses.replace(one, **changes)


CODES = {
    "recent and clean": (last(NOW - HOUR / 2), ExitCode.CLEAN),
    "exactly as old as allowed": (last(NOW - HOUR), ExitCode.CLEAN),
    "a microsecond too old": (
        last(NOW - HOUR - dt.timedelta(microseconds=1)),
        ExitCode.INCOMPLETE,
    ),
    "drift": (last(NOW, [DRIFT]), ExitCode.FINDINGS),
    "drift, and too old": (last(NOW - 2 * HOUR, [DRIFT]), ExitCode.INCOMPLETE),
    "drift that somebody answers for": (last(NOW, [ALLOWED]), ExitCode.CLEAN),
    "info": (last(NOW, [INFO]), ExitCode.CLEAN),
    "info, where info counts": (last(NOW, [INFO], Level.INFO), ExitCode.FINDINGS),
    "unverified alone": (last(NOW, [UNVERIFIED]), ExitCode.CLEAN),
    "the clock went back": (last(NOW + HOUR), ExitCode.INCOMPLETE),
    "never": (never(), ExitCode.INCOMPLETE),
    "never, with findings": (never(DRIFT), ExitCode.INCOMPLETE),
    "one was never read": (never(readings=(read("db2", NOW),)), ExitCode.INCOMPLETE),
    "no database at all": (never(missing=()), ExitCode.INCOMPLETE),
}


@pytest.mark.parametrize("case", CODES)
def test_the_exit_code_of_a_look_back(case: str) -> None:
    one, code = CODES[case]
    assert one.exit_code is code
    assert one.complete == (code is not ExitCode.INCOMPLETE)


def test_what_is_yet_to_come_has_no_age() -> None:
    assert last(NOW + HOUR).age is None
    assert last(NOW - HOUR).age == HOUR
    assert never().age is None


def test_all_are_as_old_as_the_oldest_of_them() -> None:
    one = last(NOW - HOUR / 2)
    assert (one.age, one.run) == (HOUR / 2, one.readings[0].run)
    assert [target.database for target in one.targets] == ["db1", "db2"]


def test_the_summary_adds_up_the_databases() -> None:
    readings = (read("a", NOW, INSTALLED=3, TAMPERED=1), read("b", NOW - HOUR, INSTALLED=4))
    assert never(readings=readings, missing=()).summary == {"INSTALLED": 7, "TAMPERED": 1}
    assert never().summary == {}


def test_a_sentence_says_which_check_is_missing_or_late() -> None:
    named = [f"db{number}" for number in range(5)]
    some = never(missing=tuple(named), readings=(read("x", NOW),))
    assert summary_line(some).startswith(
        'No complete run of "db0", "db1", "db2" and 2 more was ever recorded: schedule '
    )
    assert summary_line(never()).startswith("No complete run was ever recorded: schedule ")
    assert 'The last complete run of "db1" ended ' in summary_line(last(NOW - 2 * HOUR))
    wide = dataclasses.replace(read("x", NOW - 2 * HOUR), scope="--schema-glob *")
    late = summary_line(never(readings=(wide,), missing=()))
    assert late.startswith("The last complete run with --all-schemas ended ")
    assert "manage.py pgtrigger check --record --all-schemas runs" in late


def test_a_sentence_tells_of_a_clock_that_was_set_back() -> None:
    told = summary_line(never(to_come=NOW + HOUR))
    assert "ends in 1h, at 2026-11-23 03:00:00Z: the clock of the recording database" in told
    assert "clock" not in summary_line(dataclasses.replace(last(NOW), to_come=NOW + HOUR))


@pytest.mark.parametrize(
    "finding",
    [
        DRIFT,
        make_finding(
            uri=None,
            schema=None,
            schemas=(),
            table=None,
            trigger=None,
            status=None,
            enabled=None,
            facets=(),
        ),
    ],
)
def test_what_was_recorded_is_remembered_as_it_was(finding: Finding) -> None:
    record = record_of(finding)
    expected = dataclasses.replace(finding, first_seen=record.first_seen)
    assert remembered(record) == expected
