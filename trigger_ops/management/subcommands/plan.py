"""``pgtrigger plan``: what ``install`` would do, statement by statement, with locks and hazards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trigger_ops import api
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.contradictions import refuse_empty
from trigger_ops.management.subcommands.options import (
    add_target_options,
    one_of,
    request_of,
    write_file,
)
from trigger_ops.planner import Plan
from trigger_ops.planner import files as plan_files
from trigger_ops.rendering import plans
from trigger_ops.states import ExitCode, Verb

SUMMARY = "Show what install would do: statements, locks, hazards."
FORMATS = ("text", "sql", "json")


def add_arguments(parser: CommandParser) -> None:
    """Add what ``plan`` understands."""
    add_target_options(parser, default="default", verb=Verb.INSTALL)
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")
    parser.add_argument(
        "--out", metavar="FILE", help="Write the plan to a file for install --plan"
    )
    parser.add_argument(
        "--check", action="store_true", help="Exit with 1 if there is anything to do"
    )
    parser.add_argument(
        "--lock-timeout", metavar="TIME", help="How long one attempt waits for a lock (250ms)"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print the plan.

    Raises:
        CommandError: exit code 2, for what cannot be asked for.
        Outcome: 1 under ``--check`` if there is anything to do, 4 if it could not be done.
    """
    refuse_empty(options)
    wanted = one_of(options["format"], FORMATS, option="--format")
    planned = api.plan(request_of(options, Verb.INSTALL), asked=bool(options["check"]))
    colour = wants_colour(command.stdout, options)
    write_data(command.stdout, _rendered(planned, wanted, colour=colour))
    if options.get("out") is not None:
        write_file(options["out"], plan_files.text(planned))
    if planned.exit_code == ExitCode.REFUSED:
        raise Outcome(" ".join(planned.obstacles), planned.exit_code, told=wanted == "text")
    if planned.exit_code != ExitCode.CLEAN:
        raise Outcome(plans.summary(planned), planned.exit_code, told=wanted == "text")


def _rendered(planned: Plan, wanted: str, *, colour: bool) -> str:
    match wanted:
        case "json":
            return plan_files.text(planned)
        case "sql":
            return plans.as_sql(planned)
    return plans.as_text(planned, colour=colour)
