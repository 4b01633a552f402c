"""Arguments that our verbs share, and their reading into typed values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from trigger_ops import api, conf
from trigger_ops.durations import duration
from trigger_ops.inspection import Scope
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.planner import Request
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Enabled, ExitCode, Hazard, Verb

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


def add_target_options(parser: CommandParser, *, default: str, verb: Verb | None = None) -> None:
    """Add selectors, databases and schemas. ``default`` names the databases if none is given."""
    if verb is Verb.PRUNE:
        parser.add_argument(
            "uris",
            nargs="*",
            metavar="TABLE:TRIGGER",
            help="Only these, as ls prints them; one that is not this project's own needs --allow",
        )
    else:
        parser.add_argument(
            "uris",
            nargs="*",
            metavar="SELECTOR",
            help='A URI (app.Model:name), an app, app.Model, or a glob such as "shop.*:protect_*"',
        )
    add_databases(parser, default=default)
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


def add_databases(parser: CommandParser, *, default: str) -> None:
    """Add the databases. ``default`` names those if none is given."""
    databases = parser.add_mutually_exclusive_group()
    databases.add_argument(
        "-d", "--database", action="append", help=f"A database; repeatable (default: {default})"
    )
    databases.add_argument(
        "--all-databases", action="store_true", help="Every PostgreSQL database of the settings"
    )


def request_of(options: Mapping[str, Any], verb: Verb) -> Request:
    """Return what the command line asks for."""
    given = tuple(_as_list(options.get("uris")) or ())
    databases = databases_of(options) or [DEFAULT_DB_ALIAS]
    if options.get("all_databases"):
        databases = api.postgres_aliases()
    lock_timeout = options.get("lock_timeout")
    lasts = options.get("lasts")
    mode = next((mode for flag, mode in _MODES.items() if options.get(flag)), None)
    return Request(
        verb=verb,
        databases=tuple(databases),
        selectors=() if verb is Verb.PRUNE else given,
        named=given if verb is Verb.PRUNE else (),
        scope=scope_of(options),
        mode=mode,
        lasts=duration(lasts) if lasts is not None else None,
        expired=bool(options.get("expired")),
        functions=bool(options.get("functions")),
        actor=operating_system_actor(),
        lock_timeout=(
            duration(lock_timeout) if lock_timeout is not None else conf.apply_lock_timeout()
        ),
    )


_MODES = {"always": Enabled.ALWAYS, "replica": Enabled.REPLICA}


def allowed_hazards(options: Mapping[str, Any]) -> frozenset[Hazard]:
    """Return the hazards that ``--allow`` names, separated by commas or in several options.

    Raises:
        CommandError: exit code 2, naming those there are.
    """
    given = ",".join(_as_list(options.get("allow")) or ())
    words = [word.strip().upper() for word in given.split(",") if word.strip()]
    return frozenset(Hazard(one_of(word, tuple(Hazard), option="--allow")) for word in words)


def read_file(path: str, *, limit: int) -> str:
    """Read a file of no more characters than ``limit``; of a larger one, one character more.

    Raises:
        CommandError: exit code 2, saying why it cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise CommandError(
            f"The plan file cannot be read: {printable(str(error))}.",
            returncode=int(ExitCode.USAGE),
        ) from error


def write_file(path: str, text: str) -> None:
    """Write a file as a whole, or not at all; what is no file, such as a pipe, is written to.

    Raises:
        CommandError: exit code 2, saying why it cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target.resolve(), text)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        # By the name that was given: the file that is written first has another.
        said = f"{error.strerror}: {path!r}" if isinstance(error, OSError) else str(error)
        raise CommandError(
            f"The plan cannot be written: {printable(said)}.",
            returncode=int(ExitCode.USAGE),
        ) from error


def _replace(target: Path, text: str) -> None:
    partial = target.with_name(f".{target.name[:200]}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


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
