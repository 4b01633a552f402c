"""Checks of registered triggers: what PostgreSQL will refuse to install."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks

from trigger_ops.registry import RegisteredTrigger, registered_triggers
from trigger_ops.registry.definition import DELETE, INSERT, ROW, TRUNCATE, Definition

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_READABLE_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def check_triggers(
    app_configs: Sequence[Any] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Return S010 to S015 for triggers that PostgreSQL will refuse to install."""
    labels = None if app_configs is None else {config.label for config in app_configs}
    return [
        message
        for trigger in registered_triggers()
        if labels is None or trigger.app_label in labels
        for message in trigger_messages(trigger)
    ]


def trigger_messages(trigger: RegisteredTrigger) -> Iterator[checks.Warning]:
    """Yield a warning for each reason why a trigger cannot be installed."""
    definition = trigger.definition
    if definition is None:
        yield _trigger_warning(
            "S013", trigger, f"It cannot be compiled: {trigger.error}", "Mend its declaration."
        )
        return
    if not _READABLE_NAME.fullmatch(definition.pgid):
        message = f'PostgreSQL cannot read the name "{definition.pgid}", which is not quoted.'
        yield _trigger_warning(
            "S010", trigger, message, "Use letters, digits and underscores, but no hyphens."
        )
    if "$$" in _between_dollars(definition):
        yield _trigger_warning(
            "S011",
            trigger,
            'Its body holds "$$", which ends the function early: a syntax error.',
            "Quote with a tag such as $text$ inside the body.",
        )
    if definition.condition and not _is_enclosed(definition.condition.removeprefix("WHEN")):
        yield _trigger_warning(
            "S012",
            trigger,
            'Its condition begins with "(" and is not enclosed as a whole: a syntax error.',
            "Put parentheses round the whole condition.",
        )
    if definition.events & TRUNCATE and definition.level == ROW:
        yield _trigger_warning(
            "S014",
            trigger,
            "PostgreSQL has no TRUNCATE triggers for each row.",
            "Set level=pgtrigger.Statement.",
        )
    if absent := _absent_row(definition):
        yield _trigger_warning(
            "S015",
            trigger,
            f"Its condition reads {absent}.",
            "Split the trigger, or decide inside the function.",
        )


def _trigger_warning(
    code: str, trigger: RegisteredTrigger, message: str, hint: str
) -> checks.Warning:
    return checks.Warning(message, hint=hint, obj=trigger.uri, id=f"trigger_ops.{code}")


def _between_dollars(definition: Definition) -> str:
    """Return the body as it was meant: up to the last quotes, where PostgreSQL stops at the next."""
    text = definition.install_sql
    start = text.find("$$", text.find(f"FUNCTION {definition.pgid}()")) + 2
    return text[start : text.rfind("$$ LANGUAGE plpgsql;")]


def _is_enclosed(condition: str) -> bool:
    """Tell whether the parenthesis that opens a condition is closed by its very last one."""
    text = _QUOTED.sub("", condition.strip())
    depth = 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return position == len(text) - 1
    return False


def _absent_row(definition: Definition) -> str:
    names = {name.upper() for name in re.findall(r"\b(?:OLD|NEW)\b", _unquoted(definition), re.I)}
    if names and definition.level != ROW:
        return f"{' and '.join(sorted(names))}, but a statement-level trigger has no row"
    if "OLD" in names and definition.events & INSERT:
        return "OLD, but an INSERT has no old row"
    if "NEW" in names and definition.events & DELETE:
        return "NEW, but a DELETE has no new row"
    return ""


def _unquoted(definition: Definition) -> str:
    return _QUOTED.sub("", definition.condition)
