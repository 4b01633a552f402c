"""``pgtrigger session list|show|report|export``: what became of sessions, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import write_data
from trigger_ops.management.subcommands.options import one_of
from trigger_ops.management.subcommands.session_options import (
    add_database,
    add_format,
    add_id,
    alias_of,
    format_of,
    id_of,
)
from trigger_ops.rendering import session_documents, sessions
from trigger_ops.rendering.documents import as_json
from trigger_ops.states import ExitCode, SessionState

LARGEST = 2**31 - 1


def add_list_arguments(parser: CommandParser) -> None:
    """Add what ``session list`` understands."""
    parser.add_argument(
        "--state",
        action="append",
        type=str.lower,
        choices=[state.value for state in SessionState],
        metavar="STATE",
        help=f"Only sessions in this state; repeatable: {', '.join(SessionState)}",
    )
    parser.add_argument("--opener", help="Only what this one opened, such as os:ann@web1")
    parser.add_argument(
        "--denied",
        action="store_true",
        help="Not sessions, but statements and requests that were refused, in one or without one",
    )
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="At most so many of them (100)"
    )
    add_database(parser)
    add_format(parser)


def list_them(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print sessions, newest first; or what was denied to whom."""
    if options.get("denied"):
        _list_denials(command, options)
        return
    wanted, alias = format_of(options), alias_of(options)
    found = api.list_sessions(
        using=alias,
        states=_states(options),
        opener=options.get("opener"),
        limit=_limit(options),
    )
    if wanted == "json":
        reports = api.session_reports(found, using=alias)
        write_data(command.stdout, as_json(session_documents.sessions_document(reports)))
    else:
        write_data(command.stdout, sessions.sessions_text(found))


def _list_denials(command: BaseCommand, options: Mapping[str, Any]) -> None:
    for name in ("state", "opener"):
        if options.get(name):
            raise CommandError(
                f"--{name} is about sessions: give it without --denied.",
                returncode=int(ExitCode.USAGE),
            )
    wanted = format_of(options)
    found = api.list_denials(using=alias_of(options), limit=_limit(options))
    if wanted == "json":
        write_data(command.stdout, as_json(session_documents.denials_document(found)))
    else:
        write_data(command.stdout, sessions.denials_text(found))


def show(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print one session with all that was done in it."""
    wanted, number = format_of(options), id_of(options)
    account = api.show_session(number, using=alias_of(options))
    if wanted == "json":
        write_data(command.stdout, as_json(session_documents.session_document(account)))
    else:
        write_data(command.stdout, sessions.session_text(account))


def add_report_arguments(parser: CommandParser) -> None:
    """Add what ``session report`` understands."""
    add_id(parser)
    parser.add_argument("--check", action="store_true", help="Exit with 1 unless it is clean")


def report(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print whether statements, decisions and rows of a session agree.

    Raises:
        Outcome: 1 under ``--check`` if the session is not clean.
    """
    wanted = format_of(options)
    found = api.session_report(id_of(options), using=alias_of(options))
    failed = bool(options.get("check")) and not found.clean
    code = ExitCode.FINDINGS if failed else ExitCode.CLEAN
    if wanted == "json":
        document = session_documents.report_document(found, exit_code=code)
        write_data(command.stdout, as_json(document))
    else:
        write_data(command.stdout, sessions.report_text(found))
    if failed:
        raise Outcome(sessions.summary(found), code, told=wanted == "text")


def export(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print one session as JSON lines; that it was exported is among its events."""
    account = api.export_session(
        id_of(options), actor=operating_system_actor(), using=alias_of(options)
    )
    for line in session_documents.lines(account):
        write_data(command.stdout, line)


def _states(options: Mapping[str, Any]) -> tuple[SessionState, ...]:
    given = options.get("state") or ()
    words = [given] if isinstance(given, str) else given
    return tuple(
        SessionState(one_of(word.lower(), tuple(SessionState), option="--state")) for word in words
    )


def _limit(options: Mapping[str, Any]) -> int:
    limit = options["limit"]
    if not isinstance(limit, int) or limit < 1:
        raise CommandError(
            "--limit must be a number, and at least 1.", returncode=int(ExitCode.USAGE)
        )
    return min(limit, LARGEST)
