"""Forty databases of 25 schemas with 20 triggers each, three workers, a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks import WebSink, web_sink
from tests.tasks.conftest import Fleet, Shipyard, fleet_of, wait_for

ALIASES, SCHEMAS, TRIGGERS = 40, 25, 20
MODELS = TRIGGERS // 2

# A reading that waits for a lock does so until the test lets go of it.
PATIENT = {"LOCK_TIMEOUT": 25_000}


@pytest.fixture(scope="module")
def databases(shipyard: Shipyard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Make the databases, three of them damaged; return them as the settings have them."""
    folder = tmp_path_factory.mktemp("forty")
    fleet = shipyard.make(folder, aliases=ALIASES, schemas=SCHEMAS, models=MODELS)
    disable = "ALTER TABLE {}.fleet_stock3 DISABLE TRIGGER ALL"
    for number in range(1, SCHEMAS):
        fleet.ask(disable.format(f"tenant_{number}"), alias="shop07")
    fleet.ask(disable.format("public"), alias="shop39")
    return dict(fleet.settings["databases"])


@pytest.fixture
def pager() -> Iterator[WebSink]:
    with web_sink() as sink:
        yield sink


@pytest.fixture
def forty(databases: dict[str, Any], tmp_path: Path, pager: WebSink) -> Iterator[Fleet]:
    told = {"name": "pager", "backend": "webhook", "url": pager.url()}
    settings = {**PATIENT, "NOTIFY": [told], "PRIVATE_HOSTS": ["127.0.0.1"]}
    fleet = fleet_of(databases, tmp_path, models=MODELS, trigger_ops=settings)
    yield fleet
    fleet.close()
    fleet.ask("TRUNCATE trigger_ops_driftrun, trigger_ops_driftfinding CASCADE")


# Two triggers of a model are two findings, also where 24 tenants show them.
EXPECTED = [
    *[("shop07", "trigger_ops.E002", "opened", 1)] * 2,
    *[("shop39", "trigger_ops.E002", "opened", 1)] * 2,
]
TOLD = [
    (alias, uri, "opened", count)
    for alias, count in (("shop07", SCHEMAS - 1), ("shop39", 1))
    for uri in ("fleet.Stock3:code_3", "fleet.Stock3:delete_3")
]


def assert_all_told_once(fleet: Fleet, pager: WebSink) -> None:
    """Wait until nothing is left to be told, and nobody left to tell it."""
    waiting = "SELECT count(*) FROM trigger_ops_notice WHERE sent IS NULL"
    wait_for(lambda: fleet.ask(waiting) == [(0,)], fleet.logs)
    events = [event for one in pager.received for event in one.document["events"]]
    found = [(event["kind"], event["finding"]) for event in events]
    told = [(one["database"], one["uri"], kind, one["count"]) for kind, one in found]
    assert sorted(told) == TOLD
    assert fleet.events() == EXPECTED


def test_every_database_is_checked_once_by_three_workers(forty: Fleet, pager: WebSink) -> None:
    for name in ("one", "two", "three"):
        forty.worker(name)
    forty.send(all_schemas=True)
    forty.wait_for_runs()
    assert forty.runs() == [(True, True)], forty.logs()
    expected = dict.fromkeys(forty.aliases, ("ok", 1, SCHEMAS * TRIGGERS, ""))
    assert forty.targets() == expected
    wait_for(lambda: sum(forty.succeeded("check_database")) == ALIASES, forty.logs)
    assert min(forty.succeeded("check_database")) > 0
    assert_all_told_once(forty, pager)


def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(
    forty: Fleet, pager: WebSink
) -> None:
    workers = {name: forty.worker(name) for name in ("one", "two", "three")}
    with forty.locked("shop07"):
        forty.send(all_schemas=True)
        wait_for(lambda: forty.holder("shop07"), forty.logs)
        victim = workers[forty.holder("shop07")]
        victim.kill()
    forty.wait_for_runs()
    assert forty.runs() == [(True, True)], forty.logs()
    targets = forty.targets()
    assert {state for state, *_ in targets.values()} == {"ok"}
    assert targets["shop07"][1] >= 2
    survivors = sum(one.succeeded("check_database") for one in workers.values())
    assert survivors >= ALIASES
    assert_all_told_once(forty, pager)
