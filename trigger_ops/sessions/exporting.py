"""Puts on record that all there is of a session was handed out."""

from __future__ import annotations

import logging

from django.db import DatabaseError, InterfaceError

from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionRefused
from trigger_ops.sessions.recording import told
from trigger_ops.sessions.reviewing import ask

LOGGER = logging.getLogger("trigger_ops")

EXPORTED = "exported"
"""The kind of event that tells of an export."""


def tell_export(alias: str, home: str, session: int, *, actor: str) -> bool:
    """Put an export on record; where nothing can be written, as on a standby, only the log has it.

    An auditor may be allowed to read and nothing else, so that this keeps nobody from reading.
    """
    try:
        ask(alias, lambda raw: told(session, home, EXPORTED, actor, {}, raw))
    except (DatabaseError, InterfaceError, SessionRefused) as error:
        LOGGER.warning(
            'The export of session %s on "%s" by %s is not on record: %s.',
            session,
            alias,
            actor,
            first_line(error),
        )
        return False
    return True
