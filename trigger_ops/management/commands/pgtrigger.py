"""``manage.py pgtrigger``: the library's command, with verbs that tell the truth and take care.

Every verb is a module of ``trigger_ops.management.subcommands``; those that change triggers share
one, ``changes``.

A result that is not clean ends the process with its exit code (``states.ExitCode``). Under
``call_command`` it raises ``CommandError`` with that code in ``returncode``, after all output is
written. Data goes to stdout and sentences to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser, SystemCheckError
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from trigger_ops.management.outcomes import Outcome, errors_as_sentences
from trigger_ops.management.streams import environment_colour
from trigger_ops.management.subcommands import (
    allow,
    changes,
    check,
    diff,
    drift,
    guard,
    log,
    ls,
    notify,
    plan,
    session,
)
from trigger_ops.management.subcommands.contradictions import refuse_unspeakable
from trigger_ops.management.subcommands.options import add_general_options
from trigger_ops.states import ExitCode

_READING = {"ls": ls, "diff": diff, "check": check, "plan": plan}
_LAST = {"notify": notify, "log": log}
_GROUPS: dict[str, Any] = {"guard": guard, "session": session, "allow": allow, "drift": drift}


class Command(StockCommand):
    """A superset of the library's command."""

    help = "See, check and change the triggers of django-pgtrigger."

    # The COMMAND of `session run`, which call_command may give by name as well.
    stealth_options = ("command",)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make a parser that leaves alone what stands behind the first ``--`` of a session."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.parse_args = functools.partial(_parsed, parser.parse_args)  # type: ignore[method-assign]  # one parser, not its class
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a sub-parser for each verb."""
        subparsers = parser.add_subparsers(title="sub-commands", required=True, metavar="VERB")
        for name, module in _READING.items():
            one = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
            module.add_arguments(one)
            self._finish_parser(one, module.handle)
        for verb, summary in changes.SUMMARIES.items():
            one = subparsers.add_parser(verb.value, help=summary, description=summary)
            changes.add_arguments(one, verb)
            self._finish_parser(one, functools.partial(changes.handle, verb=verb))
        for group, module in _GROUPS.items():
            one = subparsers.add_parser(group, help=module.SUMMARY, description=module.SUMMARY)
            inner = one.add_subparsers(title="what to do", required=True, metavar="WHAT")
            for name, (summary, add_arguments, handle) in module.VERBS.items():
                two = inner.add_parser(name, help=summary, description=summary)
                add_arguments(two)
                self._finish_parser(two, handle)
        for name, module in _LAST.items():
            one = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
            module.add_arguments(one)
            self._finish_parser(one, module.handle)

    def _finish_parser(self, parser: CommandParser, handle: Callable[..., None]) -> None:
        add_general_options(parser)
        parser.set_defaults(method=functools.partial(self._run, handle))

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line. ``--traceback`` keeps the exit code."""
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            traceback.print_exception(error)
            sys.exit(error.returncode)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run with the colour options of the environment; leave with the outcome's code."""
        options.update(environment_colour(options, os.environ))
        options["verbosity"] = int(options["verbosity"])  # call_command takes it as it comes
        if options.get("no_color") and options.get("force_color"):
            raise CommandError(
                "--no-color and --force-color exclude each other: choose one.",
                returncode=int(ExitCode.USAGE),
            )
        try:
            return super().execute(*args, **options)
        except SystemCheckError as error:
            # Django's code for it is 1, which would say that triggers have drifted.
            error.returncode = int(ExitCode.USAGE)
            raise
        except Outcome as outcome:
            if not self._called_from_command_line:  # type: ignore[attr-defined]  # Django sets it, without a hint
                raise
            if options["verbosity"] > 0 and not outcome.told:
                self.stderr.write(str(outcome), lambda text: text)
            sys.exit(outcome.returncode)

    def handle(
        self, *args: Any, method: Callable[[Mapping[str, Any]], None], **options: Any
    ) -> None:
        """Run one verb."""
        method(options)

    def _run(self, handle: Callable[..., None], options: Mapping[str, Any]) -> None:
        with errors_as_sentences():
            refuse_unspeakable(options)
            handle(self, options)


def _parsed(parse: Callable[..., Any], args: Any = None, namespace: Any = None) -> Any:
    """Parse what stands before the first ``--`` of ``session run`` and ``session shell``."""
    words = list(sys.argv[1:] if args is None else args)
    before = words[: words.index("--")] if "--" in words else words
    if "session" not in before or len(before) == len(words):
        return parse(args, namespace)
    verbs = [word for word in before[before.index("session") + 1 :] if not word.startswith("-")]
    if verbs[:1] not in (["run"], ["shell"]):
        return parse(args, namespace)
    parsed = parse(before, namespace)
    parsed.command = words[len(before) + 1 :]
    return parsed
