"""Where a run works: one database, on one connection."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from trigger_ops import conf
from trigger_ops.applier import Planning, Terms
from trigger_ops.catalog.transactions import in_transaction
from trigger_ops.ledger.entries import Run
from trigger_ops.sql import Composable

KEY = 0x7472_6967_5F6F_7073
"""The advisory transaction lock that all applies on a database share: "trig_ops" in ASCII."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """One database in one run.

    ``home`` is the schema of our own tables, None where they are missing. ``announced`` tells
    that the run has said so there. ``lasts`` is how long a disable lasts; ``holds`` how long an
    announcement does. ``notices_clients`` tells that the server can look, while it waits, whether
    its client is still there.
    """

    alias: str
    connection: BaseDatabaseWrapper
    run: Run
    terms: Terms
    planning: Planning
    role: str
    home: str | None
    announced: bool
    holds: dt.timedelta
    lasts: dt.timedelta | None
    notices_clients: bool

    def write(self, composed: Composable) -> str:
        """Write a composed statement down with this connection's quoting."""
        text: str = composed.as_string(self.connection.connection)
        return text


@contextlib.contextmanager
def briefly(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Give what is asked or recorded beside the tables a transaction that waits for no lock for long.

    Inside the caller's it is a savepoint, under the caller's settings.
    """
    joins = in_transaction(connection)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if not joins:
            cursor.execute(f"SET LOCAL lock_timeout = {conf.lock_timeout()}")
        yield
