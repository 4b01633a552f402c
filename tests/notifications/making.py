"""Changes and messages for tests, as they come out of the outbox."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

from trigger_ops.records import FindingChange, FindingRecord, Message
from trigger_ops.states import EventKind, Level

NOON = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
ID = uuid.UUID("6f1cfb5a-2f0d-4b51-9c5e-0d3d5d1c7a11")

FINDING = FindingRecord(
    id=7,
    key="key",
    digest="digest",
    code="trigger_ops.C001",
    level=Level.CRITICAL,
    database="default",
    uri="shop.Order:no_del",
    schema="public",
    schemas=("public",),
    table="shop_order",
    trigger="pgtrigger_no_del_133cc",
    status="TAMPERED",
    enabled="ENABLED",
    facets=("body",),
    count=1,
    told_count=1,
    message="The function's body is not what the code says.",
    fix="manage.py pgtrigger install shop.Order:no_del",
    allowed=False,
    first_seen=NOON,
    last_seen=NOON,
    resolved=None,
)


def finding(**values: Any) -> FindingRecord:
    return dataclasses.replace(FINDING, **values)


def change(kind: EventKind = EventKind.OPENED, *, number: int = 1, **values: Any) -> FindingChange:
    if kind is EventKind.RESOLVED:
        values.setdefault("resolved", NOON)
    return FindingChange(id=number, kind=kind, at=NOON, run=ID, finding=finding(**values))


def message(*changes: FindingChange, attempt: int = 1) -> Message:
    return Message(id=ID, destination="pager", changes=changes, attempt=attempt)
