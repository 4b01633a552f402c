"""Arguments that our verbs share, and their reading into typed values."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from trigger_ops.inspection import Scope
from trigger_ops.states import ExitCode

_VERBOSITY_HELP = "0 data only, 1 (default) a sentence where something is amiss, 2 and 3 more."


def add_general_options(parser: CommandParser) -> None:
    """Let Django's general options stand after the verb too.

    Their defaults are suppressed: what was given before the verb is not overwritten.
    """
    general = parser.add_argument_group("options of every command")
    later: dict[str, Any] = {"default": argparse.SUPPRESS}
    general.add_argument(
        "-v", "--verbosity", type=int, choices=[0, 1, 2, 3], help=_VERBOSITY_HELP, **later
    )
    general.add_argument("--settings", help="The settings module", **later)
    general.add_argument("--pythonpath", help="A directory to add to the Python path", **later)
    for flag, text in (
        ("--traceback", "Print a traceback on errors"),
        ("--no-color", "Use no colours"),
        ("--force-color", "Use colours even where output is not a terminal"),
        ("--skip-checks", "Skip system checks"),
    ):
        general.add_argument(flag, action="store_true", help=text, **later)


def add_target_options(parser: CommandParser, *, default: str) -> None:
    """Add selectors, databases and schemas. ``default`` names the databases if none is given."""
    parser.add_argument(
        "uris",
        nargs="*",
        metavar="SELECTOR",
        help='A URI (app.Model:name), an app, app.Model, or a glob such as "shop.*:protect_*"',
    )
    databases = parser.add_mutually_exclusive_group()
    databases.add_argument(
        "-d", "--database", action="append", help=f"A database; repeatable (default: {default})"
    )
    databases.add_argument(
        "--all-databases", action="store_true", help="Every PostgreSQL database of the settings"
    )
    schemas = parser.add_mutually_exclusive_group()
    schemas.add_argument(
        "-s",
        "--schema",
        action="append",
        help="Set the search path to this schema; repeatable",
    )
    schemas.add_argument("--all-schemas", action="store_true", help="Look into every schema")
    schemas.add_argument(
        "--schema-glob", metavar="GLOB", help="Look into schemas such as tenant_*"
    )


def databases_of(options: Mapping[str, Any]) -> list[str] | None:
    """Return the databases asked for, or None. ``call_command`` may give one as a string."""
    return _as_list(options.get("database"))


def scope_of(options: Mapping[str, Any]) -> Scope:
    """Return which schemas to look at."""
    if options.get("all_schemas"):
        return Scope(glob="*")
    path = _as_list(options.get("schema"))
    return Scope(path=tuple(path) if path else None, glob=options.get("schema_glob"))


def one_of(given: str, allowed: Collection[str], *, option: str) -> str:
    """Return a value if it is allowed: ``call_command`` does not ask argparse.

    Raises:
        CommandError: exit code 2, naming what is allowed.
    """
    if given not in allowed:
        raise CommandError(
            f'"{given}" is not a value of {option}: choose from {", ".join(allowed)}.',
            returncode=int(ExitCode.USAGE),
        )
    return given


def _as_list(value: str | list[str] | tuple[str, ...] | None) -> list[str] | None:
    """Return each value once, in order; None for none."""
    if not value:
        return None
    return [value] if isinstance(value, str) else list(dict.fromkeys(value))
