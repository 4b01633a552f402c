"""``pgtrigger diff``: what differs, registered against installed, facet by facet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trigger_ops import api
from trigger_ops.management.streams import wants_colour, write_data
from trigger_ops.management.subcommands.ls import finish
from trigger_ops.management.subcommands.options import (
    add_target_options,
    databases_of,
    one_of,
    scope_of,
)
from trigger_ops.rendering import differences, documents

SUMMARY = "Show how installed triggers differ from the code."
FORMATS = ("text", "json")


def add_arguments(parser: CommandParser) -> None:
    """Add what ``diff`` understands."""
    add_target_options(parser, default="default")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")
    parser.add_argument(
        "--check", action="store_true", help="Exit with 1 if a trigger differs from the code"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print the differences; nothing where there is none.

    Raises:
        Outcome: 1 under ``--check`` if something differs, 3 if something could not be read.
    """
    wanted = one_of(options["format"], FORMATS, option="--format")
    listing = api.survey(
        *options["uris"],
        databases=databases_of(options),
        all_databases=bool(options.get("all_databases")),
        scope=scope_of(options),
        asked=bool(options["check"]),
    )
    if wanted == "json":
        text = documents.as_json(documents.difference_document(listing))
    else:
        colour = wants_colour(command.stdout, options)
        text = differences.as_diff(listing.differing, colour=colour)
    write_data(command.stdout, text)
    finish(command, listing, options)
