"""The system checks of whom to tell: S027, S028 and S029."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from trigger_ops.checks.notifications import check_notifications

HOOK = {"name": "pager", "backend": "webhook", "url": "https://hooks.example/T00/geheim-1"}
MAIL = {"name": "team", "backend": "email", "to": ["ops@example.org"], "level": "ERROR"}


def found(**declared: Any) -> list[tuple[str, str]]:
    with override_settings(TRIGGER_OPS=declared):
        messages = check_notifications()
    for one in messages:
        assert one.hint
        assert "geheim" not in f"{one.msg} {one.hint}"
    return [(str(one.id).removeprefix("trigger_ops."), one.msg) for one in messages]


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"NOTIFY": [HOOK, MAIL, {"name": "o", "backend": "tests.notifications.own.Kept"}]},
        {"HEARTBEAT_URL": "https://ann:geheim@checks.example/ping/geheim"},
        {"HEARTBEAT_URL": "http://127.0.0.1:8000/geheim", "PRIVATE_HOSTS": ["127.0.0.1"]},
        {
            "PRIVATE_HOSTS": [
                "alerts.internal",
                "LOCALHOST",
                "10.0.0.7",
                "::1",
                "[fd00::1]",
                "a_b.",
            ]
        },
    ],
)
def test_what_is_right_is_not_told(declared: dict[str, Any]) -> None:
    assert found(**declared) == []


@pytest.mark.parametrize(
    "declared",
    [
        {"NOTIFY": {"name": "geheim"}},
        {"HEARTBEAT_URL": ["geheim"]},
        {"PRIVATE_HOSTS": "geheim"},
        {"PRIVATE_HOSTS": [1], "NOTIFY": [HOOK]},
    ],
)
def test_a_wrong_type_is_told_by_the_check_of_all_settings(declared: dict[str, Any]) -> None:
    assert found(**declared) == []
    with override_settings(TRIGGER_OPS=["geheim"]):
        assert check_notifications() == []


@pytest.mark.parametrize(
    ("one", "wrong"),
    [
        ({"backend": "email"}, '"name"'),
        ({"name": "a"}, '"backend"'),
        ({**MAIL, "level": "BAD"}, "level 'BAD'"),
        ({**MAIL, "kinds": ["closed"]}, "kinds"),
        ({**MAIL, "name": "pager"}, 'two destinations named "pager"'),
        ({**HOOK, "name": "a", "url": "geheim"}, '"a": url is wrong'),
        ({**HOOK, "name": "a", "secrets": "geheim"}, 'did you mean "secret"'),
        ({"name": "a", "backend": "slack", "url": "geheim"}, 'backend "slack" is unknown'),
        ({"name": "a", "backend": "geht.nicht"}, "cannot be imported"),
        ({"name": "a", "backend": "tests.notifications.own.Unmade", "x": "geheim"}, "Unmade"),
        ({"name": "a", "backend": "email", "to": []}, "needs to"),
    ],
)
def test_s027_a_destination_that_cannot_be_told(one: dict[str, Any], wrong: str) -> None:
    ((code, said),) = found(NOTIFY=[HOOK, one])
    assert code == "S027"
    assert wrong in said


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("geheim.example/ping", "neither http:// nor https://"),
        ("ftp://geheim.example/ping", "neither http:// nor https://"),
        ("https:///geheim", "no host"),
        ("https://x/ge heim", "blanks"),
        ("http://127.0.0.1/geheim", "private address"),
        ("http://[::ffff:10.0.0.1]/geheim", "private address"),
    ],
)
def test_s028_a_heartbeat_that_cannot_be_heard(url: str, wrong: str) -> None:
    ((code, said),) = found(HEARTBEAT_URL=url)
    assert code == "S028"
    assert wrong in said


@pytest.mark.parametrize(
    "host",
    [
        *("http://alerts.internal", "alerts.internal:8080", "10.0.0.0/8", "ann@host", "a b", "*"),
        *("[::1]:80", "a/b", "."),
    ],
)
def test_s029_what_is_no_host(host: str) -> None:
    ((code, said),) = found(PRIVATE_HOSTS=["localhost", host])
    assert code == "S029"
    assert '"PRIVATE_HOSTS"][1]' in said
