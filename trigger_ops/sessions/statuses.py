"""What the driver knows of a connection's transaction, without asking the server."""

from __future__ import annotations

import enum

from django.db.backends.base.base import BaseDatabaseWrapper


class Status(enum.IntEnum):
    """libpq's transaction status; psycopg 2 and 3 use its numbers."""

    IDLE = 0
    ACTIVE = 1
    IN_TRANSACTION = 2
    FAILED = 3
    UNKNOWN = 4


def status_of(connection: BaseDatabaseWrapper) -> Status:
    """Return the status of a connection; UNKNOWN for one that is closed or was lost."""
    raw = connection.connection
    if raw is None or raw.closed:
        return Status.UNKNOWN
    return Status(int(raw.info.transaction_status))
