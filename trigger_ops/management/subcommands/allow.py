"""``pgtrigger allow``: who answers for which finding, exactly as it is, and until when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.drift.answering import Answers
from trigger_ops.durations import duration
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.options import one_of
from trigger_ops.rendering import allowances
from trigger_ops.states import ExitCode

SUMMARY = "Answer for a finding, as it is, until a date: it comes back by itself."
FORMATS = ("text", "json")


def _add_add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "finding", metavar="FINDING", help="Its ID, such as C001, or its number as `list` shows it"
    )
    parser.add_argument("uri", nargs="?", metavar="URI", help="Whose, where several have that ID")
    parser.add_argument("-d", "--database", help="On which database, where there are several")
    parser.add_argument("--for", dest="lasts", metavar="TIME", help="How long, such as 7d")
    parser.add_argument("--reason", help="Why it is all right")
    parser.add_argument("--owner", help="Who answers for it (default: who runs this)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")


def _add(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Write an allowance."""
    wanted = one_of(options["format"], FORMATS, option="--format")
    for name, option in (("lasts", "--for"), ("reason", "--reason")):
        if not (options.get(name) or "").strip():
            _refuse(f"An allowance needs {option}: say {_WHAT[name]}.")
    if options.get("owner") is not None and not options["owner"].strip():
        _refuse("--owner is empty: say who answers for it.")
    made = api.allow(
        str(options["finding"]),
        options.get("uri"),
        database=options.get("database"),
        owner=(options.get("owner") or operating_system_actor()).strip(),
        reason=options["reason"],
        lasts=duration(options["lasts"]),
    )
    text = allowances.as_json([made]) if wanted == "json" else allowances.made(made)
    write_data(command.stdout, text)


_WHAT = {"lasts": "how long, such as 7d", "reason": "why it is all right"}


def _add_list_arguments(parser: CommandParser) -> None:
    parser.add_argument("-d", "--database", action="append", help="Only of this; repeatable")
    parser.add_argument("--all", action="store_true", help="Those that are over as well")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")


def _list(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print allowances, and the open findings that nobody answers for."""
    wanted = one_of(options["format"], FORMATS, option="--format")
    given = options.get("database")
    databases = [given] if isinstance(given, str) else given or None
    found, now = api.allowances(databases=databases, every=bool(options.get("all")))
    # Not by what the last check made of them: an allowance counts from now on, and until it ends.
    answers = Answers(found, now)
    unanswered = [one for one in api.open_findings(databases) if not answers.of(one)]
    if wanted == "json":
        write_data(command.stdout, allowances.as_json(found))
        return
    colour = wants_colour(command.stdout, options)
    write_data(command.stdout, allowances.as_text(found, unanswered, now, colour=colour))


def _add_expire_arguments(parser: CommandParser) -> None:
    parser.add_argument("id", metavar="ID", help="The number of the allowance")


def _expire(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """End an allowance before its time."""
    given = str(options["id"])
    if not given.isdecimal() or len(given) > _DIGITS:
        _refuse(f'"{given}" is no number: manage.py pgtrigger allow list shows those there are.')
    ended = api.expire_allowance(int(given), by=operating_system_actor())
    write_data(command.stdout, allowances.ended(ended))


_DIGITS = 18


def _refuse(sentence: str) -> None:
    raise CommandError(sentence, returncode=int(ExitCode.USAGE))


VERBS: Mapping[str, tuple[str, Callable[..., None], Callable[..., None]]] = {
    "add": ("Answer for one open finding", _add_add_arguments, _add),
    "list": ("Show who answers for what", _add_list_arguments, _list),
    "expire": ("End an allowance now", _add_expire_arguments, _expire),
}
