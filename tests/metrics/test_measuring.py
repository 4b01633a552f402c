"""What a check tells Prometheus, and what can be told of recorded ones, on a real database."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from demo_site.past import damage as past
from tests.damage import run
from tests.metrics.reading import Samples, read
from tests.rendering.examples import STARTED, a_database, a_finding, a_report, a_trigger
from trigger_ops import api
from trigger_ops.api.measuring import measure, measure_recorded
from trigger_ops.drift import Report
from trigger_ops.exceptions import NotRecorded
from trigger_ops.metrics import as_text
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget, FindingEvent, Notice
from trigger_ops.states import Level, Status, TargetState, Verdict

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


def live(report: Report) -> Samples:
    return read(as_text(measure(report)))


def recorded() -> Samples:
    text = as_text(measure_recorded())
    return read(text) if text else {}


def check() -> Report:
    return api.check(databases=["default"], record=True)


def epoch(moment: dt.datetime | None) -> float:
    assert moment is not None
    return round(moment.timestamp(), 3)


def hide_records() -> None:
    run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")


# What a check tells -------------------------------------------------------------------------------


def test_a_check_tells_what_it_saw_and_what_was_recorded() -> None:
    past.gut()
    report = check()
    found = live(report)
    assert found["trigger_ops_findings"]["default", "trigger_ops.C001", "CRITICAL"] == 1
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert found["trigger_ops_triggers"]["default", "TAMPERED"] == 1
    assert found["trigger_ops_target_state"]["default", "ok"] == 1
    assert found["trigger_ops_check_complete"] == {(): 1}
    assert found["trigger_ops_last_check_timestamp_seconds"] == {(): epoch(report.finished)}
    assert "trigger_ops_last_complete_run_timestamp_seconds" not in found  # nobody read `archive`
    assert found["trigger_ops_last_ok_timestamp_seconds"] == {("default",): epoch(report.finished)}
    assert found["trigger_ops_notices_waiting"] == {(): 0}
    assert found["trigger_ops_notices_given_up"] == {(): 0}
    assert found["trigger_ops_sessions_open"] == {
        ("default", "pending"): 0,
        ("default", "active"): 0,
    }
    assert "trigger_ops_unattributed_rows" not in found  # the guard is off


def test_a_check_where_nothing_can_be_recorded_tells_what_it_saw() -> None:
    hide_records()
    found = live(api.check(databases=["default"]))
    assert found["trigger_ops_triggers"]["default", "INSTALLED"] > 0
    assert not any("notices" in name for name in found)


def test_a_database_out_of_reach_keeps_what_is_open_and_gets_no_zero() -> None:
    past.gut()
    before = check()
    down = a_report(
        databases=(a_database(status="unreachable", reason="refused"),),
        finished=before.finished + dt.timedelta(minutes=5),
    )
    found = live(down)
    assert found["trigger_ops_target_state"]["default", "unreachable"] == 1
    assert found["trigger_ops_target_state"]["default", "ok"] == 0
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert ("default", "ERROR") not in found["trigger_ops_findings_by_level"]
    assert "trigger_ops_triggers" not in found
    assert "trigger_ops_sessions_open" not in found  # nobody waits for it a second time
    assert found["trigger_ops_check_complete"] == {(): 0}
    then = epoch(DriftRun.objects.get().finished)
    assert found["trigger_ops_last_ok_timestamp_seconds"] == {("default",): then}


@pytest.mark.parametrize("status", ["unreachable", "deploying", "not postgresql"])
def test_without_records_such_a_database_has_a_state_and_no_number(status: str) -> None:
    hide_records()
    found = live(a_report(databases=(a_database(alias="lite", status=status),)))
    assert {key for key, on in found["trigger_ops_target_state"].items() if on} == {
        ("lite", status)
    }
    single = {name for name, values in found.items() if () in values}
    assert set(found) - single == {"trigger_ops_target_state"}


def test_what_could_not_be_verified_is_incomplete() -> None:
    unknown = a_trigger(status=Status.UNKNOWN, verdict=Verdict.UNVERIFIED)
    found = live(a_report(databases=(a_database(unknown),)))
    assert found["trigger_ops_target_state"]["default", "incomplete"] == 1
    assert found["trigger_ops_triggers"]["default", "UNKNOWN"] == 1
    assert "trigger_ops_last_ok_timestamp_seconds" not in found


def test_each_database_has_its_own_findings() -> None:
    report = a_report(
        a_finding(),
        a_finding(level=Level.INFO, id="trigger_ops.I004"),
        a_finding(database="archive"),
        databases=(a_database(a_trigger()), a_database(alias="archive")),
    )
    found = live(report)
    assert found["trigger_ops_findings"] == {
        ("default", "trigger_ops.C001", "CRITICAL"): 1,
        ("default", "trigger_ops.I004", "INFO"): 1,
        ("archive", "trigger_ops.C001", "CRITICAL"): 1,
    }
    assert found["trigger_ops_last_check_timestamp_seconds"] == {
        (): epoch(STARTED + dt.timedelta(seconds=1.5))
    }


# What was recorded --------------------------------------------------------------------------------


def test_before_the_first_run_nothing_is_known_of_triggers() -> None:
    found = recorded()
    assert set(found) == {
        "trigger_ops_sessions_open",
        "trigger_ops_notices_waiting",
        "trigger_ops_notices_given_up",
    }


def test_a_recorded_run_tells_what_its_check_told() -> None:
    past.gut()
    past.disable()
    report = check()
    by_check, by_record = live(report), recorded()
    changing = {name for name in by_check if name.endswith("_seconds")}
    same = {name: values for name, values in by_check.items() if name not in changing}
    assert {
        name: {key: number for key, number in values.items() if "archive" not in key}
        for name, values in by_record.items()
        if name not in changing
    } == same
    target = DriftTarget.objects.get()
    assert by_record["trigger_ops_last_ok_timestamp_seconds"] == {
        ("default",): epoch(target.finished)
    }
    assert by_record["trigger_ops_check_duration_seconds"][()] > 0
    assert set(by_check) == set(by_record)


def test_an_allowed_finding_is_counted_apart_until_its_date() -> None:
    past.gut()
    check()
    reason = "mended with the release on Friday"
    made = api.allow("C001", owner="ann", reason=reason, lasts=dt.timedelta(days=7))
    for found in (recorded(), live(check())):
        assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 0
        assert found["trigger_ops_findings_allowed"] == {("default",): 1}
        assert not any(key[1] == "trigger_ops.C001" for key in found["trigger_ops_findings"])
    api.expire_allowance(made.id, by="ann")
    assert recorded()["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert recorded()["trigger_ops_findings_allowed"] == {("default",): 0}


def test_what_is_resolved_is_gone() -> None:
    past.gut()
    check()
    call_command("pgtrigger", "install", "past.Invoice", "--no-input", verbosity=0)
    check()
    assert recorded()["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 0


@pytest.mark.parametrize(
    ("state", "is_seen"),
    [
        (TargetState.INCOMPLETE, True),
        (TargetState.UNREACHABLE, False),
        (TargetState.DEPLOYING, False),
        (TargetState.LOST, False),
    ],
)
def test_a_run_that_could_not_read_everything_is_not_the_last_complete_one(
    state: TargetState, is_seen: bool
) -> None:
    past.gut()
    check()
    first = DriftRun.objects.get()
    check()
    second = DriftRun.objects.exclude(pk=first.pk).get()
    second.targets.update(state=state)
    DriftRun.objects.filter(pk=second.pk).update(complete=False)
    found = recorded()
    assert found["trigger_ops_target_state"]["default", state.value] == 1
    assert sum(found["trigger_ops_target_state"].values()) == 1
    assert found["trigger_ops_check_complete"] == {(): 0}
    assert found["trigger_ops_last_check_timestamp_seconds"] == {(): epoch(second.finished)}
    assert found["trigger_ops_last_ok_timestamp_seconds"] == {("default",): epoch(first.finished)}
    assert ("trigger_ops_triggers" in found) is is_seen
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert (("default", "ERROR") in found["trigger_ops_findings_by_level"]) is is_seen
    asked = {key[0] for key in found["trigger_ops_sessions_open"]}
    assert ("default" in asked) is (state is not TargetState.UNREACHABLE)


def test_the_last_complete_run_is_when_the_last_of_all_databases_had_been_read() -> None:
    name = "trigger_ops_last_complete_run_timestamp_seconds"
    report = api.check()
    assert live(report)[name] == {(): epoch(report.finished)}
    assert name not in recorded()
    api.check(record=True)
    both = DriftRun.objects.get()
    assert recorded()[name] == {(): epoch(both.finished)}
    here = check()
    assert recorded()[name] == live(here)[name] == {(): epoch(both.finished)}
    api.check(databases=["archive"], record=True)
    newest = DriftRun.objects.get(pk=here.run_id)
    assert recorded()[name] == {(): epoch(newest.finished)}


def test_the_newest_run_of_each_database_counts_whichever_was_last() -> None:
    check()
    api.check(databases=["archive"], record=True)
    found = recorded()
    up = {key for key, on in found["trigger_ops_target_state"].items() if on}
    assert up == {("default", "ok"), ("archive", "ok")}
    DriftRun.objects.filter(targets__database="default").update(
        finished=F("finished") - dt.timedelta(days=1)
    )
    DriftTarget.objects.filter(database="default").update(
        finished=F("finished") - dt.timedelta(days=1)
    )
    late = recorded()["trigger_ops_last_ok_timestamp_seconds"]
    assert late["archive",] - late["default",] > 80_000


def test_runs_under_way_and_runs_of_some_triggers_say_nothing() -> None:
    api.check("past.Customer", databases=["default"], record=True)
    open_run = DriftRun.objects.create(id=uuid.uuid4(), source="command")
    open_run.targets.create(database="default", state="running")
    found = recorded()
    assert "trigger_ops_target_state" not in found
    assert "trigger_ops_check_complete" not in found


def test_a_database_that_the_settings_no_longer_have_is_not_told_of() -> None:
    past.gut()
    check()
    DriftTarget.objects.update(database="gone")
    DriftFinding.objects.update(database="gone")
    assert not any("gone" in key for values in recorded().values() for key in values)


def test_notices_are_counted_by_what_becomes_of_them() -> None:
    past.gut()
    check()
    event = FindingEvent.objects.first()
    now = dt.datetime.now(dt.UTC)
    for name, fate in (("a", {}), ("b", {}), ("c", {"sent": now}), ("d", {"given_up": now})):
        Notice.objects.create(event=event, destination=name, **fate)
    found = recorded()
    assert found["trigger_ops_notices_waiting"] == {(): 2}
    assert found["trigger_ops_notices_given_up"] == {(): 1}


def test_unmigrated_tables_are_one_sentence() -> None:
    hide_records()
    with pytest.raises(NotRecorded, match=r"run manage\.py migrate trigger_ops"):
        measure_recorded()


def test_the_number_of_runs_costs_no_queries() -> None:
    check()
    numbers = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            measure_recorded()
        numbers.append(len(queries))
        for _ in range(30):
            one = DriftRun.objects.create(
                id=uuid.uuid4(), source="command", finished=dt.datetime.now(dt.UTC), complete=True
            )
            one.targets.create(database="default", state="ok", finished=dt.datetime.now(dt.UTC))
    assert numbers[0] == numbers[1] < 40


def test_nothing_is_written_and_no_trigger_is_looked_at() -> None:
    check()
    with CaptureQueriesContext(connection) as queries:
        recorded()
    sent = [one["sql"].lstrip(" (").upper() for one in queries.captured_queries]
    first_words = {statement.split()[0].rstrip(";") for statement in sent}
    assert first_words == {"SELECT", "WITH", "SAVEPOINT", "ROLLBACK", "RELEASE"}
    assert not any("PG_TRIGGER" in statement for statement in sent)
