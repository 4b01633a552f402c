"""``pgtrigger session open|extend|end|revoke``: sessions for others to use, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import write_data
from trigger_ops.management.subcommands.session_options import (
    add_format,
    add_id,
    add_request,
    alias_of,
    format_of,
    id_of,
    print_session,
)
from trigger_ops.rendering import session_documents, sessions
from trigger_ops.rendering.documents import as_json
from trigger_ops.states import ExitCode, SessionState


def add_open_arguments(parser: CommandParser) -> None:
    """Add what ``session open`` understands."""
    add_request(parser)
    add_format(parser)


def open_one(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Open a session, or ask for one that somebody else has to approve."""
    format_of(options)
    opened = api.open_session(
        *options["uris"],
        reason=options.get("reason") or "",
        actor=operating_system_actor(),
        ticket=options.get("ticket"),
        duration=options.get("lasts"),
        using=alias_of(options),
        history=bool(options.get("history")),
    )
    print_session(command, options, opened.id, sessions.status(opened))


def add_extend_arguments(parser: CommandParser) -> None:
    """Add what ``session extend`` understands."""
    add_id(parser)
    parser.add_argument("--for", dest="lasts", metavar="TIME", help="How much longer, such as 15m")


def extend(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Let a session last longer."""
    format_of(options)
    if not options.get("lasts"):
        raise CommandError(
            "Say how much longer with --for, such as --for 15m.", returncode=int(ExitCode.USAGE)
        )
    extended = api.extend_session(
        id_of(options),
        longer=options["lasts"],
        actor=operating_system_actor(),
        using=alias_of(options),
    )
    print_session(command, options, extended.id, sessions.status(extended))


def end(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """End a session; it is no error if it is over."""
    format_of(options)
    before = api.find_session(id_of(options), using=alias_of(options))
    ended = api.end_session(before.id, actor=operating_system_actor(), using=alias_of(options))
    was_over = before.state not in (SessionState.PENDING, SessionState.ACTIVE)
    sentence = sessions.already(ended) if was_over else sessions.status(ended)
    print_session(command, options, ended.id, sentence)


def add_revoke_arguments(parser: CommandParser) -> None:
    """Add what ``session revoke`` understands."""
    add_id(parser)
    parser.add_argument("--reason", help="Why it is stopped")


def revoke(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Stop a session and whoever is in it; it is no error if it is over.

    Raises:
        Outcome: 6 where the role may not end a connection that is in the session still.
    """
    wanted, number, alias = format_of(options), id_of(options), alias_of(options)
    if not (options.get("reason") or "").strip():
        raise CommandError(
            "Say why the session is revoked with --reason.", returncode=int(ExitCode.USAGE)
        )
    done = api.revoke_session(
        number, reason=options["reason"], actor=operating_system_actor(), using=alias
    )
    code = ExitCode.PARTIAL if done.remaining else ExitCode.CLEAN
    account = api.show_session(number, using=alias)
    if wanted == "json":
        document = session_documents.session_document(account, revocation=done, exit_code=code)
        write_data(command.stdout, as_json(document))
    else:
        write_data(command.stdout, sessions.revocation_text(done, account.session))
    if done.remaining:
        raise Outcome(sessions.remaining_text(done), code)
