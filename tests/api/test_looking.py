"""What happens in a database while it is changed is no drift."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests import damage
from tests.api.conftest import archive_at
from tests.damage import pgid, run
from tests.ledger.conftest import make_run, through
from tests.weaknesses.conftest import default_at
from tests.weaknesses.expectations import INVOICE
from trigger_ops import api
from trigger_ops.api import looking
from trigger_ops.drift import Report
from trigger_ops.ledger.announcements import announce, withdraw
from trigger_ops.ledger.entries import Run
from trigger_ops.models import DriftFinding, DriftTarget, FindingEvent
from trigger_ops.states import ExitCode

Connect = Callable[..., BaseDatabaseWrapper]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def short(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a deploy briefly."""
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "100ms"}
    monkeypatch.setattr(looking, "PAUSE_SECONDS", 0.02)


def record(*databases: str) -> Report:
    return api.check(databases=list(databases or ["default"]), record=True)


@pytest.fixture
def deploy(own_database: BaseDatabaseWrapper, second_connection: Connect) -> Run:
    """Let somebody else be changing triggers, who has gutted one so far."""
    damage.gut(pgid(INVOICE))
    other, one = second_connection(), make_run("os:bob@build")
    with through(other):
        assert announce("default", "public", one, MINUTE) is None
    other.inc_thread_sharing()
    return one


def end(one: Run) -> None:
    with default_at(NAME=connections["default"].settings_dict["NAME"]):
        withdraw("default", "public", one.id)


def test_a_deploy_that_goes_on_is_reported_as_that_and_never_as_drift(deploy: Run) -> None:
    report = record()
    assert [one.id for one in report.findings] == ["trigger_ops.I013"]
    assert "os:bob@build" in report.findings[0].message
    (target,) = report.targets
    assert (target.status, report.complete) == ("deploying", False)
    assert "os:bob@build" in target.reason
    assert report.exit_code is ExitCode.INCOMPLETE
    (kept,) = DriftTarget.objects.all()
    assert (kept.state, kept.run.complete) == ("deploying", False)
    assert kept.run.finished is not None
    assert not DriftFinding.objects.exists()


def test_in_a_deploy_nothing_resolves_that_was_open(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    damage.gut(pgid(INVOICE))
    record()
    damage.stock("install", INVOICE)
    with through(second_connection()):
        announce("default", "public", make_run(), MINUTE)
        assert record().exit_code is ExitCode.INCOMPLETE
    events = FindingEvent.objects.filter(finding__code="trigger_ops.C001")
    assert [one.kind for one in events] == ["opened"]


def test_a_deploy_that_ends_in_time_is_waited_for(
    deploy: Run, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "30s"}
    name = connections["default"].settings_dict["NAME"]
    looked = threading.Event()
    original = looking._seen

    def seen(database: Any) -> Any:
        answer = original(database)
        looked.set()
        return answer

    def finish() -> None:
        with default_at(NAME=name):
            assert looked.wait(timeout=20)
            damage.stock("install", INVOICE)
            withdraw("default", "public", deploy.id)

    monkeypatch.setattr(looking, "_seen", seen)
    thread = threading.Thread(target=finish)
    thread.start()
    report = record()
    thread.join()
    assert (report.exit_code, report.targets[0].status) == (ExitCode.CLEAN, "ok")
    assert not DriftFinding.objects.filter(
        code__in=["trigger_ops.C001", "trigger_ops.I013"]
    ).exists()


def test_a_deploy_that_ended_while_somebody_looked_is_looked_at_again(
    deploy: Run, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read while it was at work is no evidence, although nobody is at work after it."""
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "30s"}
    original, looks = looking._seen, []

    def seen(database: Any) -> Any:
        if not looks:
            damage.stock("install", INVOICE)
            end(deploy)
        looks.append(database.alias)
        return original(database)

    monkeypatch.setattr(looking, "_seen", seen)
    report = record()
    assert looks == ["default", "default"]
    assert "trigger_ops.C001" not in {one.id for one in report.findings}


def test_after_a_deploy_its_leftovers_are_drift(deploy: Run) -> None:
    end(deploy)
    report = record()
    assert report.exit_code is ExitCode.FINDINGS
    assert "trigger_ops.C001" in {one.id for one in report.findings}


def test_a_run_whose_backend_is_gone_is_no_deploy(
    own_database: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    other = second_connection()
    with through(other):
        announce("default", "public", make_run(), MINUTE)
        ((pid,),) = run("SELECT pg_backend_pid()")
    other.close()
    deadline = time.monotonic() + 20
    while run("SELECT FROM pg_stat_activity WHERE pid = %s", pid):
        assert time.monotonic() < deadline
    assert record().exit_code is ExitCode.CLEAN


def test_only_the_database_that_is_deployed_to_is_left_out(
    deploy: Run, make_database: Callable[..., str]
) -> None:
    with archive_at(NAME=make_database(empty=True)):
        report = record("default", "archive")
    assert [one.status for one in report.targets] == ["deploying", "ok"]
    states = DriftTarget.objects.order_by("pk").values_list("database", "state")
    assert list(states) == [("default", "deploying"), ("archive", "ok")]


def test_inside_a_transaction_nobody_waits_and_nothing_is_drift(
    deploy: Run, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "1h"}
    monkeypatch.setattr(looking, "PAUSE_SECONDS", 3600)
    with transaction.atomic():
        report = api.check(databases=["default"])
    assert [one.status for one in report.targets] == ["deploying"]
    assert "trigger_ops.C001" not in {one.id for one in report.findings}


def test_migrations_that_move_are_a_deploy_without_a_name(
    own_database: BaseDatabaseWrapper,
) -> None:
    damage.gut(pgid(INVOICE))
    name, over = own_database.settings_dict["NAME"], threading.Event()
    applied = threading.Event()

    def migrate() -> None:
        with default_at(NAME=name):
            while not over.is_set():
                run("INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'y', now())")
                applied.set()

    thread = threading.Thread(target=migrate)
    thread.start()
    try:
        assert applied.wait(timeout=20)
        report = record()
    finally:
        over.set()
        thread.join()
    assert (report.findings, report.targets[0].status) == ((), "deploying")
    assert "migrations are being applied" in report.targets[0].reason
    assert report.exit_code is ExitCode.INCOMPLETE
    assert not DriftFinding.objects.exists()
    assert record().exit_code is ExitCode.FINDINGS


def test_a_migration_that_was_taken_back_while_somebody_looked_is_a_deploy(
    own_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = looking._seen

    def seen(database: Any) -> Any:
        run("DELETE FROM django_migrations WHERE id = (SELECT min(id) FROM django_migrations)")
        return original(database)

    monkeypatch.setattr(looking, "_seen", seen)
    assert [one.status for one in api.check(databases=["default"]).targets] == ["deploying"]
