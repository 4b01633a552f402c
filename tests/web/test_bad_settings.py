"""Settings that cannot be used: a page that needs one says which, and none is ever a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sessions.conftest import guarded_template, migrated_database
from tests.web.dashboard import LOOKS, POSTS, Way, World, world
from tests.web.recorded import words
from trigger_ops import conf
from trigger_ops.web import evidence, freshness

__all__ = ["guarded_template", "migrated_database", "world"]

ACTING = ("POST action_confirm install 30m", "POST action_run disable 30m", "POST session_ask")
ACTED_ON = ("POST session_extend 5m", "POST allowance_add", "POST destination_test team")
WAYS = (
    *(way for way in LOOKS if way.status == 200),
    *(way for way in POSTS if str(way) in (*ACTING, *ACTED_ON)),
)

OF_NO_TYPE: dict[type, Any] = {dict: [1], bool: "yes", str: 7, int: "many", list: "one"}
WRONG: dict[str, Any] = {
    **{key: OF_NO_TYPE[type(default)] for key, default in conf.DEFAULTS.items()},
    "ENABLED": {"past.Invoice:protect_deletes": "sometimes"},
    "RECORD_DATABASE": "defualt",
    "STATEMENT_TIMEOUT": -1,
    "LOCK_TIMEOUT": 2**40,
    "SESSION_DURATION": "soon",
    "SESSION_LONGEST": "\0",
    "APPLY_LOCK_TIMEOUT": "-1s",
    "SESSION_REASON": 0,
    "NOTIFY": [{"name": "team"}],
}
"""For each key a value that cannot be used, of the right type where there is one."""


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    evidence.forget()
    freshness.forget()


def ask(way: Way, world: World) -> tuple[int, str]:
    """Return what a page is answered with, and what a person reads there."""
    evidence.forget()
    freshness.forget()
    answer = world.ask(way, world.boss)
    content = b"".join(answer) if answer.streaming else answer.content
    return answer.status_code, words(content.decode())


def test_each_page_names_the_setting_that_it_cannot_use_or_does_without(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, get = {**settings.TRIGGER_OPS}, conf.get
    read: set[str] = set()

    def noted(key: str) -> Any:
        read.add(key)
        return get(key)

    monkeypatch.setattr(conf, "get", noted)
    seen: set[str] = set()
    for way in WAYS:
        settings.TRIGGER_OPS = good
        read.clear()
        assert ask(way, world)[0] == way.status, way
        for key in sorted(read):
            settings.TRIGGER_OPS = {**good, key: WRONG[key]}
            status, text = ask(way, world)
            assert status < 500, (way, key, text)
            assert status == way.status or f'TRIGGER_OPS["{key}"]' in text, (way, key, text)
        seen |= read
    assert {"ENABLED", "NOTIFY", "RECORD_DATABASE", "SESSION_DURATION", "RUNBOOK"} <= seen


def test_settings_that_are_none_at_all(world: World, settings: Any) -> None:
    settings.TRIGGER_OPS = "nonsense"
    for way in WAYS:
        status, text = ask(way, world)
        assert status < 500, (way, text)
        assert status == way.status or "TRIGGER_OPS must be a dict" in text, (way, text)
