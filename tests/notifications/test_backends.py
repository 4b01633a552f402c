"""The class that tells a destination is found, and whatever it does stays in bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notifications import own
from tests.notifications.making import change, message
from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications.backends import backend_of, tell
from trigger_ops.notifications.mail import Mail
from trigger_ops.notifications.options import without_secrets
from trigger_ops.notifications.webhook import Webhook
from trigger_ops.records import Destination
from trigger_ops.states import Level

OWN = "tests.notifications.own"


def destination(backend: str, **options: Any) -> Destination:
    return Destination(
        name="pager", backend=backend, level=Level.INFO, kinds=frozenset(), options=options
    )


@pytest.mark.parametrize(
    ("backend", "options", "expected"),
    [
        ("email", {"to": ["a@b.c"]}, Mail),
        ("webhook", {"url": "https://hooks.example/"}, Webhook),
        (f"{OWN}.Kept", {"room": "db"}, own.Kept),
    ],
)
def test_a_backend_is_found_by_its_name(
    backend: str, options: dict[str, Any], expected: type
) -> None:
    assert type(backend_of(destination(backend, **options))) is expected


@pytest.mark.parametrize(
    ("backend", "wrong"),
    [
        ("webhok", r'the backend "webhok" is unknown: did you mean "webhook"\?'),
        ("sms", r'"sms" is unknown: there are: email, webhook\.'),
        (f"{OWN}.Missing", "cannot be imported: ImportError"),
        ("nowhere.at.all", "cannot be imported: ModuleNotFoundError"),
        ("tests.notifications.unimportable.X", "cannot be imported: RuntimeError"),
        (f"{OWN}.NoBackend", r"is no subclass of trigger_ops\.notifications\.Backend"),
        (f"{OWN}.Any", "is no subclass"),
        (f"{OWN}.Unmade", r"Unmade does not take its options: KeyError at own\.py:\d+"),
        ("tests.notifications.own.Backend.send", "cannot be imported"),
    ],
)
def test_what_is_no_backend_is_told(backend: str, wrong: str) -> None:
    with pytest.raises(BadSettings, match=wrong) as said:
        backend_of(destination(backend, token="geheim-4711"))
    assert '"pager"' in str(said.value)
    assert "geheim" not in str(said.value)


def test_what_arrives_says_nothing() -> None:
    one = destination(f"{OWN}.Kept")
    own.Kept.told.clear()
    assert tell(backend_of(one), message(change()), one.options) == ""
    assert own.Kept.told == [message(change())]


@pytest.mark.parametrize("how", ["NotDelivered", "KeyError"])
def test_what_fails_gives_no_secret_away(how: str) -> None:
    one = destination(
        f"{OWN}.Fails",
        how=how,
        url="https://ann:geheim-1@hooks.example:8443/services/geheim-2?token=geheim-3",
        headers={"X-Key": "geheim-4"},
        more=["geheim-5", {"deep": ("geheim-6",)}],
    )
    said = tell(backend_of(one), message(change()), one.options)
    assert said.isprintable()
    assert "geheim" not in said
    assert "services" not in said
    if how == "NotDelivered":
        assert said.startswith("HTTPSConnectionPool: url=")
        assert "https://hooks.example:8443" in said
    else:
        assert said.startswith("Fails failed: KeyError at own.py:")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("GET https://a:b@h.example/x/y?z failed", "GET https://h.example failed"),
        ("with url: /services/T00/B00 (timeout)", "with url: *** (timeout)"),
        ("postgres://u:p@db/x and HTTPS://H.EXAMPLE/x", "postgres://db and HTTPS://H.EXAMPLE"),
        ("token=abcdefgh refused by ops@example.org", "token=*** refused by ops@example.org"),
        ("the password of ann was wrong", "the password of ann was wrong"),
    ],
)
def test_a_sentence_loses_its_secrets_only(said: str, left: str) -> None:
    options = {
        "url": "https://ann:pw@hooks.example/services/T00/B00",
        "token": "abcdefgh",
        "to": ["ops@example.org"],
        "empty": "",
        "number": 7,
    }
    assert without_secrets(said, options) == left
