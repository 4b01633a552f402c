"""``pgtrigger session``: audited sessions in which named triggers stand aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trigger_ops.management.subcommands import (
    session_changing,
    session_reading,
    session_reviewing,
    session_running,
)
from trigger_ops.management.subcommands.session_options import add_id

SUMMARY = "Have named triggers stand aside for a while, on record."

Add = Callable[[CommandParser], None]
Handle = Callable[[BaseCommand, Mapping[str, Any]], None]

VERBS: dict[str, tuple[str, Add, Handle]] = {
    "run": (
        "Run a management command inside a session.",
        session_running.add_run_arguments,
        session_running.run,
    ),
    "shell": (
        "Start the project's shell inside a session.",
        session_running.add_shell_arguments,
        session_running.shell,
    ),
    "open": (
        "Open a session for later, or ask for one that has to be approved.",
        session_changing.add_open_arguments,
        session_changing.open_one,
    ),
    "list": (
        "List sessions, newest first.",
        session_reading.add_list_arguments,
        session_reading.list_them,
    ),
    "show": ("Show one session, and all that was done in it.", add_id, session_reading.show),
    "report": (
        "Tell whether statements, decisions and rows of a session agree.",
        session_reading.add_report_arguments,
        session_reading.report,
    ),
    "export": ("Print one session as JSON lines.", add_id, session_reading.export),
    "approve": (
        "Approve a pending session of somebody else's.",
        session_reviewing.add_approve_arguments,
        session_reviewing.approve,
    ),
    "deny": (
        "Deny a pending session.",
        session_reviewing.add_deny_arguments,
        session_reviewing.deny,
    ),
    "extend": (
        "Let a session last longer.",
        session_changing.add_extend_arguments,
        session_changing.extend,
    ),
    "end": ("End a session.", add_id, session_changing.end),
    "revoke": (
        "Stop a session, and whoever is in it.",
        session_changing.add_revoke_arguments,
        session_changing.revoke,
    ),
}
