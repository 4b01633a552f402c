"""``check --max-age``, the heartbeat and the metric: the whole estate was read, lately, and widely."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import F

from tests import damage
from tests.damage import pgid
from tests.management.conftest import Result
from tests.metrics.reading import read
from tests.sinks import WebSink, web_sink
from tests.weaknesses.expectations import INVOICE
from tests.weaknesses.test_schemas import make_tenant
from trigger_ops import api
from trigger_ops.api import scheduling
from trigger_ops.inspection import Scope
from trigger_ops.metrics import as_text
from trigger_ops.models import DriftRun, DriftTarget

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

#: Where schemas lack tables there are findings that these tests are not about.
CRITICAL = ("--fail-level", "critical")
DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
LAST = "trigger_ops_last_complete_run_timestamp_seconds"
LAST_OK = "trigger_ops_last_ok_timestamp_seconds"


def move(by: dt.timedelta, **which: Any) -> None:
    """Have what was recorded happen so much later, or earlier."""
    DriftTarget.objects.filter(**{f"run__{name}": value for name, value in which.items()}).update(
        began=F("began") + by, finished=F("finished") + by
    )
    DriftRun.objects.filter(**which).update(began=F("began") + by, finished=F("finished") + by)


@pytest.fixture
def record(pgtrigger: Run) -> Callable[..., Result]:
    return lambda *words: pgtrigger("check", "--record", *CRITICAL, *words)


@pytest.fixture
def look_back(pgtrigger: Run) -> Callable[..., Result]:
    return lambda *words: pgtrigger("check", "--max-age", "5m", *CRITICAL, *words)


@pytest.fixture
def day_old(record: Run) -> None:
    """Everything was checked a day ago, in every schema, and nothing since."""
    make_tenant("tenant_1")
    assert record("--all-schemas").code == 0
    move(-DAY)


# A part is not the whole --------------------------------------------------------------------------

PARTS: dict[str, tuple[str, ...]] = {
    "one database": ("--all-schemas", "-d", "default"),
    "one schema": ("-s", "tenant_1", "-d", "default"),
    "some schemas": ("--schema-glob", "tenant_*"),
    "the search_path": (),
    "one trigger": ("--all-schemas", INVOICE),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_check_of_a_part_makes_nothing_fresh(
    part: str, day_old: None, record: Run, look_back: Run
) -> None:
    before = look_back()
    assert (before.code, "1d ago" in before.out) == (3, True)
    assert record(*PARTS[part]).code == 0
    after = look_back()
    assert after.code == 3
    assert "with --all-schemas ended" in after.out
    assert "1d ago, which is more than 5m: see to it that" in after.out
    assert "manage.py pgtrigger check --record --all-schemas runs" in after.out
    assert record("--all-schemas").code == 0
    assert look_back().code == 0


def test_a_damage_where_nobody_looked_lately_is_not_green(
    day_old: None, record: Run, look_back: Run
) -> None:
    damage.gut(pgid(INVOICE), schema="tenant_1")
    record("--all-schemas", "-d", "archive")
    record("-d", "default")
    assert look_back().code == 3


def test_each_database_is_named_by_its_own_run(record: Run, look_back: Run) -> None:
    record("-d", "default")
    result = look_back()
    assert result.code == 3
    assert result.out.startswith('No complete run of "archive" was ever recorded: ')
    assert look_back("-d", "default").code == 0
    record("-d", "archive")
    assert look_back().code == 0
    move(-HOUR, targets__database="default")
    result = look_back("--format", "json")
    document = result.document
    assert (result.code, document["complete"], document["exit_code"]) == (3, False, 3)
    assert document["reason"].startswith('The last complete run of "default" ended ')
    assert [one["database"] for one in document["targets"]] == ["default", "archive"]
    assert document["targets"][0]["finished"] < document["targets"][1]["finished"]
    assert document["run_id"] == str(DriftRun.objects.get(targets__database="default").pk)
    assert 3600 <= document["age_seconds"] < 3700
    assert look_back("-d", "archive").code == 0


def test_two_globs_are_both_needed(record: Run, look_back: Run) -> None:
    for name in ("a_1", "b_1"):
        make_tenant(name)
    for glob in ("a_*", "b_*"):
        record("--schema-glob", glob)
    assert look_back().code == 0
    move(-HOUR, scope="--schema-glob a_*")
    result = look_back()
    assert (result.code, "with --schema-glob a_* ended" in result.out) == (3, True)


def test_schemas_named_one_by_one_count_where_nothing_else_was_ever_recorded(
    record: Run, look_back: Run
) -> None:
    make_tenant("tenant_1")
    named = ("-s", "tenant_1", "-d", "default")
    record(*named)
    assert look_back("-d", "default").code == 0
    record()
    move(-HOUR, scope="")
    record(*named)
    assert look_back("-d", "default").code == 3


def test_a_wide_check_by_hand_can_be_let_go(record: Run, look_back: Run, pgtrigger: Run) -> None:
    record("--all-schemas")
    move(-HOUR)
    record()
    assert look_back().code == 3
    kept = pgtrigger("drift", "prune", "--older-than", "1m")
    assert kept.out.startswith("Deleted 0 runs")
    gone = pgtrigger("drift", "prune", "--older-than", "1m", "--all-schemas")
    assert gone.out == "Deleted 1 run of these schemas.\n"
    assert look_back().code == 0


@pytest.mark.parametrize(
    ("scope", "words"), [("--schema-glob a*", ("--schema-glob", "a*")), ("", ("--search-path",))]
)
def test_only_runs_of_those_schemas_are_let_go(
    scope: str, words: tuple[str, ...], pgtrigger: Run
) -> None:
    for one in ("--schema-glob a*", "--schema-glob *", ""):
        DriftRun.objects.create(source="test", scope=one, finished=dt.datetime.now(dt.UTC) - HOUR)
    assert pgtrigger("drift", "prune", "--older-than", "1m", *words).code == 0
    left = sorted(DriftRun.objects.values_list("scope", flat=True))
    assert left == sorted({"--schema-glob a*", "--schema-glob *", ""} - {scope})


# What is yet to come ------------------------------------------------------------------------------


def test_a_run_from_the_future_is_no_evidence_and_answers_for_nothing(
    record: Run, look_back: Run
) -> None:
    record()
    move(HOUR)
    damage.gut(pgid(INVOICE))
    result = look_back()
    assert result.code == 3
    assert result.out.startswith("No complete run was ever recorded: ")
    assert "A run is on record that ends in 59m" in result.out
    assert "the clock of the recording database was set back" in result.out
    assert look_back("--format", "json").document["age_seconds"] is None
    assert record().code == 1
    assert DriftRun.objects.count() == 2
    assert look_back().code == 1


@pytest.mark.parametrize("finished", [True, False])
def test_a_check_records_although_there_are_rows_of_the_future(
    finished: bool, record: Run, look_back: Run
) -> None:
    """A run that nobody finished, with a claim of a backend that is alive, is in no way either."""
    record()
    move(HOUR)
    if not finished:
        DriftRun.objects.update(finished=None)
        ((pid,),) = damage.run("SELECT pg_backend_pid()")
        claimed = {"finished": None, "state": "running", "pid": pid}
        DriftTarget.objects.update(**claimed, claimed_until=F("began") + HOUR)
    result = record()
    assert (result.code, result.err) == (0, "")
    assert DriftRun.objects.filter(complete=True, began__lte=dt.datetime.now(dt.UTC)).count() == 1
    assert look_back().code == 0


def test_metrics_tell_nothing_of_the_future(record: Run) -> None:
    record()
    move(HOUR)
    found = as_text(api.measure_recorded())
    for name in (LAST, LAST_OK, "last_check", "check_complete", "target_state", "triggers{"):
        assert name not in found


# The heartbeat ------------------------------------------------------------------------------------


@pytest.fixture
def heart(settings: Any) -> Iterator[WebSink]:
    """A service that expects to be asked."""
    with web_sink() as sink:
        settings.TRIGGER_OPS = {
            "HEARTBEAT_URL": sink.url("/beat"),
            "PRIVATE_HOSTS": ["127.0.0.1"],
            "DEPLOY_WAIT": "100ms",
        }
        yield sink


@pytest.mark.parametrize("part", PARTS)
def test_a_check_of_a_part_is_no_heartbeat(
    part: str, day_old: None, record: Run, heart: WebSink
) -> None:
    result = record(*PARTS[part])
    assert heart.received == []
    if part != "one trigger":
        assert "The heartbeat was not asked for: " in result.err
    assert record("--all-schemas").err == ""
    assert len(heart.received) == 1


def test_of_two_schedules_the_one_that_completes_the_estate_is_heard(
    record: Run, heart: WebSink
) -> None:
    assert '"archive" was not read in full of late' in record("-d", "default").err
    assert heart.received == []
    assert record("-d", "archive").err == ""
    assert len(heart.received) == 1
    record("-d", "default")
    assert len(heart.received) == 2


def test_when_one_of_two_schedules_stops_the_heartbeat_does(record: Run, heart: WebSink) -> None:
    for _ in range(3):
        move(-5 * MINUTE)
        record("-d", "default")
        record("-d", "archive")
    assert len(heart.received) == 5
    for heard in (6, 7, 8, 8):  # three intervals late at most
        move(-5 * MINUTE)
        record("-d", "default")
        assert len(heart.received) == heard


def test_an_incomplete_check_is_no_heartbeat_although_all_is_fresh(
    record: Run, heart: WebSink
) -> None:
    record()
    assert len(heart.received) == 1
    damage.run("ALTER TABLE trigger_ops_driftfinding RENAME TO hidden")
    assert record().code == 3
    assert len(heart.received) == 1


@pytest.mark.parametrize("alias", ["default", "archive"])
def test_a_run_of_a_queue_says_whether_it_is_one(alias: str, record: Run) -> None:
    def ended() -> scheduling.Next:
        begun = scheduling.begin_run([alias], Scope(), source="celery", holder="worker@host")
        done = scheduling.check_one(
            begun.run_id, alias, Scope(), once_more=False, out_of_time=TimeoutError
        )
        assert done is not None
        assert done.ended is not None
        return done

    assert not ended().heartbeat
    record("-d", "archive" if alias == "default" else "default")
    assert ended().heartbeat


# The metric ---------------------------------------------------------------------------------------


def samples(pgtrigger: Run, *words: str) -> dict[str, Any]:
    return dict(read(pgtrigger("check", *words, "--format", "prometheus").out))


def stored_end(**which: Any) -> float:
    end = DriftRun.objects.filter(**which).latest("finished").finished
    assert end is not None
    return round(end.timestamp(), 3)


@pytest.mark.parametrize("part", [one for one in PARTS if one != "one trigger"])
def test_a_check_of_a_part_leaves_the_metric_as_it_was(
    part: str, day_old: None, pgtrigger: Run
) -> None:
    old = stored_end()
    found = samples(pgtrigger, "--record", *PARTS[part])
    assert found[LAST][()] == old
    assert read(as_text(api.measure_recorded()))[LAST][()] == old
    fresh = [key for key, value in found[LAST_OK].items() if value > old + 3600]
    assert fresh == ([("default",)] if part == "one database" else [])
    assert found["trigger_ops_check_complete"][()] == 1
    assert samples(pgtrigger, "--record", "--all-schemas")[LAST][()] > old + 3600


def test_without_records_a_check_of_everything_is_known_to_be_that(pgtrigger: Run) -> None:
    damage.run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    assert LAST in samples(pgtrigger)
    one = samples(pgtrigger, "-d", "default")
    assert LAST not in one
    assert set(one[LAST_OK]) == {("default",)}


def test_a_check_with_a_selector_tells_nothing_of_runs_and_no_zero(pgtrigger: Run) -> None:
    pgtrigger("check", "--record")
    damage.gut(pgid(INVOICE))
    found = samples(pgtrigger, "past", "-d", "default")
    assert found["trigger_ops_findings"]["default", "trigger_ops.C001", "CRITICAL"] == 1
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert ("default", "ERROR") not in found["trigger_ops_findings_by_level"]
    about_all = {
        *(LAST, LAST_OK, "trigger_ops_last_check_timestamp_seconds", "trigger_ops_check_complete"),
        *("trigger_ops_check_duration_seconds", "trigger_ops_target_state"),
        "trigger_ops_triggers",
    }
    assert about_all.isdisjoint(found)
