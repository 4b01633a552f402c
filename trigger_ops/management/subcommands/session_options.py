"""Arguments that the ``session`` verbs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from trigger_ops import api
from trigger_ops.management.streams import write_data
from trigger_ops.management.subcommands.options import one_of
from trigger_ops.rendering import session_documents, sessions
from trigger_ops.rendering.documents import as_json
from trigger_ops.states import ExitCode

FORMATS = ("text", "json")


def add_database(parser: CommandParser) -> None:
    """Add the one database that a session is of."""
    parser.add_argument(
        "-d", "--database", default=DEFAULT_DB_ALIAS, help="The database (default: default)"
    )


def add_format(parser: CommandParser) -> None:
    """Add the format of what is printed."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")


def add_id(parser: CommandParser) -> None:
    """Add the number of a session, its database and the format."""
    parser.add_argument("id", metavar="ID", help="The session's number, as session list shows it")
    add_database(parser)
    add_format(parser)


def add_request(parser: CommandParser) -> None:
    """Add what one asks for when one asks for a session."""
    parser.add_argument(
        "uris",
        nargs="*",
        metavar="SELECTOR",
        help='A trigger to stand aside: a URI (app.Model:name), or a glob such as "shop.*:protect_*"',
    )
    parser.add_argument("--reason", help="What is to be corrected, and why")
    parser.add_argument(
        "--for",
        dest="lasts",
        metavar="TIME",
        help='How long, such as 15m (TRIGGER_OPS["SESSION_DURATION"])',
    )
    parser.add_argument("--ticket", help="The ticket that asks for it")
    parser.add_argument(
        "--history",
        action="store_true",
        help="Let triggers that write history stand aside too, where a wide selector means them",
    )
    add_database(parser)


def id_of(options: Mapping[str, Any]) -> int:
    """Return the number of a session.

    Raises:
        CommandError: exit code 2, for what is no number.
    """
    return number_of(options["id"])


def number_of(given: object) -> int:
    """Return a session's number.

    Raises:
        CommandError: exit code 2, for what is no number.
    """
    text = str(given).strip()
    if not (text.isascii() and text.isdecimal()):
        raise CommandError(
            f'"{text}" is no number of a session: manage.py pgtrigger session list shows them.',
            returncode=int(ExitCode.USAGE),
        )
    return int(text)


def format_of(options: Mapping[str, Any]) -> str:
    """Return the format asked for; ``call_command`` does not ask argparse."""
    return one_of(options["format"], FORMATS, option="--format")


def alias_of(options: Mapping[str, Any]) -> str:
    """Return the one database asked for; ``call_command`` may give it in a list."""
    given = options.get("database") or DEFAULT_DB_ALIAS
    return str(given if isinstance(given, str) else given[0])


def print_session(
    command: BaseCommand, options: Mapping[str, Any], session: int, sentence: str
) -> None:
    """Print one session: a sentence, or the whole object as JSON."""
    if format_of(options) == "json":
        account = api.show_session(session, using=alias_of(options))
        write_data(command.stdout, as_json(session_documents.session_document(account)))
    else:
        write_data(command.stdout, sentence or sessions.status(_now(options, session)))


def _now(options: Mapping[str, Any], session: int) -> Any:
    return api.find_session(session, using=alias_of(options))
