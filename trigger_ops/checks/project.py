"""Checks of INSTALLED_APPS and of the setting ``TRIGGER_OPS``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import connections

from trigger_ops import conf
from trigger_ops.durations import duration
from trigger_ops.exceptions import BadDuration, UnknownSelector, nearest
from trigger_ops.registry import registered_triggers
from trigger_ops.registry.selectors import select


def check_apps(**_: Any) -> list[checks.CheckMessage]:
    """Return S001 or S002 where our command would not be the one that runs."""
    names = [config.name for config in apps.get_app_configs()]
    if "pgtrigger" not in names:
        return [
            checks.Error(
                '"pgtrigger" is not in INSTALLED_APPS.',
                hint='Add "pgtrigger" after "trigger_ops".',
                id="trigger_ops.S002",
            )
        ]
    if names.index("trigger_ops") < names.index("pgtrigger"):
        return []
    return [
        checks.Error(
            '"trigger_ops" stands after "pgtrigger" in INSTALLED_APPS, so that the library\'s '
            "own pgtrigger command runs.",
            hint='Move "trigger_ops" before "pgtrigger".',
            id="trigger_ops.S001",
        )
    ]


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Return S003 to S008 and S023 for what ``settings.TRIGGER_OPS`` says wrongly."""
    declared = conf.declared()
    return list(settings_messages(declared))


def settings_messages(declared: object) -> Iterator[checks.CheckMessage]:
    """Yield a message for each thing that is wrong with a value of ``TRIGGER_OPS``."""
    if not isinstance(declared, dict):
        yield _setting_error(
            "S003", f"TRIGGER_OPS is a {type(declared).__name__}, not a dict.", "Make it a dict."
        )
        return
    for key, value in declared.items():
        if key not in conf.DEFAULTS:
            message = f'TRIGGER_OPS has no key "{key}": {nearest(str(key), list(conf.DEFAULTS))}'
            yield _setting_error("S004", message, "Correct the key or take it out.")
        elif wanted := _wrong_type(value, conf.DEFAULTS[key]):
            message = f'TRIGGER_OPS["{key}"] is {value!r}, not {wanted}.'
            yield _setting_error("S005", message, f"The default is {conf.DEFAULTS[key]!r}.")
        elif key in conf.DURATIONS and (sentence := _bad_duration(value)):
            yield _setting_error("S023", f'TRIGGER_OPS["{key}"]: {sentence}', "Such as 30s.")
        elif key == "ENABLED":
            yield from _mode_messages(value)
        elif key == "RECORD_DATABASE" and value not in connections:
            message = f'TRIGGER_OPS["{key}"] is "{value}", which is no alias of DATABASES.'
            yield _setting_error(
                "S007", message, f"{nearest(value, list(connections))}".capitalize()
            )


def _setting_error(code: str, message: str, hint: str) -> checks.Error:
    return checks.Error(message, hint=hint, id=f"trigger_ops.{code}")


def _bad_duration(value: str) -> str:
    try:
        duration(value)
    except BadDuration as error:
        return str(error)
    return ""


def _wrong_type(value: object, default: object) -> str:
    """Return what the value should be, or "" if it is that."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "True or False"
    if isinstance(default, int):
        fits = type(value) is int and 0 <= value <= conf.LONGEST
        return "" if fits else f"a whole number from 0 to {conf.LONGEST}"
    if isinstance(default, dict):
        return "" if isinstance(value, dict) else "a dict"
    return "" if isinstance(value, str) and value else "a text"


def _mode_messages(modes: Mapping[object, object]) -> Iterator[checks.CheckMessage]:
    triggers = registered_triggers()
    for selector, mode in modes.items():
        if not isinstance(selector, str):
            message = f'TRIGGER_OPS["ENABLED"] has the selector {selector!r}, not a text.'
            yield _setting_error("S005", message, "Write a selector such as shop.Order:no_del.")
            continue
        if not isinstance(mode, str) or mode.lower() not in conf.MODES:
            message = f'TRIGGER_OPS["ENABLED"]["{selector}"] is {mode!r}, which is no mode.'
            yield _setting_error("S006", message, f"The modes are: {', '.join(conf.MODES)}.")
        try:
            select(triggers, [selector])
        except UnknownSelector as error:
            yield checks.Warning(
                f'TRIGGER_OPS["ENABLED"]: {error}',
                hint="Correct the selector or take it out.",
                id="trigger_ops.S008",
            )
