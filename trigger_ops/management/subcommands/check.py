"""``pgtrigger check``: the deep, read-only comparison that a schedule or a pipeline runs."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.drift import Report
from trigger_ops.durations import duration
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import say, wants_colour, write_data
from trigger_ops.management.subcommands.options import (
    add_target_options,
    databases_of,
    one_of,
    scope_of,
)
from trigger_ops.metrics import as_text as as_metrics
from trigger_ops.rendering import documents, freshness, github, junit, reports
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.states import ExitCode, Level

SUMMARY = "Compare everything that protects the data with the code; exit with 1 on findings."

#: Formats for machines: never coloured.
_MACHINES: Mapping[str, Callable[[Report], str]] = {
    "json": lambda report: documents.as_json(documents.report_document(report)),
    "junit": junit.as_junit,
    "github": github.as_github,
    "prometheus": lambda report: as_metrics(api.measure(report)),
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
        "--record",
        action="store_true",
        help="Keep the run and its findings, so that they open, change and resolve",
    )
    parser.add_argument(
        "--notify",
        action="store_true",
        help="Record, then tell everybody in TRIGGER_OPS['NOTIFY'] of what has changed",
    )
    parser.add_argument(
        "--max-age",
        metavar="TIME",
        help="Look only at what was recorded; exit with 3 if some database was last read in full "
        "longer ago, such as 15m",
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Check and print the report.

    Raises:
        Outcome: 1 for findings at the fail level or above, 3 if something could not be read.
    """
    wanted = one_of(options["format"], FORMATS, option="--format")
    level = Level[one_of(options["fail_level"].upper(), LEVELS, option="--fail-level")]
    if options.get("max_age") is not None:
        _look_back(command, options, wanted, level)
        return
    report = api.check(
        *options["uris"],
        databases=databases_of(options),
        scope=scope_of(options),
        fail_level=level,
        record=bool(options.get("record") or options.get("notify")),
        source="command",
        holder=operating_system_actor(),
        asked=_asked(command),
    )
    colour = wants_colour(command.stdout, options)
    every = options["verbosity"] > 1
    write_data(command.stdout, _rendered(report, wanted, colour=colour, every=every))
    _name_on_stderr(command, report, verbosity=options["verbosity"])
    told = wanted in _SUMMED_UP
    undelivered = _notify(command, options, report)
    if _is_evidence(options, report):
        _say(command, options, api.beat())
    code = report.exit_code
    if code == ExitCode.CLEAN and undelivered:
        code, told = ExitCode.INCOMPLETE, False
    if code != ExitCode.CLEAN:
        raise Outcome(undelivered or reports.summary_line(report), code, told=told)


def _asked(command: BaseCommand) -> dt.datetime:
    """Return when the check was asked for: with the process, where there is one for it.

    Two that cron starts at the same second are asked for before either of them begins. What the
    process has computed so far is the least that it has lived.
    """
    now = dt.datetime.now(dt.UTC)
    if getattr(command, "_called_from_command_line", False):
        return now - dt.timedelta(seconds=time.process_time())
    return now


def _is_evidence(options: Mapping[str, Any], report: Report) -> bool:
    """Tell whether a complete run was recorded, of all triggers of the databases it looked at."""
    recorded = options.get("record") or options.get("notify")
    return bool(recorded) and report.whole and report.complete


def _say(command: BaseCommand, options: Mapping[str, Any], sentence: str) -> None:
    if sentence and options["verbosity"] > 0:
        say(command.stderr, printable(sentence))


def _notify(command: BaseCommand, options: Mapping[str, Any], report: Report) -> str:
    """Deliver what is due, if that was asked for; return a sentence for what did not arrive."""
    if not options.get("notify") or report.unrecorded:
        return ""
    try:
        results = [one for one in api.deliver() if one.error]
    except (BadSettings, NotRecorded) as error:
        # What was found has been printed, and counts for more.
        _say(command, options, f"Nobody was told: {error}")
        return f"Nobody was told: {printable(str(error))}"
    for one in results:
        _say(command, options, f"{one.destination} was not told: {one.error}")
    names = ", ".join(one.destination for one in results)
    return f"Not everybody could be told: {printable(names)}." if results else ""


def _look_back(
    command: BaseCommand, options: Mapping[str, Any], wanted: str, level: Level
) -> None:
    """Print what is open, if every database was read in full recently enough."""
    for name in ("record", "notify", "uris", "schema", "all_schemas", "schema_glob"):
        if options.get(name):
            option = "selector" if name == "uris" else f"--{name.replace('_', '-')}"
            raise CommandError(
                f"--max-age looks at a run that was recorded: give no {option} beside it.",
                returncode=int(ExitCode.USAGE),
            )
    one_of(wanted, freshness.FORMATS, option="--format with --max-age")
    last = api.last_run(
        duration(options["max_age"]), databases=databases_of(options), fail_level=level
    )
    colour = wants_colour(command.stdout, options)
    text = freshness.as_json(last) if wanted == "json" else freshness.as_text(last, colour=colour)
    write_data(command.stdout, text)
    if last.exit_code != ExitCode.CLEAN:
        raise Outcome(freshness.summary_line(last), last.exit_code, told=wanted == "text")


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
        if report.unrecorded:
            command.stderr.write(printable(f"Not recorded as asked: {report.unrecorded}"))
    if verbosity > 1:
        for target in report.targets:
            triggers, schemas = (
                counted(target.triggers, "trigger"),
                counted(target.schemas, "schema"),
            )
            line = f"{target.database}: {target.status}, {triggers} in {schemas}, {target.ms} ms"
            command.stderr.write(printable(line), lambda text: text)
