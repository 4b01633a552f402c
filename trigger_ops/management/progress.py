"""A bar on the terminal while tables are changed; nothing where there is no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, OutputWrapper

from trigger_ops.applier import OnProgress
from trigger_ops.management.streams import say, wants_colour
from trigger_ops.rendering.wording import printable


class _Pieces:
    """A stream that a bar is drawn on: Django's own ends each piece with a line feed, in red."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        say(self._stream, text, ending="")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def progress_on(command: BaseCommand, options: Mapping[str, Any]) -> Iterator[OnProgress | None]:
    """Give a function that moves a bar on stderr, or None."""
    if options["verbosity"] < 1 or not command.stderr.isatty():
        yield None
        return
    # Imported late: where there is no terminal, a run that changes nothing would load it in vain.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(
        file=cast("TextIO", _Pieces(command.stderr)),
        no_color=not wants_colour(command.stderr, options),
    )
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def move(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=printable(name))

        yield move
