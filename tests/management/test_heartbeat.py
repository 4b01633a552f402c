"""The heartbeat of ``check``: after a complete recorded run of everything, once, and else never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import damage
from tests.api.conftest import archive_at
from tests.management.conftest import Result
from tests.sinks import WebSink, web_sink

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture
def monitor(settings: Any) -> Iterator[WebSink]:
    """A service that expects the heartbeat."""
    with web_sink() as sink:
        settings.TRIGGER_OPS = {
            "HEARTBEAT_URL": sink.url("/alive"),
            "PRIVATE_HOSTS": ["127.0.0.1"],
            "DEPLOY_WAIT": "100ms",
        }
        yield sink


def heard(monitor: WebSink) -> list[str]:
    return [f"{one.method} {one.path}" for one in monitor.received]


@pytest.mark.parametrize("option", ["--record", "--notify"])
def test_a_complete_run_is_heard_once(option: str, pgtrigger: Run, monitor: WebSink) -> None:
    assert pgtrigger("check", option).code == 0
    assert heard(monitor) == ["GET /alive"]


def test_a_complete_run_with_findings_is_heard_too(pgtrigger: Run, monitor: WebSink) -> None:
    damage.gut("pgtrigger_protect_deletes_4ee25")
    assert pgtrigger("check", "--record").code == 1
    assert heard(monitor) == ["GET /alive"]


@pytest.mark.parametrize(
    "arguments", [(), ("--record", "past"), ("--notify", "past.Invoice:protect_deletes")]
)
def test_neither_what_is_not_recorded_nor_a_part_of_the_triggers_is_heard(
    arguments: tuple[str, ...], pgtrigger: Run, monitor: WebSink
) -> None:
    assert pgtrigger("check", *arguments).code == 0
    assert heard(monitor) == []


@pytest.mark.parametrize("damaged", [False, True])
def test_an_incomplete_run_is_not_heard(damaged: bool, pgtrigger: Run, monitor: WebSink) -> None:
    if damaged:
        damage.gut("pgtrigger_protect_deletes_4ee25")
    with archive_at(PORT="1"):
        assert pgtrigger("check", "--record").code == (1 if damaged else 3)
    assert heard(monitor) == []


def test_a_run_that_could_not_be_recorded_is_not_heard(pgtrigger: Run, monitor: WebSink) -> None:
    damage.run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    assert pgtrigger("check", "--record").code == 3
    assert heard(monitor) == []


def test_a_heartbeat_that_nobody_hears_makes_the_check_none_the_worse(
    pgtrigger: Run, monitor: WebSink
) -> None:
    monitor.status = 500
    result = pgtrigger("check", "--record")
    assert result.code == 0
    assert "The heartbeat was not heard: 127.0.0.1 answered 500" in result.err
