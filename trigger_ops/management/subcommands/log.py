"""``pgtrigger log``: who changed which trigger, when, why, and how it ended."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from trigger_ops import api
from trigger_ops.durations import duration
from trigger_ops.ledger.entries import Entry
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.options import add_databases, databases_of, one_of
from trigger_ops.rendering import documents, log
from trigger_ops.states import ExitCode, Verb

SUMMARY = "Read the ledger: every run and every statement it executed, newest first."
FORMATS = ("text", "table", "json", "csv")
LARGEST = 2**31 - 1


def add_arguments(parser: CommandParser) -> None:
    """Add what ``log`` understands."""
    parser.add_argument(
        "uris", nargs="*", metavar="SELECTOR", help="Only these triggers, known to the code or not"
    )
    add_databases(parser, default="default")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")
    parser.add_argument("--run", metavar="ID", help="Only this run")
    parser.add_argument("--verb", choices=[verb.value for verb in Verb], help="Only this verb")
    parser.add_argument("--actor", help="Only what this one did, such as os:ann@web1")
    parser.add_argument("--since", metavar="TIME", help="Only the last while, such as 7d")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="At most so many entries (100)"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print the ledger's entries that were asked for."""
    wanted = one_of(options["format"], FORMATS, option="--format")
    _refuse_empty(options)
    since = options.get("since")
    verb = options.get("verb")
    every = bool(options.get("all_databases"))
    aliases = api.postgres_aliases() if every else databases_of(options) or [DEFAULT_DB_ALIAS]
    entries = api.read_log(
        aliases,
        selectors=options["uris"],
        run=_run_of(options),
        verb=Verb(one_of(verb, tuple(Verb), option="--verb")) if verb else None,
        actor=options.get("actor"),
        since=dt.datetime.now(dt.UTC) - duration(since) if since else None,
        limit=_limit_of(options),
    )
    colour = wants_colour(command.stdout, options)
    filtered = any(options.get(name) for name in ("uris", "run", "verb", "actor", "since"))
    write_data(command.stdout, _rendered(entries, wanted, colour=colour, filtered=filtered))


def _refuse_empty(options: Mapping[str, Any]) -> None:
    """Refuse what a script gives for a variable that is not set: it would filter nothing."""
    for name in ("run", "verb", "actor", "since"):
        if options.get(name) == "":
            raise CommandError(f"--{name} is empty: say which.", returncode=int(ExitCode.USAGE))


def _run_of(options: Mapping[str, Any]) -> uuid.UUID | None:
    given = options.get("run")
    try:
        return uuid.UUID(str(given)) if given else None
    except ValueError as error:
        raise CommandError(
            f'"{given}" is no run: take its ID from pgtrigger log.', returncode=int(ExitCode.USAGE)
        ) from error


def _limit_of(options: Mapping[str, Any]) -> int:
    limit = options["limit"]
    if not isinstance(limit, int) or limit < 1:
        raise CommandError(
            "--limit must be a number, and at least 1.", returncode=int(ExitCode.USAGE)
        )
    return min(limit, LARGEST)


def _rendered(entries: list[Entry], wanted: str, *, colour: bool, filtered: bool) -> str:
    match wanted:
        case "json":
            return documents.as_json(log.document(entries))
        case "csv":
            return log.as_csv(entries)
        case "table":
            return log.as_table(entries, colour=colour)
    return log.as_text(entries, colour=colour, filtered=filtered)
