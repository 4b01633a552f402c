"""What breaks in the middle, does not answer, or never comes back: who tries again, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sinks import WebSink, web_sink
from tests.tasks.conftest import Fleet, wait_for
from tests.tasks.test_fleet import PATIENT
from tests.tasks.test_tasks import DAMAGE, DISABLED, PAGER

MakeFleet = Callable[..., Fleet]

HERE = {"PRIVATE_HOSTS": ["127.0.0.1"]}
QUICK = {"trigger_ops.deliver": {"soft_time_limit": 1, "time_limit": 2}}


@pytest.fixture
def web() -> Iterator[WebSink]:
    with web_sink() as sink:
        yield sink


@pytest.fixture
def monitor() -> Iterator[WebSink]:
    """A service that expects the heartbeat."""
    with web_sink() as sink:
        yield sink


def hook(web: WebSink) -> dict[str, Any]:
    return {"name": "pager", "backend": "webhook", "url": web.url()}


# Connections that break ---------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["shop01", "default"], ids=["the patient", "the records"])
def test_a_connection_that_is_ended_in_mid_check_is_made_anew(
    make_fleet: MakeFleet, whose: str
) -> None:
    fleet = make_fleet(aliases=2, trigger_ops={**PATIENT, "NOTIFY": [PAGER]})
    fleet.ask(DAMAGE, alias="shop01")
    worker = fleet.worker("worker")
    database = fleet.settings["databases"][whose]["NAME"]
    ours = "FROM pg_stat_activity WHERE datname = %s AND application_name = 'worker'"
    with fleet.locked("shop01"):
        fleet.send()
        waits = f"SELECT pid {ours} AND wait_event_type = 'Lock'"
        patient = fleet.settings["databases"]["shop01"]["NAME"]
        wait_for(lambda: fleet.ask(waits, patient), fleet.logs)
        assert fleet.holder("shop01") == "worker"
        assert fleet.ask(f"SELECT pg_terminate_backend(pid) {ours}", database) == [(True,)]
    fleet.wait_for_runs()
    assert fleet.runs() == [(True, True)], fleet.logs()
    assert {state for state, *_ in fleet.targets().values()} == {"ok"}
    assert fleet.events() == [("shop01", *DISABLED)] * 2
    # The task itself did that: nobody had to miss it first.
    assert len(worker.tried_again("check_database")) == 1, fleet.logs()


# People who cannot be told ------------------------------------------------------------------------


def test_what_could_not_be_told_is_told_later_and_the_heartbeat_once(
    make_fleet: MakeFleet, web: WebSink, monitor: WebSink
) -> None:
    seconds = {
        "trigger_ops.tasks.SECONDS_BETWEEN": 1,
        "trigger_ops.ledger.outbox.FIRST_PAUSE": 0.2,
        # Nobody who looks after the run tells them by the way.
        "trigger_ops.api.scheduling.PATIENCE": 600,
    }
    told = {**HERE, "NOTIFY": [hook(web)], "HEARTBEAT_URL": monitor.url("/alive")}
    fleet = make_fleet(aliases=2, trigger_ops=told, seconds=seconds)
    fleet.ask(DAMAGE)
    web.statuses = [503]
    worker = fleet.worker("worker")
    fleet.send()
    first, second = web.wait_for(2)
    assert [one.document["attempt"] for one in (first, second)] == [1, 2]
    assert first.document["id"] == second.document["id"]
    wait_for(lambda: worker.succeeded("deliver") == 2, fleet.logs)
    assert fleet.ask("SELECT count(*) FROM trigger_ops_notice WHERE sent IS NULL") == [(0,)]
    assert fleet.runs() == [(True, True)]
    assert [one.path for one in monitor.received] == ["/alive"]


@pytest.mark.parametrize("backend", ["Hangs", "Stubborn"])
def test_a_backend_that_never_comes_back_blocks_nobody(
    make_fleet: MakeFleet, web: WebSink, backend: str
) -> None:
    stuck = {"name": "stuck", "backend": f"tests.tasks.fleet.backends.{backend}"}
    fleet = make_fleet(
        aliases=1,
        trigger_ops={**HERE, "NOTIFY": [stuck, hook(web)]},
        celery={"task_annotations": QUICK},
    )
    fleet.ask(DAMAGE)
    fleet.worker("worker", "-P", "prefork", "-c", "1")
    fleet.send()
    fleet.wait_for_runs()
    if backend == "Hangs":
        # It is told to end, and has failed; the others are told by the same task.
        web.wait_for(1)
    fleet.send()  # and the only process of the worker is there for it, or another one is
    fleet.wait_for_runs(2)
    (got,) = web.wait_for(1)
    assert {one["finding"]["id"] for one in got.document["events"]} == {"trigger_ops.E002"}
    (error,) = {
        error
        for (error,) in fleet.ask("SELECT error FROM trigger_ops_notice WHERE destination='stuck'")
    }
    if backend == "Hangs":
        assert error.startswith("Hangs failed: SoftTimeLimitExceeded at ")
    else:
        assert "Hard time limit (2s) exceeded for trigger_ops.deliver" in fleet.logs()


def test_every_task_has_a_soft_and_a_hard_limit(make_fleet: MakeFleet) -> None:
    said = make_fleet(aliases=1).python(
        "from celery.signals import before_task_publish\n"
        "from trigger_ops import tasks\n"
        "limits = {}\n"
        "@before_task_publish.connect\n"
        "def note(sender, headers, **_): limits[sender] = headers['timelimit']\n"
        "tasks.check_databases()\n"
        "for name in ('check_databases', 'sweep', 'deliver'):\n"
        "    one = getattr(tasks, name)\n"
        "    limits[one.name] = [one.time_limit, one.soft_time_limit]\n"
        "print(sorted(limits.items()))"
    )
    assert said.strip() == str(
        [
            ("trigger_ops.check_database", [660.0, 600.0]),
            *((f"trigger_ops.{name}", [300, 240]) for name in ("check_databases", "deliver")),
            ("trigger_ops.sweep", [300, 240]),
        ]
    )


# Who hears that all is well -----------------------------------------------------------------------

EAGER = {"task_always_eager": True, "task_eager_propagates": True}


def test_the_heartbeat_is_that_of_a_complete_run_alone(
    make_fleet: MakeFleet, monitor: WebSink
) -> None:
    told = {**HERE, "HEARTBEAT_URL": monitor.url()}
    fleet = make_fleet(aliases=2, trigger_ops=told, celery=EAGER)
    shop = fleet.settings["databases"]["shop01"]
    fleet.send()
    assert (fleet.runs()[-1], len(monitor.received)) == ((True, True), 1)
    port, shop["PORT"] = shop["PORT"], "1"
    fleet.send()
    assert (fleet.runs()[-1], len(monitor.received)) == ((True, False), 1)
    shop["PORT"] = port
    fleet.ask("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    said = fleet.python(
        "from trigger_ops.tasks import check_databases\n"
        "try: check_databases.delay()\n"
        "except Exception: print('not recorded')"
    )
    assert (said, len(monitor.received)) == ("not recorded\n", 1)
