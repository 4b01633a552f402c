"""``pgtrigger notify``: tells people what they were not told yet, or tries whether they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from trigger_ops import api, conf
from trigger_ops.api.notifying import Delivery
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import write_data
from trigger_ops.management.subcommands.options import one_of
from trigger_ops.rendering import documents
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.states import ExitCode

SUMMARY = "Tell people what recorded checks have found; try whether they can be told."
FORMATS = ("text", "json")
SCHEMA = "trigger_ops.notify/1"


def add_arguments(parser: CommandParser) -> None:
    """Add what ``notify`` understands."""
    parser.add_argument(
        "--test", action="store_true", help="Send a test message to each destination"
    )
    parser.add_argument(
        "--to", metavar="NAME", action="append", help="Only to this destination; repeatable"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Deliver what is due, or a test, and print a line for each destination.

    Raises:
        Outcome: 2 where settings have to be mended, 3 where something did not arrive.
    """
    wanted = one_of(options["format"], FORMATS, option="--format")
    given = options.get("to")
    names = [given] if isinstance(given, str) else list(given or ())
    if not conf.destinations():
        raise CommandError(
            'There is nobody to tell: name somebody in TRIGGER_OPS["NOTIFY"].',
            returncode=int(ExitCode.USAGE),
        )
    test = bool(options.get("test"))
    if not test:
        _commit_each_step(command)
    results = api.send_test(names) if test else api.deliver(names)
    code = _exit_code(results)
    if wanted == "json":
        text = documents.as_json(_document(results, code, test=test))
    else:
        text = "\n".join(_line(one, test=test) for one in results)
    write_data(command.stdout, text)
    if code != ExitCode.CLEAN:
        undelivered = ", ".join(one.destination for one in results if one.error)
        raise Outcome(
            printable(f"Not everybody could be told: {undelivered}."), code, told=wanted == "text"
        )


def _commit_each_step(command: BaseCommand) -> None:
    """Switch autocommit on where the settings have it off: nobody would commit that it was sent.

    Under ``call_command`` the transaction is the caller's, and stays so.
    """
    connection = connections[conf.record_database()]
    called = getattr(command, "_called_from_command_line", False)
    if called and not connection.settings_dict["AUTOCOMMIT"]:
        connection.settings_dict["AUTOCOMMIT"] = True
        connection.close()


def _exit_code(results: Sequence[Delivery]) -> ExitCode:
    if any(one.bad_settings for one in results):
        return ExitCode.USAGE
    return ExitCode.INCOMPLETE if any(one.error for one in results) else ExitCode.CLEAN


def _line(one: Delivery, *, test: bool) -> str:
    """Return ``pager: 1 message, 3 changes``, or why not."""
    parts = []
    if test and not one.error:
        parts.append("the test message was sent")
    elif one.messages:
        parts.append(f"{counted(one.messages, 'message')}, {counted(one.changes, 'change')}")
    if one.error:
        parts.append(f"not delivered ({one.error}){_next(one)}")
    elif one.given_up:
        parts.append(f"{counted(one.given_up, 'change')} given up: there is no such destination")
    elif one.waiting:
        parts.append(f"{counted(one.waiting, 'change')} being sent by somebody else")
    return printable(f"{one.destination}: {'; '.join(parts) or 'nothing to tell'}")


def _next(one: Delivery) -> str:
    if one.next_try is not None:
        return f", next try after {one.next_try:%Y-%m-%d %H:%M:%SZ}"
    return f", {counted(one.given_up, 'change')} given up" if one.given_up else ""


def _document(results: Sequence[Delivery], code: ExitCode, *, test: bool) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "exit_code": int(code),
        "test": test,
        "destinations": [
            {
                "destination": one.destination,
                "messages": one.messages,
                "changes": one.changes,
                "waiting": one.waiting,
                "given_up": one.given_up,
                "error": one.error or None,
                "next_try": None if one.next_try is None else one.next_try.isoformat(),
            }
            for one in results
        ],
    }
