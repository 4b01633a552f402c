"""The last complete run: recent enough or not, and what is open since."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence

import pytest

from tests.drift.making import HOUR, NOW, allowance_of, make_finding, record_of
from trigger_ops.drift import Finding
from trigger_ops.drift.freshness import LastRun, remembered
from trigger_ops.records import RunRecord, TargetRecord
from trigger_ops.states import ExitCode, Level, TargetState

DRIFT = make_finding()
INFO = make_finding(id="trigger_ops.I004", level=Level.INFO)
UNVERIFIED = make_finding(id="trigger_ops.W004", level=Level.WARNING)
ALLOWED = dataclasses.replace(DRIFT, allowance=allowance_of(DRIFT))


def run_that_ended(finished: dt.datetime | None, *statuses: dict[str, int]) -> RunRecord:
    targets = tuple(
        TargetRecord(
            database=f"db{number}",
            state=TargetState.OK,
            schemas=1,
            triggers=sum(counts.values()),
            ms=5,
            reason="",
            statuses=counts,
            levels={},
        )
        for number, counts in enumerate(statuses)
    )
    return RunRecord(
        id=uuid.uuid4(),
        source="command",
        holder="os:ann@web1",
        scope="",
        whole=True,
        began=NOW - 2 * HOUR,
        finished=finished,
        complete=True,
        targets=targets,
    )


def last(
    finished: dt.datetime | None, findings: Sequence[Finding] = (), level: Level = Level.WARNING
) -> LastRun:
    return LastRun(
        run=run_that_ended(finished),
        findings=tuple(findings),
        now=NOW,
        max_age=HOUR,
        fail_level=level,
    )


CODES = {
    "recent and clean": (last(NOW - HOUR / 2), ExitCode.CLEAN),
    "exactly as old as allowed": (last(NOW - HOUR), ExitCode.CLEAN),
    "a microsecond too old": (
        last(NOW - HOUR - dt.timedelta(microseconds=1)),
        ExitCode.INCOMPLETE,
    ),
    "under way": (last(None), ExitCode.INCOMPLETE),
    "drift": (last(NOW, [DRIFT]), ExitCode.FINDINGS),
    "drift, and too old": (last(NOW - 2 * HOUR, [DRIFT]), ExitCode.INCOMPLETE),
    "drift that somebody answers for": (last(NOW, [ALLOWED]), ExitCode.CLEAN),
    "info": (last(NOW, [INFO]), ExitCode.CLEAN),
    "info, where info counts": (last(NOW, [INFO], Level.INFO), ExitCode.FINDINGS),
    "unverified alone": (last(NOW, [UNVERIFIED]), ExitCode.CLEAN),
    "the clock went back": (last(NOW + HOUR), ExitCode.CLEAN),
    "never": (LastRun(run=None, findings=(), now=NOW, max_age=HOUR), ExitCode.INCOMPLETE),
    "never, with findings": (
        LastRun(run=None, findings=(DRIFT,), now=NOW, max_age=HOUR),
        ExitCode.INCOMPLETE,
    ),
}


@pytest.mark.parametrize("case", CODES)
def test_the_exit_code_of_a_look_back(case: str) -> None:
    one, code = CODES[case]
    assert one.exit_code is code
    assert one.complete == (code is not ExitCode.INCOMPLETE)


def test_an_age_is_never_less_than_nothing() -> None:
    assert last(NOW + HOUR).age == dt.timedelta()
    assert last(NOW - HOUR).age == HOUR
    assert last(None).age is None


def test_the_summary_adds_up_the_databases_of_the_run() -> None:
    counts = [{"INSTALLED": 3, "TAMPERED": 1}, {"INSTALLED": 4}]
    one = dataclasses.replace(last(NOW), run=run_that_ended(NOW, *counts))
    assert one.summary == {"INSTALLED": 7, "TAMPERED": 1}
    assert LastRun(run=None, findings=(), now=NOW, max_age=HOUR).summary == {}


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
