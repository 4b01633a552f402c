"""Selectors: a URI, ``app``, ``app.Model``, or a glob such as ``shop.*:protect_*``."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import TypeVar

from trigger_ops.exceptions import UnknownSelector, nearest
from trigger_ops.registry import RegisteredName

Name = TypeVar("Name", bound=RegisteredName)


def select(triggers: Sequence[Name], selectors: Iterable[str]) -> list[Name]:
    """Return the triggers that any selector matches, once each, in the order of the selectors.

    No selector means all of them.

    Raises:
        UnknownSelector: naming the nearest match, for a selector that matches nothing.
    """
    chosen: dict[str, Name] = {}
    wanted = list(selectors)
    for selector in wanted:
        found = [trigger for trigger in triggers if matches(trigger, selector)]
        if not found:
            raise UnknownSelector(_unknown(triggers, selector))
        chosen.update({trigger.uri: trigger for trigger in found})
    return list(chosen.values()) if wanted else list(triggers)


def matches(trigger: RegisteredName, selector: str) -> bool:
    """Tell whether one selector means this trigger. Case counts, as in pgtrigger's URIs."""
    model = f"{trigger.app_label}.{trigger.model}"
    names = (
        [trigger.uri] if ":" in selector else [model] if "." in selector else [trigger.app_label]
    )
    if any(character in selector for character in "*?["):
        return any(fnmatch.fnmatchcase(name, selector) for name in [*names, trigger.uri])
    return selector in names


def _unknown(triggers: Sequence[RegisteredName], selector: str) -> str:
    if not triggers:
        return f'No trigger matches "{selector}": none is registered at all.'
    known: dict[str, None] = {}
    for trigger in triggers:
        model = f"{trigger.app_label}.{trigger.model}"
        known.update({trigger.uri: None, model: None, trigger.app_label: None})
    return f'No registered trigger matches "{selector}": {nearest(selector, known)}'
