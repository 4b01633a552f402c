"""A bar on the terminal while tables are changed; nothing where there is no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trigger_ops.applier import OnProgress
from trigger_ops.management.streams import wants_colour
from trigger_ops.rendering.wording import printable


@contextlib.contextmanager
def progress_on(command: BaseCommand, options: Mapping[str, Any]) -> Iterator[OnProgress | None]:
    """Give a function that moves a bar on stderr, or None."""
    if options["verbosity"] < 1 or not command.stderr.isatty():
        yield None
        return
    console = Console(
        file=command.stderr,  # type: ignore[arg-type]
        no_color=not wants_colour(command.stderr, options),
    )
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def move(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=printable(name))

        yield move
