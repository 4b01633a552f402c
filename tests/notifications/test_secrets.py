"""What is secret in the settings stays out of messages, logs and reports, however wrong they are."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core import checks
from django.views.debug import ExceptionReporter

from tests.management.conftest import Site
from tests.notifications.test_page import defined
from trigger_ops import api, conf
from trigger_ops.checks.notifications import check_notifications
from trigger_ops.checks.project import check_settings
from trigger_ops.exceptions import BadSettings

SECRETS = ("geheim", "T00", "4711")
HOOK = {
    "name": "pager",
    "backend": "webhook",
    "url": "https://ann:geheim-1@hooks.example/services/T00/geheim-2",
    "secret": "geheim-3",
    "headers": {"X-Key": "geheim-4"},
}
GOOD: dict[str, Any] = {
    "NOTIFY": [HOOK],
    "HEARTBEAT_URL": "https://checks.example/ping/geheim-5",
    "METRICS_TOKEN": "geheim-6",
}

WRONG: dict[str, Any] = {
    "a trailing comma": (GOOD,),
    "a list": [GOOD],
    "a text": str(GOOD),
    "a destination beside the list": {**GOOD, "NOTIFY": HOOK},
    "destinations in a tuple": {**GOOD, "NOTIFY": (HOOK,)},
    "an address in a tuple": {**GOOD, "HEARTBEAT_URL": (GOOD["HEARTBEAT_URL"],)},
    "a token as bytes": {**GOOD, "METRICS_TOKEN": b"geheim-6"},
    "a destination as a text": {**GOOD, "NOTIFY": [HOOK["url"]]},
    "an address in the place of a level": {**GOOD, "NOTIFY": [{**HOOK, "level": HOOK["url"]}]},
    "addresses in the place of kinds": {**GOOD, "NOTIFY": [{**HOOK, "kinds": [HOOK["url"]]}]},
    "no list of kinds": {**GOOD, "NOTIFY": [{**HOOK, "kinds": 4711}]},
    "an address that is none": {**GOOD, "NOTIFY": [{**HOOK, "url": "geheim://T00"}]},
    "a host with its password": {**GOOD, "PRIVATE_HOSTS": "https://ann:geheim@alerts.internal/"},
    "hosts of which one is none": {**GOOD, "PRIVATE_HOSTS": ["ann:geheim@alerts.internal", 7]},
}


def assert_kept(told: object) -> None:
    """Demand that something is told, and no secret."""
    assert str(told)
    assert [one for one in SECRETS if one in str(told)] == []


@pytest.mark.parametrize("name", WRONG)
def test_no_system_check_tells_a_secret(name: str, settings: Any) -> None:
    settings.TRIGGER_OPS = WRONG[name]
    found: list[checks.CheckMessage] = [*check_settings(), *check_notifications()]
    assert found
    assert_kept([(str(one), one.hint) for one in found])


READERS: tuple[Callable[[], object], ...] = (
    *(conf.destinations, conf.heartbeat_url, conf.metrics_token, conf.private_hosts),
    api.send_test,
)


@pytest.mark.parametrize("name", WRONG)
def test_no_error_tells_a_secret_nor_does_a_report_of_it(name: str, settings: Any) -> None:
    settings.TRIGGER_OPS = WRONG[name]
    errors = 0
    for reader in READERS:
        try:
            told = reader()
        except BadSettings as error:
            errors += 1
            assert_kept(f"{error!r} because of {error.__cause__!r}")
            # Reports such as Django's show what each function had in its hands.
            frames = ExceptionReporter(None, *sys.exc_info()).get_traceback_frames()
            held = [dict(one["vars"]) for one in frames if one["function"] == "get"]
            assert_kept(f"held: {held}")
        else:
            errors += "error='TRIGGER_OPS" in str(told)
    assert errors


def test_a_destination_shows_none_of_its_options(settings: Any) -> None:
    settings.TRIGGER_OPS = GOOD
    assert_kept(conf.destinations())


@pytest.mark.parametrize("name", ["a trailing comma", "an address in the place of a level"])
def test_a_heartbeat_with_such_settings_is_logged_without_them(
    name: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.TRIGGER_OPS = WRONG[name]
    if name == "a trailing comma":
        assert_kept(api.ping_heartbeat())
    assert_kept(f"logged: {caplog.text}")


@pytest.mark.django_db(databases=["default", "archive"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("pgtrigger", "check", "past.Customer", "--record", "--notify", "--traceback"),
        ("check", "--traceback"),
    ],
    ids=lambda given: given[0],
)
def test_a_command_says_what_is_wrong_and_no_secret(
    arguments: tuple[str, ...], site: Site
) -> None:
    done = site.manage(*arguments, declared=WRONG["a list"])
    assert done.code in (1, 2)
    assert "TRIGGER_OPS" in done.err
    assert "list" in done.err
    assert_kept(f"{done.out} {done.err}")


def test_the_filter_of_the_page_keeps_the_settings_out_of_djangos_own_reports(
    settings: Any,
) -> None:
    settings.TRIGGER_OPS = GOOD
    kept = defined("WithoutTriggerOps")
    assert_kept(kept().get_safe_settings()["TRIGGER_OPS"])
    assert kept().get_safe_settings()["SECRET_KEY"] != settings.SECRET_KEY
