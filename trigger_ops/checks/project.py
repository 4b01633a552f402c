"""Checks of INSTALLED_APPS and of the setting ``TRIGGER_OPS``."""

from __future__ import annotations

import re
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
from trigger_ops.states import Policy


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
    """Return S003 to S008 and S023 to S026 for what ``settings.TRIGGER_OPS`` says wrongly."""
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
        elif wanted := _wrong_type(key, value):
            given = f"of type {type(value).__name__}" if key in conf.SECRET else repr(value)
            message = f'TRIGGER_OPS["{key}"] is {given}, not {wanted}.'
            yield _setting_error("S005", message, f"The default is {conf.DEFAULTS[key]!r}.")
        else:
            yield from _value_messages(key, value)
    yield from _misfits(declared)


def _value_messages(key: str, value: Any) -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with a value of the right type."""
    if key in conf.DURATIONS and (sentence := _bad_duration(value)):
        yield _setting_error("S023", f'TRIGGER_OPS["{key}"]: {sentence}', "Such as 30s.")
    elif key in ("ENABLED", "POLICIES"):
        yield from _selected_messages(key, value)
    elif key == "POLICY" and value.lower() not in tuple(Policy):
        message = f'TRIGGER_OPS["{key}"] is {value!r}, which is no policy.'
        yield _setting_error("S024", message, f"The policies are: {', '.join(Policy)}.")
    elif key == "MASK" and (sentence := _bad_expression(value)):
        message = f'TRIGGER_OPS["{key}"] is no regular expression: {sentence}.'
        yield _setting_error("S025", message, 'Such as "password|token"; "" masks nothing.')
    elif key == "RECORD_DATABASE" and value not in connections:
        message = f'TRIGGER_OPS["{key}"] is "{value}", which is no alias of DATABASES.'
        yield _setting_error("S007", message, f"{nearest(value, list(connections))}".capitalize())


def _misfits(declared: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    """Yield a message where a session that lasts as long as usual would last too long."""
    keys = ("SESSION_DURATION", "SESSION_LONGEST")
    values = [declared.get(key, conf.DEFAULTS[key]) for key in keys]
    if any(_wrong_type(key, value) for key, value in zip(keys, values, strict=True)):
        return
    if any(map(_bad_duration, values)) or duration(values[0]) <= duration(values[1]):
        return
    yield _setting_error(
        "S026",
        f'TRIGGER_OPS["SESSION_DURATION"] is {values[0]}, longer than SESSION_LONGEST, {values[1]}.',
        "No session could be opened without --for: make one fit the other.",
    )


def _setting_error(code: str, message: str, hint: str) -> checks.Error:
    return checks.Error(message, hint=hint, id=f"trigger_ops.{code}")


def _bad_duration(value: str) -> str:
    try:
        duration(value)
    except BadDuration as error:
        return str(error)
    return ""


def _bad_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        return str(error)
    return ""


def _wrong_type(key: str, value: object) -> str:
    """Return what the value should be, or "" if it is that."""
    default = conf.DEFAULTS[key]
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "True or False"
    if isinstance(default, int):
        least, most = conf.LEAST.get(key, 0), conf.MOST.get(key, conf.LONGEST)
        fits = type(value) is int and least <= value <= most
        return "" if fits else f"a whole number from {least} to {most}"
    if isinstance(default, dict):
        return "" if isinstance(value, dict) else "a dict"
    if key == "NOTIFY":
        return "" if isinstance(value, list) else "a list of dicts"
    if isinstance(default, list):
        fits = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
        return "" if fits else "a list of names"
    may_be_empty = key in ("MASK", "HEARTBEAT_URL", "RUNBOOK", "METRICS_TOKEN")
    return "" if isinstance(value, str) and (value or may_be_empty) else "a text"


def _selected_messages(key: str, chosen: Mapping[object, object]) -> Iterator[checks.CheckMessage]:
    triggers = registered_triggers()
    words, code, kind = (
        (conf.MODES, "S006", "mode") if key == "ENABLED" else (tuple(Policy), "S024", "policy")
    )
    plural = "policies" if kind == "policy" else "modes"
    for selector, word in chosen.items():
        if not isinstance(selector, str):
            message = f'TRIGGER_OPS["{key}"] has the selector {selector!r}, not a text.'
            yield _setting_error("S005", message, "Write a selector such as shop.Order:no_del.")
            continue
        if not isinstance(word, str) or word.lower() not in words:
            message = f'TRIGGER_OPS["{key}"]["{selector}"] is {word!r}, which is no {kind}.'
            yield _setting_error(code, message, f"The {plural} are: {', '.join(words)}.")
        try:
            select(triggers, [selector])
        except UnknownSelector as error:
            yield checks.Warning(
                f'TRIGGER_OPS["{key}"]: {error}',
                hint="Correct the selector or take it out.",
                id="trigger_ops.S008",
            )
