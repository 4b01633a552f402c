"""Workers of every kind, what they meet, and what they must not do twice."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.site import ROOT
from tests.tasks.conftest import Fleet, maintain, wait_for
from tests.tasks.test_fleet import PATIENT

MakeFleet = Callable[..., Fleet]

# Nobody listens there: what is told is another test's matter.
PAGER = {"name": "pager", "backend": "email", "to": ["ops@example.com"]}

DAMAGE = "ALTER TABLE public.fleet_stock0 DISABLE TRIGGER ALL"
DISABLED = ("trigger_ops.E002", "opened", 1)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (("-P", "prefork", "-c", "2"), {"use_tz": False}),
        (("-P", "solo"), {}),
        (("-P", "threads", "-c", "4"), {}),
    ],
    ids=["prefork without time zones", "solo", "threads"],
)
def test_every_pool_completes_a_run(
    make_fleet: MakeFleet, options: tuple[str, ...], settings: dict[str, Any]
) -> None:
    fleet = make_fleet(aliases=4, trigger_ops={"NOTIFY": [PAGER]}, **settings)
    fleet.ask(DAMAGE, alias="shop02")
    fleet.worker("worker", *options)
    fleet.send(all_schemas=True)
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, True)], fleet.logs()
    assert fleet.targets() == dict.fromkeys(fleet.aliases, ("ok", 1, 4, ""))
    assert fleet.events() == [("shop02", *DISABLED)] * 2


def test_connections_are_closed_after_each_task(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=3)
    fleet.worker("worker", "-P", "threads", "-c", "3")
    fleet.send()
    fleet.wait_for_runs()
    names = [one["NAME"] for one in fleet.settings["databases"].values()]
    left = (
        "SELECT datname FROM pg_stat_activity "
        "WHERE datname = ANY (%s) AND application_name = 'worker'"
    )
    wait_for(lambda: not fleet.ask(left, names), fleet.logs)


def test_ticks_of_two_beats_are_one_run(make_fleet: MakeFleet) -> None:
    entry = {"task": "trigger_ops.check_databases", "schedule": 0.5}
    fleet = make_fleet(aliases=1, celery={"beat_schedule": {"checks": entry}})
    fleet.worker("worker", "-P", "threads", "-c", "4")
    fleet.beat("beat-one")
    fleet.beat("beat-two")
    fleet.wait_for_runs(3)
    began = [row[0] for row in fleet.ask("SELECT began FROM trigger_ops_driftrun ORDER BY began")]
    assert len(began) >= 3
    for earlier, later in itertools.pairwise(began):
        assert later - earlier >= dt.timedelta(seconds=5), fleet.logs()


def test_checks_asked_for_at_the_same_moment_are_one_run(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=2, trigger_ops={"NOTIFY": [PAGER]})
    fleet.ask(DAMAGE)
    fleet.send(times=6)
    workers = [fleet.worker(name, "-P", "threads", "-c", "3") for name in ("one", "two")]
    wait_for(lambda: sum(one.succeeded("check_databases") for one in workers) == 6, fleet.logs)
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, True)], fleet.logs()
    assert fleet.events() == [("default", *DISABLED)] * 2


def test_a_check_that_is_asked_for_after_a_repair_sees_it(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=1, trigger_ops={"NOTIFY": [PAGER]})
    fleet.ask(DAMAGE)
    fleet.worker("worker")
    fleet.send()
    fleet.wait_for_runs()
    assert fleet.manage("pgtrigger", "enable", "--no-input").returncode == 0
    fleet.send()
    fleet.wait_for_runs(2)
    kinds = [kind for _, _, kind, _ in fleet.events()]
    assert sorted(kinds) == ["opened", "opened", "resolved", "resolved"]


@pytest.fixture
def stranger() -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"stranger_{uuid.uuid4().hex[:8]}"
    maintain("CREATE ROLE {} LOGIN PASSWORD 'stranger'", name)
    yield name
    maintain("DROP ROLE {}", name)


def test_what_cannot_be_checked_is_told_and_the_rest_is_checked(
    make_fleet: MakeFleet, stranger: str
) -> None:
    limits = {"STATEMENT_TIMEOUT": 2_000, "LOCK_TIMEOUT": 20_000, "NOTIFY": [PAGER]}
    fleet = make_fleet(aliases=5, trigger_ops=limits)
    databases = fleet.settings["databases"]
    databases["shop01"].update(HOST="127.0.0.1", PORT="1")
    databases["shop03"].update(USER=stranger, PASSWORD="stranger")
    fleet.ask(f"REVOKE CONNECT ON DATABASE {databases['shop03']['NAME']} FROM PUBLIC")
    fleet.ask(DAMAGE, alias="shop04")
    worker = fleet.worker("worker", "-P", "threads", "-c", "5")
    with fleet.locked("shop02"):
        fleet.send(all_schemas=True)
        fleet.wait_for_runs()
    assert fleet.runs() == [(True, False)]
    states = {alias: (state, reason) for alias, (state, _, _, reason) in fleet.targets().items()}
    assert (states["default"], states["shop04"]) == (("ok", ""), ("ok", ""))
    for alias, why in (
        ("shop01", "Connection refused"),
        ("shop02", "statement timeout"),
        ("shop03", "permission denied"),
    ):
        assert states[alias][0] == "unreachable"
        assert why in states[alias][1]
    assert fleet.events() == [("shop04", *DISABLED)] * 2
    # What cannot be reached is tried three times, and what answers once, whatever it answers.
    again = [one for one in worker.tried_again("check_database") if "cannot be reached" in one]
    tries = {alias: 1 + sum(alias in one for one in again) for alias in fleet.aliases}
    assert tries == {"default": 1, "shop01": 3, "shop02": 1, "shop03": 3, "shop04": 1}


def test_a_glob_that_matches_nothing_is_never_green(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=2)
    fleet.ask("DROP SCHEMA tenant_1 CASCADE", alias="shop01")
    fleet.worker("worker")
    fleet.send(schema_glob="tenant_*")
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, False)]
    targets = fleet.targets()
    assert targets["default"][0] == "ok"
    state, *_, reason = targets["shop01"]
    assert state == "incomplete"
    assert reason.startswith('No schema matches "tenant_*"')


def test_a_pool_process_that_is_killed_is_replaced_and_its_check_repeated(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet(aliases=2, trigger_ops=PATIENT)
    worker = fleet.worker("worker", "-P", "prefork", "-c", "1")
    with fleet.locked("shop01"):
        fleet.send()
        wait_for(lambda: fleet.holder("shop01"), fleet.logs)
        (child,) = worker.children()
        os.kill(child, signal.SIGKILL)
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, True)], fleet.logs()
    assert fleet.targets()["shop01"][1] == 2


def test_a_check_that_takes_too_long_is_ended_and_reported(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(
        aliases=2, trigger_ops={**PATIENT, "CHECK_LIMIT": "3s", "STATEMENT_TIMEOUT": 6_000}
    )
    fleet.worker("worker", "-P", "prefork", "-c", "2")
    with fleet.locked("shop01"):
        fleet.send()
        fleet.wait_for_runs()
    assert fleet.runs() == [(True, False)]
    state, _, _, reason = fleet.targets()["shop01"]
    assert (state, "not checked within 3s" in reason) == ("lost", True), fleet.logs()


def test_without_a_broker_all_is_done_before_the_call_returns(make_fleet: MakeFleet) -> None:
    celery = {"task_always_eager": True, "task_eager_propagates": True}
    fleet = make_fleet(aliases=3, trigger_ops={"NOTIFY": [PAGER]}, celery=celery)
    fleet.settings["databases"]["shop01"].update(HOST="127.0.0.1", PORT="1")
    fleet.ask(DAMAGE, alias="shop02")
    fleet.send()
    assert fleet.runs() == [(True, False)]
    states = {alias: target[0] for alias, target in fleet.targets().items()}
    assert states == {"default": "ok", "shop01": "unreachable", "shop02": "ok"}
    assert fleet.events() == [("shop02", *DISABLED)] * 2


def test_django_celery_beat_runs_it_by_name(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=1, apps=["django_celery_beat"])
    assert fleet.manage("migrate", "--verbosity", "0").returncode == 0
    fleet.python(
        "from django_celery_beat.models import IntervalSchedule, PeriodicTask\n"
        "every = IntervalSchedule.objects.create(every=1, period='seconds')\n"
        "PeriodicTask.objects.create(name='checks', task='trigger_ops.check_databases',\n"
        "    interval=every, kwargs='{\"all_schemas\": true}')"
    )
    fleet.worker("worker")
    fleet.beat("beat", "-S", "django_celery_beat.schedulers:DatabaseScheduler")
    fleet.wait_for_runs()
    assert fleet.targets() == {"default": ("ok", 1, 4, "")}


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"databases": ["shop1"]}, 'has no alias "shop1": did you mean "shop01"?'),
        ({"databases": "shop1"}, 'has no alias "shop1": did you mean "shop01"?'),
        ({"all_schemas": True, "schema_glob": "tenant_*"}, "takes all_schemas or schema_glob"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_sentence(
    make_fleet: MakeFleet, terms: dict[str, Any], sentence: str
) -> None:
    fleet = make_fleet(aliases=2)
    said = fleet.python(
        "from trigger_ops.tasks import check_databases\n"
        "from trigger_ops.exceptions import TriggerOpsError\n"
        f"try: check_databases(**{terms!r})\n"
        "except TriggerOpsError as error: print(error)"
    )
    assert sentence in said
    assert fleet.runs() == []


WITHOUT_CELERY = """
import sys
sys.modules["celery"] = None
import django
django.setup()
import trigger_ops.api
from django.core.exceptions import ImproperlyConfigured
try:
    import trigger_ops.tasks
except ImproperlyConfigured as error:
    print(error)
"""


def test_without_celery_only_the_tasks_are_missing(make_fleet: MakeFleet) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CELERY],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        done.stdout == "trigger_ops.tasks needs Celery: pip install django-trigger-ops[celery]\n"
    )


def test_a_claim_lives_as_long_as_its_connection_in_a_pool(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(aliases=2, trigger_ops=PATIENT)
    if is_psycopg3:
        for database in fleet.settings["databases"].values():
            database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 4}
    workers = {name: fleet.worker(name, "-P", "threads", "-c", "2") for name in ("one", "two")}
    with fleet.locked("shop01"):
        fleet.send()
        wait_for(lambda: fleet.holder("shop01"), fleet.logs)
        wait_for(lambda: fleet.targets()["default"][0] == "ok", fleet.logs)
        holder = fleet.holder("shop01")
        assert fleet.targets()["shop01"][0] == "running"
        workers[holder].kill()
    fleet.send()  # the next tick finds the run as it is
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, True)], fleet.logs()
    assert sum(one.succeeded("check_database") for one in workers.values()) == 2


def test_the_documentation_names_every_task_and_its_arguments(make_fleet: MakeFleet) -> None:
    page = (ROOT / "docs" / "celery.md").read_text(encoding="utf-8")
    given = make_fleet(aliases=1).python(
        "import inspect, json\n"
        "from trigger_ops import tasks\n"
        "from celery import current_app\n"
        "names = [one for one in current_app.tasks if one.startswith('trigger_ops.')]\n"
        "print(json.dumps([names, list(inspect.signature(tasks.check_databases.run).parameters)]))"
    )
    names, arguments = json.loads(given)
    cells = re.findall(r"^\| `([\w.]+)` \|", page, re.M)
    assert set(names) == {one for one in cells if one.startswith("trigger_ops.")}
    assert set(arguments) <= set(cells)
