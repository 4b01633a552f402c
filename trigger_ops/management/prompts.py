"""The prompt of a shell in a session: its number, and the minutes that are left."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import sys
from collections.abc import Iterator
from typing import Any

from trigger_ops import api
from trigger_ops.states import SessionState


@contextlib.contextmanager
def session_prompt(running: api.RunningSession) -> Iterator[None]:
    """Have Python's prompt, and IPython's where it is installed, tell of a session."""
    before = getattr(sys, "ps1", None)
    sys.ps1 = _Prompt(running)
    try:
        with _in_ipython(running):
            yield
    finally:
        if before is None:
            del sys.ps1
        else:
            sys.ps1 = before


def told(running: api.RunningSession) -> str:
    """Return what a prompt says: ``session 12, 14 min``, or what became of the session."""
    try:
        state, left = api.time_left(running)
    except Exception:  # noqa: BLE001 - a prompt must not end the shell
        return f"session {running.id}"
    if state is not SessionState.ACTIVE:
        return f"session {running.id} is {state}"
    return f"session {running.id}, {math.ceil(left.total_seconds() / 60)} min"


class _Prompt:
    """What ``sys.ps1`` may be as well as a text: Python makes one of it each time."""

    def __init__(self, running: api.RunningSession) -> None:
        self._running = running

    def __str__(self) -> str:
        return f"[{told(self._running)}] >>> "


@contextlib.contextmanager
def _in_ipython(running: api.RunningSession) -> Iterator[None]:
    if importlib.util.find_spec("IPython") is None:
        yield
        return
    prompts: Any = importlib.import_module("IPython.terminal.prompts")
    tokens: Any = importlib.import_module("pygments.token")

    original = prompts.Prompts.in_prompt_tokens

    def in_prompt_tokens(self: Any) -> Any:
        return [(tokens.Token.Prompt, f"[{told(running)}] "), *original(self)]

    prompts.Prompts.in_prompt_tokens = in_prompt_tokens
    try:
        yield
    finally:
        prompts.Prompts.in_prompt_tokens = original
