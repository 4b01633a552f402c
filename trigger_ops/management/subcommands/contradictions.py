"""Options that do not go together, and options that were meant to say something and do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError

from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode, Verb

IN_THE_PLAN = {
    "uris": "selector",
    "dry_run": "--dry-run",
    "database": "--database",
    "all_databases": "--all-databases",
    "schema": "--schema",
    "all_schemas": "--all-schemas",
    "schema_glob": "--schema-glob",
    "always": "--always",
    "replica": "--replica",
    "expired": "--expired",
    "lasts": "--for",
    "functions": "--functions",
    "lock_timeout": "--lock-timeout",
}
"""What a plan says itself, by the name of its option."""

_MODES = ("always", "replica", "expired")
_FILES = ("plan", "out", "settings", "pythonpath", "command")
_SPOKEN = {"plan": "--plan", "out": "--out", "lasts": "--for"}


def refuse_contradictions(options: Mapping[str, Any], verb: Verb) -> None:
    """Refuse options of which one would be silently ignored.

    Raises:
        CommandError: exit code 2.
    """
    refuse_empty(options)
    _refuse_first(_contradictions(options, verb))
    if options.get("lasts") is not None:
        refuse_without_reason(options)


def refuse_unspeakable(options: Mapping[str, Any]) -> None:
    """Refuse a value that no database can take: a NUL character, or bytes that are no text.

    Raises:
        CommandError: exit code 2.
    """
    for name, value in options.items():
        if name in _FILES:
            continue
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and not _is_speakable(text):
                _refuse(f'"{printable(text)}" holds a character that no database can take.')


def _is_speakable(text: str) -> bool:
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def refuse_without_reason(options: Mapping[str, Any]) -> None:
    """Refuse a lease that nobody says the reason of.

    Raises:
        CommandError: exit code 2.
    """
    if not (options.get("reason") or "").strip():
        _refuse("A disable that ends needs a --reason: say why.")


def refuse_empty(options: Mapping[str, Any]) -> None:
    """Refuse what a script gives for a variable that is not set: it means everything but that.

    Raises:
        CommandError: exit code 2.
    """
    for name, option in _SPOKEN.items():
        if options.get(name) == "":
            _refuse(f"{option} is empty: say which.")


def _contradictions(options: Mapping[str, Any], verb: Verb) -> Iterator[str]:
    if options.get("plan") is not None:
        for name, option in IN_THE_PLAN.items():
            if options.get(name):
                yield f"--plan says itself what to do: give no {option} beside it."
    if options.get("out") is not None and not options.get("dry_run"):
        yield "--out writes what --dry-run found: give both."
    if verb is Verb.ENABLE and sum(map(bool, map(options.get, _MODES))) > 1:
        yield "--always, --replica and --expired exclude each other: choose one."
    if options.get("functions") and options.get("uris"):
        yield "--functions takes all that nothing executes: give no names beside it."


def _refuse_first(sentences: Iterator[str]) -> None:
    sentence = next(sentences, None)
    if sentence is not None:
        _refuse(sentence)


def _refuse(sentence: str) -> None:
    raise CommandError(sentence, returncode=int(ExitCode.USAGE))
