"""``pgtrigger check``: the deep, read-only comparison that a schedule or a pipeline runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trigger_ops import api
from trigger_ops.drift import Report
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.options import (
    add_target_options,
    databases_of,
    one_of,
    scope_of,
)
from trigger_ops.rendering import documents, github, junit, prometheus, reports
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.states import ExitCode, Level

SUMMARY = "Compare everything that protects the data with the code; exit with 1 on findings."

#: Formats for machines: never coloured.
_MACHINES: Mapping[str, Callable[[Report], str]] = {
    "json": lambda report: documents.as_json(documents.report_document(report)),
    "junit": junit.as_junit,
    "github": github.as_github,
    "prometheus": prometheus.as_prometheus,
}


FORMATS = ("text", "table", *_MACHINES)
# Formats whose last line is the summary.
_SUMMED_UP = ("text", "table", "github")
LEVELS = tuple(level.name for level in sorted(Level, reverse=True))


def add_arguments(parser: CommandParser) -> None:
    """Add what ``check`` understands."""
    add_target_options(parser, default="every PostgreSQL database")
    parser.add_argument(
        "--fail-level",
        type=str.upper,
        choices=LEVELS,
        default=Level.WARNING.name,
        metavar="LEVEL",
        help="The least level that counts as a finding for the exit code: "
        "CRITICAL, ERROR, WARNING (default) or INFO",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")
    parser.add_argument(
        "--record", action="store_true", help="Remember what was learnt for the next check"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Check and print the report.

    Raises:
        Outcome: 1 for findings at the fail level or above, 3 if something could not be read.
    """
    wanted = one_of(options["format"], FORMATS, option="--format")
    level = Level[one_of(options["fail_level"].upper(), LEVELS, option="--fail-level")]
    report = api.check(
        *options["uris"],
        databases=databases_of(options),
        scope=scope_of(options),
        fail_level=level,
        record=bool(options["record"]),
    )
    colour = wants_colour(command.stdout, options)
    every = options["verbosity"] > 1
    write_data(command.stdout, _rendered(report, wanted, colour=colour, every=every))
    _name_on_stderr(command, report, verbosity=options["verbosity"])
    if report.exit_code != ExitCode.CLEAN:
        told = wanted in _SUMMED_UP
        raise Outcome(reports.summary_line(report), report.exit_code, told=told)


def _rendered(report: Report, wanted: str, *, colour: bool, every: bool) -> str:
    if wanted in _MACHINES:
        return _MACHINES[wanted](report)
    if wanted == "table":
        return reports.as_table(report, colour=colour)
    return reports.as_text(report, colour=colour, every=every)


def _name_on_stderr(command: BaseCommand, report: Report, *, verbosity: int) -> None:
    """Name the databases that could not be read; from verbosity 2 on, every one."""
    if verbosity > 0:
        for sentence in reports.unreachable(report.targets):
            command.stderr.write(sentence)
    if verbosity > 1:
        for target in report.targets:
            triggers, schemas = (
                counted(target.triggers, "trigger"),
                counted(target.schemas, "schema"),
            )
            line = f"{target.database}: {target.status}, {triggers} in {schemas}, {target.ms} ms"
            command.stderr.write(printable(line), lambda text: text)
