"""``manage.py pgtrigger``: the library's command, with verbs that tell the truth.

``install``, ``uninstall``, ``enable``, ``disable`` and ``prune`` are the library's own. ``ls``,
``diff`` and ``check`` are ours, one module of ``trigger_ops.management.subcommands`` each.

A result that is not clean ends the process with its exit code (``states.ExitCode``). Under
``call_command`` it raises ``CommandError`` with that code in ``returncode``, after all output is
written. Data goes to stdout and sentences to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from django.core.management.base import CommandError, CommandParser, SystemCheckError
from django.db import DEFAULT_DB_ALIAS
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from trigger_ops import api
from trigger_ops.management.outcomes import Outcome, errors_as_sentences
from trigger_ops.management.streams import environment_colour
from trigger_ops.management.subcommands import check, diff, ls
from trigger_ops.management.subcommands.options import add_general_options
from trigger_ops.states import ExitCode

_OURS: dict[str, ModuleType] = {"ls": ls, "diff": diff, "check": check}
_STOCK = {
    "install": "Install triggers.",
    "uninstall": "Uninstall triggers.",
    "enable": "Enable triggers.",
    "disable": "Disable triggers.",
    "prune": "Prune installed triggers that are no longer in the codebase.",
}


class Command(StockCommand):
    """A superset of the library's command."""

    help = "See, check and change the triggers of django-pgtrigger."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a sub-parser for each verb."""
        subparsers = parser.add_subparsers(title="sub-commands", required=True, metavar="VERB")
        for verb, module in _OURS.items():
            ours = subparsers.add_parser(verb, help=module.SUMMARY, description=module.SUMMARY)
            module.add_arguments(ours)
            add_general_options(ours)
            ours.set_defaults(method=functools.partial(self._run, module))
        for verb, summary in _STOCK.items():
            stock = subparsers.add_parser(verb, help=summary, description=summary)
            if verb != "prune":
                stock.add_argument("uris", nargs="*", type=str)
            stock.add_argument("-d", "--database", help="The database")
            stock.add_argument(
                "-s", "--schema", action="append", help="Set the search path to this schema"
            )
            add_general_options(stock)
            stock.set_defaults(method=getattr(self, verb))

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
            if not self._called_from_command_line:  # type: ignore[attr-defined]
                raise
            if options["verbosity"] > 0 and not outcome.told:
                self.stderr.write(str(outcome), lambda text: text)
            sys.exit(outcome.returncode)

    def handle(self, *args: Any, method: Any, **options: Any) -> str | None:
        """Run one verb: ours, or the library's as the library runs it."""
        if isinstance(method, functools.partial):
            method(options)
            return None
        super().handle(*args, method=method, **options)  # type: ignore[no-untyped-call]
        if method == self.install:
            # What was just installed is spelled out now, so that later checks need not write.
            api.remember_database(options["database"] or DEFAULT_DB_ALIAS)
        return None

    def _run(self, module: ModuleType, options: dict[str, Any]) -> None:
        with errors_as_sentences():
            module.handle(self, options)
