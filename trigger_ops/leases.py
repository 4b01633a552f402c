"""What stands between now and a later moment: a disable that ends, a run that is at work."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid

from trigger_ops.states import Enabled


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A disable that ends. ``restore`` is the mode that the trigger goes back to.

    ``live`` is the database's own judgement at the moment of reading: its clock decides.
    """

    id: uuid.UUID
    uri: str
    database: str
    schema: str
    table: str
    trigger: str
    restore: Enabled
    holder: str
    reason: str
    since: dt.datetime
    expires: dt.datetime
    live: bool = True

    @property
    def place(self) -> tuple[str, str, str]:
        """Schema, table and trigger: what a lease is about inside its database."""
        return self.schema, self.table, self.trigger


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """A run that is changing triggers right now, as it announced itself to others."""

    run: uuid.UUID
    verb: str
    database: str
    holder: str
    pid: int
    since: dt.datetime
    expires: dt.datetime
