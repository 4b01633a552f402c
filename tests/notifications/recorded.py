"""Findings, events and notices in the recording database."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import F

from trigger_ops.ledger.recording import recording
from trigger_ops.models import DriftFinding, FindingEvent, Notice
from trigger_ops.states import EventKind

MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))


def write(
    kind: EventKind = EventKind.OPENED,
    *to: str,
    finding: DriftFinding | None = None,
    **values: Any,
) -> FindingEvent:
    """Record an event of a finding, a new one by default, and a notice for each destination."""
    with recording() as book:
        found = finding or DriftFinding.objects.create(
            **{
                "key": uuid.uuid4().hex,
                "digest": "digest",
                "code": "trigger_ops.C001",
                "level": "CRITICAL",
                "database": "default",
                "uri": "shop.Order:no_del",
                "schema": "public",
                "schemas": ["public"],
                "table": "shop_order",
                "trigger": "pgtrigger_no_del_133cc",
                "message": "The body was changed.",
                "fix": "manage.py pgtrigger install shop.Order:no_del",
                "first_seen": book.now,
                "last_seen": book.now,
                **values,
            }
        )
        event = FindingEvent.objects.create(
            finding=found,
            kind=kind,
            at=book.now,
            digest=found.digest,
            count=found.count,
            message=found.message,
            run=uuid.uuid4(),
        )
        Notice.objects.bulk_create(
            Notice(event=event, destination=name, written=book.now, due=book.now)
            for name in to or ("pager",)
        )
    return event


def pass_time(by: dt.timedelta) -> None:
    """Have all that was written and all that waits be so much earlier."""
    Notice.objects.update(written=F("written") - by, due=F("due") - by)
    Notice.objects.exclude(sent=None).update(sent=F("sent") - by)


def notice(event: FindingEvent, destination: str = "pager") -> Notice:
    """Return a notice as it is now."""
    return Notice.objects.get(event=event, destination=destination)
