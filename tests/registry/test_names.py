from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

import pytest
from pgtrigger import core

from trigger_ops.registry import RegisteredName, registered_names, registered_triggers


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("not now\nnor here")


def test_what_triggers_are_called_takes_no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = registered_triggers()
    asked: list[Any] = []
    for method in ("compile", "render_condition"):  # an error would be caught
        monkeypatch.setattr(core.Trigger, method, lambda *given, **_: asked.append(given))
    names = registered_names()
    assert asked == []
    assert len(names) > 20
    fields = [one.name for one in dataclasses.fields(RegisteredName)]
    for name, trigger in zip(names, compiled, strict=True):
        assert {one: getattr(name, one) for one in fields} == {
            one: getattr(trigger, one) for one in fields
        }


def test_a_trigger_that_cannot_tell_its_name_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.Trigger, "get_pgid", refuse)
    assert {one.pgid for one in registered_names()} == {""}
    for trigger in registered_triggers():
        assert trigger.uri
        assert trigger.pgid == ""
        assert trigger.definition is None
        assert trigger.error == "ValueError: not now"


def test_a_trigger_that_cannot_be_compiled_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [one.pgid for one in registered_names()]
    monkeypatch.setattr(core.Trigger, "compile", refuse)
    triggers = registered_triggers()
    assert [one.pgid for one in triggers] == names
    assert {one.error for one in triggers} == {"ValueError: not now"}
