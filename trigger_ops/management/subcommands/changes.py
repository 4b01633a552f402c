"""``install``, ``uninstall``, ``enable``, ``disable`` and ``prune``: plan, ask, carry out, report."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from trigger_ops import api, conf
from trigger_ops.applier import RunReport
from trigger_ops.durations import duration
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.progress import progress_on
from trigger_ops.management.streams import say, wants_colour, write_data
from trigger_ops.management.subcommands.contradictions import (
    refuse_contradictions,
    refuse_without_reason,
)
from trigger_ops.management.subcommands.options import (
    add_target_options,
    allowed_hazards,
    read_file,
    request_of,
    write_file,
)
from trigger_ops.planner import Plan
from trigger_ops.planner import files as plan_files
from trigger_ops.planner.making import refuse_hazards
from trigger_ops.rendering import plans, runs
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode, Hazard, Verb

SUMMARIES = {
    Verb.INSTALL: "Install triggers: the least that makes them what the code says.",
    Verb.UNINSTALL: "Uninstall triggers, and the functions that nothing else executes.",
    Verb.ENABLE: "Enable triggers.",
    Verb.DISABLE: "Disable triggers, for a while or for good.",
    Verb.PRUNE: "Drop triggers of this project that the code no longer has.",
}


def add_arguments(parser: CommandParser, verb: Verb) -> None:
    """Add what a verb that changes triggers understands."""
    add_target_options(parser, default="default", verb=verb)
    if verb is Verb.ENABLE:
        modes = parser.add_mutually_exclusive_group()
        modes.add_argument(
            "--always", action="store_true", help="Let it fire while replicating too"
        )
        modes.add_argument("--replica", action="store_true", help="Only while replicating")
        modes.add_argument(
            "--expired", action="store_true", help="Only what a lease disabled that is over"
        )
    if verb is Verb.DISABLE:
        parser.add_argument(
            "--for", dest="lasts", metavar="TIME", help="For this long (30m, 2h); needs --reason"
        )
    if verb is Verb.PRUNE:
        parser.add_argument(
            "--functions", action="store_true", help="Functions that nothing executes as well"
        )
    add_run_options(parser)


def add_run_options(parser: CommandParser) -> None:
    """Add how a plan is made and carried out, whatever it does."""
    parser.add_argument("--plan", metavar="FILE", help="Carry out a plan that --out wrote")
    parser.add_argument(
        "--dry-run", action="store_true", help="Print the SQL that would run; change nothing"
    )
    parser.add_argument("--out", metavar="FILE", help="With --dry-run: write the plan to a file")
    parser.add_argument(
        "--no-input", "--noinput", action="store_true", help="Do not ask, even on a terminal"
    )
    parser.add_argument(
        "--lock-timeout", metavar="TIME", help="How long one attempt waits for a lock (250ms)"
    )
    parser.add_argument(
        "--lock-budget", metavar="TIME", help="How long all attempts wait together (60s)"
    )
    parser.add_argument(
        "--allow",
        metavar="HAZARD,…",
        action="append",
        help=f"Side effects that may happen: {', '.join(Hazard)}",
    )
    parser.add_argument("--reason", default="", help="Why, for the ledger")


def handle(
    command: BaseCommand,
    options: Mapping[str, Any],
    verb: Verb,
    *,
    first: Callable[[], None] | None = None,
) -> None:
    """Plan and carry out one verb; do ``first`` before, once nothing stands in the way.

    Raises:
        Outcome: 4 if it was refused or declined, 5 if it is busy, 6 if it was cut short.
    """
    refuse_contradictions(options, verb)
    _commit_each_table(command)
    allowed = allowed_hazards(options)
    if options.get("plan") is not None:
        _finish(command, options, _apply_file(command, options, verb, allowed))
        return
    planned = api.plan(request_of(options, verb))
    if options.get("dry_run"):
        _show(command, options, planned)
        return
    asked = _asks(options) and bool(planned.work)
    if asked:
        refuse_hazards(planned, allowed)  # before anybody thinks about an answer
        _ask(command, options, planned)
    if first is not None:
        refuse_hazards(planned, allowed)
        first()
    with _stoppable(), progress_on(command, options) as on_progress:
        report = api.apply(
            planned,
            actor=operating_system_actor(),
            reason=options.get("reason") or "",
            allowed=allowed,
            lock_budget=_budget(options),
            strict=asked,
            on_progress=on_progress,
        )
    _finish(command, options, report, planned)


def _commit_each_table(command: BaseCommand) -> None:
    """Switch autocommit on where the settings have it off: nobody would commit after us.

    Under ``call_command`` the transaction is the caller's, and stays so.
    """
    if not getattr(command, "_called_from_command_line", False):
        return
    for alias in api.postgres_aliases():
        if not connections[alias].settings_dict["AUTOCOMMIT"]:
            connections[alias].settings_dict["AUTOCOMMIT"] = True
            connections[alias].close()


def _asks(options: Mapping[str, Any]) -> bool:
    """Tell whether a person has to say yes: everything is meant, and a person is there."""
    everything = not options.get("uris") and not options.get("expired")
    return everything and not options.get("no_input") and somebody_is_there()


def somebody_is_there() -> bool:
    """Tell whether a person could answer."""
    # A process may be started without stdin (None), or have closed it.
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _ask(command: BaseCommand, options: Mapping[str, Any], planned: Plan) -> None:
    say(command.stderr, plans.as_text(planned, colour=wants_colour(command.stderr, options)))
    demand_yes(command, "Carry this out?")


def demand_yes(command: BaseCommand, question: str) -> None:
    """Ask whoever is there.

    Raises:
        Outcome: 4 for any answer but yes.
    """
    try:
        say(command.stderr, f'{question} Type "yes": ', ending="")
        command.stderr.flush()
        answer = input()
    except (EOFError, KeyboardInterrupt, UnicodeDecodeError):
        answer = ""
        say(command.stderr, "")
    if answer.strip().lower() != "yes":
        raise Outcome("Declined: nothing was changed.", ExitCode.REFUSED)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C end a run with a sentence: no table is ever left half-done."""
    try:
        yield
    except KeyboardInterrupt:
        raise Outcome(
            "Stopped by Ctrl-C: each table is as it was, or as it should be. Run the same "
            "command again for the rest.",
            ExitCode.PARTIAL,
        ) from None


def _budget(options: Mapping[str, Any]) -> dt.timedelta:
    given = options.get("lock_budget")
    return duration(given) if given is not None else conf.apply_lock_budget()


def _show(command: BaseCommand, options: Mapping[str, Any], planned: Plan) -> None:
    write_data(command.stdout, plans.as_sql(planned))
    if options.get("out") is not None:
        write_file(options["out"], plan_files.text(planned))
    if options["verbosity"] > 0:
        for sentence in (*planned.warnings, *planned.hazards.values()):
            say(command.stderr, printable(sentence))
        say(command.stderr, plans.summary(planned))
    if planned.exit_code != ExitCode.CLEAN:
        raise Outcome(" ".join(planned.obstacles), planned.exit_code)


def _apply_file(
    command: BaseCommand, options: Mapping[str, Any], verb: Verb, allowed: frozenset[Hazard]
) -> RunReport:
    file = plan_files.read(read_file(options["plan"], limit=plan_files.LARGEST))
    if file.request.lasts is not None:
        refuse_without_reason(options)
    with _stoppable(), progress_on(command, options) as on_progress:
        return api.apply_file(
            file,
            verb=verb,
            actor=operating_system_actor(),
            reason=options.get("reason") or "",
            allowed=allowed,
            lock_budget=_budget(options),
            on_progress=on_progress,
        )


def _finish(
    command: BaseCommand,
    options: Mapping[str, Any],
    report: RunReport,
    planned: Plan | None = None,
) -> None:
    """Say on stderr what was done, and raise the outcome unless all went well.

    What went wrong is said at every verbosity: a schedule that runs with ``-v 0`` has to tell.
    """
    verbosity = options["verbosity"]
    if options.get("expired") and not report.changed:
        verbosity = min(verbosity, 0)  # a schedule that had nothing to end says nothing
    for sentence in planned.warnings if planned and verbosity > 0 else ():
        say(command.stderr, f"Warning: {printable(sentence)}")
    colour = wants_colour(command.stderr, options)
    if text := runs.as_text(report, verbosity=verbosity, colour=colour):
        say(command.stderr, text)
    if report.exit_code != ExitCode.CLEAN:
        raise Outcome(report.stopped or runs.summary(report), report.exit_code, told=True)
