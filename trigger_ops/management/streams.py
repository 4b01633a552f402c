"""Where output goes: colour only for terminals, and readers that leave early."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import OutputWrapper


def environment_colour(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, bool]:
    """Return the colour options that the environment adds, where no flag has decided.

    ``NO_COLOR`` and ``FORCE_COLOR`` count when they are not empty (https://no-color.org); a flag
    wins over both, ``NO_COLOR`` over ``FORCE_COLOR``.
    """
    if options.get("no_color") or options.get("force_color"):
        return {}
    if environ.get("NO_COLOR") or environ.get("DJANGO_COLORS") == "nocolor":
        return {"no_color": True}
    return {"force_color": True} if environ.get("FORCE_COLOR") else {}


def wants_colour(stream: OutputWrapper, options: Mapping[str, Any]) -> bool:
    """Tell whether to colour what goes to ``stream``: by the flags, else only on a terminal."""
    if options.get("no_color"):
        return False
    return bool(options.get("force_color")) or (
        stream.isatty() and os.environ.get("TERM") != "dumb"
    )


def say(stream: OutputWrapper, text: str, *, ending: str | None = None) -> None:
    """Write a line in the colours that it has: Django would paint all of stderr red."""
    stream.write(text, lambda message: message, ending=ending)


def write_data(stream: OutputWrapper, text: str) -> None:
    """Write one document and flush it. Nothing is written for no text.

    A reader of the process's own output that has left (``| head -1``) is no error: the rest goes
    nowhere. A terminal that cannot show a character gets its escape.
    """
    if not text:
        return
    try:
        _write(stream, text)
    except BrokenPipeError:
        if stream.fileno() != sys.stdout.fileno():
            raise  # a pipe that a caller of call_command gave: theirs to know about
        _discard_the_rest()


def _write(stream: OutputWrapper, text: str) -> None:
    encoding = getattr(stream, "encoding", None)
    if encoding:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
    stream.flush()


def _discard_the_rest() -> None:
    # Python flushes stdout once more when it exits, and would complain there (see the note on
    # SIGPIPE in the documentation of the signal module).
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
