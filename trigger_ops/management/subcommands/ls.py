"""``pgtrigger ls``: every trigger, its status and when it fires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trigger_ops import api
from trigger_ops.drift import Listing, targets_of
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.options import (
    add_target_options,
    databases_of,
    one_of,
    scope_of,
)
from trigger_ops.rendering import documents, listings
from trigger_ops.rendering.reports import unreachable
from trigger_ops.rendering.wording import counted
from trigger_ops.states import ExitCode, Facet, Status

SUMMARY = "List triggers and their installation state."
FORMATS = ("text", "table", "json", "csv")


def add_arguments(parser: CommandParser) -> None:
    """Add what ``ls`` understands."""
    add_target_options(parser, default="default")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")
    parser.add_argument(
        "--status",
        action="append",
        type=str.upper,
        choices=[status.value for status in Status],
        metavar="STATUS",
        help=f"Only triggers of this status; repeatable: {', '.join(Status)}",
    )
    parser.add_argument(
        "--long", action="store_true", help="Add database, schema, table, facets and reason"
    )
    parser.add_argument(
        "--check", action="store_true", help="Exit with 1 if a trigger differs from the code"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print the triggers asked for.

    Raises:
        Outcome: 1 under ``--check`` if something differs, 3 if something could not be read.
    """
    statuses = statuses_of(options)
    wanted = one_of(options["format"], FORMATS, option="--format")
    listing = api.survey(
        *options["uris"],
        databases=databases_of(options),
        all_databases=bool(options.get("all_databases")),
        scope=scope_of(options),
        asked=bool(options["check"]),
        statuses=statuses,
        ignoring=(Facet.COMMENT,),  # not shown in any column: INSTALLED ENABLED must exit with 0
    )
    colour = wants_colour(command.stdout, options)
    write_data(command.stdout, _rendered(listing, wanted, options, colour=colour))
    finish(command, listing, options)


def statuses_of(options: Mapping[str, Any]) -> tuple[Status, ...]:
    """Return the statuses asked for, in any case; ``call_command`` may give one as a string."""
    given = options.get("status") or ()
    words = [given] if isinstance(given, str) else given
    return tuple(Status(one_of(word.upper(), tuple(Status), option="--status")) for word in words)


def finish(command: BaseCommand, listing: Listing, options: Mapping[str, Any]) -> None:
    """Name on stderr what could not be read, and raise the outcome unless all is well."""
    down = unreachable(targets_of(listing.databases))
    if options["verbosity"] > 0:
        for sentence in down:
            command.stderr.write(sentence)
    if listing.exit_code == ExitCode.FINDINGS:
        total = counted(len(listing.triggers), "trigger")
        differing = len(listing.differing)
        verb = "differs" if differing == 1 else "differ"
        raise Outcome(f"{differing} of {total} {verb} from the code.", listing.exit_code)
    if listing.exit_code != ExitCode.CLEAN:
        raise Outcome("Incomplete: not every trigger could be read.", listing.exit_code)


def _rendered(listing: Listing, wanted: str, options: Mapping[str, Any], *, colour: bool) -> str:
    match wanted:
        case "json":
            return documents.as_json(documents.listing_document(listing))
        case "csv":
            return listings.as_csv(listing.triggers)
        case "table":
            return listings.as_table(listing, colour=colour)
    shown = listings.shown_in_text(listing.triggers, statuses_of(options))
    return listings.as_text(shown, extra=_extra_columns(listing, options), colour=colour)


def _extra_columns(listing: Listing, options: Mapping[str, Any]) -> tuple[str, ...]:
    if options["long"]:
        return listings.EXTRA_COLUMNS
    several_schemas = bool(scope_of(options).glob)
    return (
        *(("database",) if len(listing.databases) > 1 else ()),
        *(("schema",) if several_schemas else ()),
    )
