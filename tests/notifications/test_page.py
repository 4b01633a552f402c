"""The page about notifications shows what is sent, and its snippets work."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.notifications.making import change, message
from trigger_ops import conf
from trigger_ops.exceptions import BadSettings
from trigger_ops.management.subcommands import notify
from trigger_ops.notifications.documents import SCHEMA, body
from trigger_ops.notifications.webhook import signature

PAGE = Path(__file__).resolve().parents[2].joinpath("docs/notifications.md").read_text("utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def shown(schema: str) -> dict[str, Any]:
    (document,) = [one for one in map(json.loads, snippets("json")) if one["schema"] == schema]
    return dict(document)


def defined(name: str, **names: Any) -> Any:
    (source,) = [one for one in snippets("python") if f" {name}(" in one]
    exec(source, names)
    return names[name]


def test_the_webhooks_document_is_the_one_shown() -> None:
    page, sent = shown(SCHEMA), json.loads(body(message(change())))
    assert list(page) == list(sent)
    assert list(page["events"][0]) == list(sent["events"][0])
    assert list(page["events"][0]["finding"]) == list(sent["events"][0]["finding"])


def test_the_document_of_the_verb_is_the_one_shown() -> None:
    page = shown(notify.SCHEMA)
    one = notify.Delivery(destination="pager")
    printed = notify._document([one], notify.ExitCode.CLEAN, test=False)
    assert list(page) == list(printed)
    assert list(page["destinations"][0]) == list(printed["destinations"][0])


def test_the_function_that_verifies_signatures_does() -> None:
    is_genuine, now = defined("is_genuine"), int(time.time())
    assert is_genuine(signature(b"{}", "secret", at=now), b"{}", "secret")
    assert not is_genuine(signature(b"{}", "other", at=now), b"{}", "secret")
    assert not is_genuine(signature(b"{}", "secret", at=now), b"{ }", "secret")
    assert not is_genuine(signature(b"{}", "secret", at=now - 3600), b"{}", "secret")
    assert not is_genuine("", b"{}", "secret")


def test_the_settings_shown_are_right(settings: Any) -> None:
    (source,) = [one for one in snippets("python") if "TRIGGER_OPS = {" in one]
    environ = {"PAGER_URL": "https://hooks.example/1", "PAGER_SECRET": "s"}
    names: dict[str, Any] = {"os": type("os", (), {"environ": environ})}
    exec(source, names)
    settings.TRIGGER_OPS = names["TRIGGER_OPS"]
    assert [one.name for one in conf.destinations()] == ["team", "pager"]


def test_the_backend_shown_works() -> None:
    posted: list[Any] = []
    chat = type("chat", (), {"post": lambda *given, **key: posted.append((given, key)) or True})
    backend = defined("Chat", chat=chat)
    backend("chat", room="#db").send(message(change()))
    assert posted[0][0] == ("#db", "opened trigger_ops.C001 shop.Order:no_del")
    with pytest.raises(BadSettings, match="needs a room"):
        backend("chat")
