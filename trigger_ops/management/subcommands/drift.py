"""``pgtrigger drift prune``: lets old runs and resolved findings go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.durations import duration
from trigger_ops.management.streams import write_data
from trigger_ops.management.subcommands.options import scope_of
from trigger_ops.rendering.wording import counted
from trigger_ops.states import ExitCode

SUMMARY = "Keep the record of checks small."


def _add_prune_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--older-than", metavar="TIME", help="What is over for longer than that goes, such as 90d"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--all-schemas",
        action="store_true",
        help="Only runs that looked into every schema: no check is then expected to do so",
    )
    only.add_argument(
        "--schema-glob", metavar="GLOB", help="The same of runs with this --schema-glob"
    )
    only.add_argument(
        "--search-path",
        action="store_true",
        help="The same of runs that were told no schemas",
    )


def _prune(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Delete runs and resolved findings that are over for longer than asked for."""
    given = options.get("older_than")
    if not given:
        raise CommandError("Say --older-than, such as 90d.", returncode=int(ExitCode.USAGE))
    scope = scope_of(options)
    if scope.glob is not None or options.get("search_path"):
        number = api.prune_drift_in(scope, duration(given))
        write_data(command.stdout, f"Deleted {counted(number, 'run')} of these schemas.")
        return
    gone = api.prune_drift(duration(given))
    write_data(
        command.stdout,
        f"Deleted {counted(gone['runs'], 'run')} and "
        f"{counted(gone['findings'], 'resolved finding')} older than {given}.",
    )


VERBS: Mapping[str, tuple[str, Callable[..., None], Callable[..., None]]] = {
    "prune": ("Delete old runs and resolved findings", _add_prune_arguments, _prune),
}
