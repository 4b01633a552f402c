"""``pgtrigger session approve|deny``: a reviewer's yes or no, with that user's password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.management.reviewers import reviewer_of
from trigger_ops.management.subcommands.session_options import (
    add_id,
    alias_of,
    format_of,
    id_of,
    print_session,
)
from trigger_ops.rendering import sessions
from trigger_ops.states import ExitCode, SessionState


def add_approve_arguments(parser: CommandParser) -> None:
    """Add what ``session approve`` understands."""
    _add_arguments(parser)
    parser.add_argument("--remark", default="", help="What the record should say beside it")


def add_deny_arguments(parser: CommandParser) -> None:
    """Add what ``session deny`` understands."""
    _add_arguments(parser)
    parser.add_argument("--reason", help="Why it is denied")


def _add_arguments(parser: CommandParser) -> None:
    add_id(parser)
    parser.add_argument(
        "--user", metavar="NAME", help="The Django user who reviews; the password is asked for"
    )
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="Read that user's password from the first line of stdin, for scripts",
    )


def approve(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Say yes to a pending session."""
    _review(command, options, "approve", options.get("remark") or "")


def deny(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Say no to a pending session."""
    reason = (options.get("reason") or "").strip()
    if not reason:
        raise CommandError(
            "Say why the session is denied with --reason.", returncode=int(ExitCode.USAGE)
        )
    _review(command, options, "deny", reason)


def _review(command: BaseCommand, options: Mapping[str, Any], verdict: str, remark: str) -> None:
    format_of(options)
    number, alias = id_of(options), alias_of(options)
    found = api.find_session(number, using=alias)
    if found.state is not SessionState.PENDING:
        raise SessionRefused(f"Session {number} cannot be reviewed: it is {found.state}.")
    reviewer = reviewer_of(options.get("user"), from_stdin=bool(options.get("password_stdin")))
    reviewed = api.review_session(
        number, reviewer=reviewer, verdict=verdict, remark=remark, using=alias
    )
    is_pending = reviewed.state is SessionState.PENDING
    thanks = f"{reviewer.name} approved it. " if is_pending else ""
    print_session(command, options, number, f"{thanks}{sessions.status(reviewed)}")
