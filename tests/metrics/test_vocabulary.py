"""Names, labels and the text format, without any database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.reading import label_names, read
from trigger_ops import metrics
from trigger_ops.metrics import METRICS, Family, as_text
from trigger_ops.metrics.samples import DatabaseMeasure, Measurement, families
from trigger_ops.states import Level, SessionState, Status, TargetState

AT = dt.datetime(2026, 1, 2, 3, 4, 6, 500_000, tzinfo=dt.UTC)

FULL = DatabaseMeasure(
    database="default",
    state=TargetState.OK,
    last_ok=AT,
    statuses={"INSTALLED": 11, "TAMPERED": 1},
    findings={("trigger_ops.C001", Level.CRITICAL): 2, ("trigger_ops.I004", Level.INFO): 3},
    allowed=1,
    sessions={SessionState.ACTIVE: 1},
    unattributed=0,
)
EVERYTHING = Measurement(
    databases=(FULL,),
    complete=True,
    lasted=dt.timedelta(seconds=1.5),
    finished=AT,
    last_complete=AT,
    waiting=0,
    given_up=4,
)


def samples(measured: Measurement) -> dict[str, dict[tuple[str, ...], float]]:
    return read(as_text(families(measured))) if as_text(families(measured)) else {}


def of(**changes: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of a full measure of one database with changes."""
    return samples(Measurement(databases=(dataclasses.replace(FULL, **changes),)))


def test_the_vocabulary_is_all_that_the_module_names() -> None:
    named = [one for one in vars(metrics).values() if isinstance(one, metrics.Metric)]
    assert named == list(METRICS)
    assert len({one.name for one in METRICS}) == len(METRICS)
    for one in METRICS:
        assert re.fullmatch(r"trigger_ops_[a-z_]+[a-z]", one.name)
        assert one.type == "gauge"
        assert one.help.endswith(".")


def test_everything_that_is_known_is_told() -> None:
    text = as_text(families(EVERYTHING))
    assert label_names(text) == {one.name: one.labels for one in METRICS}
    found = read(text)
    assert list(found) == [one.name for one in METRICS]
    assert found["trigger_ops_triggers"]["default", "INSTALLED"] == 11
    assert found["trigger_ops_triggers"]["default", "UNKNOWN"] == 0
    assert len(found["trigger_ops_triggers"]) == len(Status)
    assert found["trigger_ops_findings"] == {
        ("default", "trigger_ops.C001", "CRITICAL"): 2,
        ("default", "trigger_ops.I004", "INFO"): 3,
    }
    assert found["trigger_ops_findings_by_level"] == {
        ("default", "CRITICAL"): 2,
        ("default", "ERROR"): 0,
        ("default", "WARNING"): 0,
        ("default", "INFO"): 3,
    }
    assert found["trigger_ops_findings_allowed"] == {("default",): 1}
    assert found["trigger_ops_target_state"] == {
        ("default", state.value): int(state is TargetState.OK)
        for state in TargetState
        if state not in (TargetState.WAITING, TargetState.RUNNING)
    }
    assert found["trigger_ops_sessions_open"] == {
        ("default", "pending"): 0,
        ("default", "active"): 1,
    }
    assert found["trigger_ops_unattributed_rows"] == {("default",): 0}
    assert found["trigger_ops_last_check_timestamp_seconds"] == {(): 1767323046.5}
    assert found["trigger_ops_last_ok_timestamp_seconds"] == {("default",): 1767323046.5}
    assert found["trigger_ops_check_duration_seconds"] == {(): 1.5}
    assert found["trigger_ops_check_complete"] == {(): 1}
    assert found["trigger_ops_notices_given_up"] == {(): 4}


def test_of_nothing_nothing_is_told() -> None:
    assert as_text(families(Measurement())) == ""
    assert samples(Measurement(databases=(DatabaseMeasure(database="new"),))) == {}


@pytest.mark.parametrize(
    ("state", "is_seen"),
    [
        (TargetState.OK, True),
        (TargetState.INCOMPLETE, True),
        (TargetState.DEPLOYING, False),
        (TargetState.UNREACHABLE, False),
        (TargetState.NOT_POSTGRESQL, False),
        (TargetState.LOST, False),
        (None, False),
    ],
)
def test_a_zero_is_told_only_of_a_database_that_was_seen(
    state: TargetState | None, is_seen: bool
) -> None:
    clean = of(state=state, statuses={}, findings={}, allowed=0)
    for name in ("triggers", "findings_by_level", "findings_allowed"):
        assert (f"trigger_ops_{name}" in clean) is is_seen
    assert "trigger_ops_findings" not in clean
    dirty = of(state=state)
    assert ("trigger_ops_triggers" in dirty) is is_seen
    # What is open stays open while nobody can look.
    assert dirty["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 2
    assert (("default", "ERROR") in dirty["trigger_ops_findings_by_level"]) is is_seen
    assert len(dirty["trigger_ops_findings"]) == 2
    assert dirty["trigger_ops_findings_allowed"] == {("default",): 1}
    states = dirty.get("trigger_ops_target_state", {})
    assert {key[1] for key, value in states.items() if value} == ({state} if state else set())


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"sessions": None}, "trigger_ops_sessions_open"),
        ({"unattributed": None}, "trigger_ops_unattributed_rows"),
        ({"last_ok": None}, "trigger_ops_last_ok_timestamp_seconds"),
    ],
)
def test_what_is_not_known_has_no_sample(change: dict[str, Any], absent: str) -> None:
    assert set(of()) - set(of(**change)) == {absent}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_a_database_is_called_it_stays_a_label(hostile: str) -> None:
    found = of(database=hostile)
    assert {key[0] for name, values in found.items() for key in values} == {hostile}
    assert set(found) == set(of())


def test_a_help_stays_on_its_line() -> None:
    metric = dataclasses.replace(METRICS[0], help="one\\two\nthree", labels=())
    text = as_text([Family(metric=metric, samples={(): 1})])
    assert text.startswith("# HELP trigger_ops_triggers one\\\\two\\nthree\n# TYPE ")


def test_a_sample_has_exactly_the_labels_of_its_metric() -> None:
    with pytest.raises(ValueError, match="zip"):
        as_text([Family(metric=METRICS[0], samples={("default",): 1})])
