"""What is done here, as the admin's own list of recent actions has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from trigger_ops.applier import RunReport
from trigger_ops.models import Trigger
from trigger_ops.rendering.runs import summary
from trigger_ops.rendering.wording import printable
from trigger_ops.web.action_requests import Asked

_LONGEST = 200


def note(user: Any, asked: Asked, reports: Sequence[RunReport], reason: str) -> None:
    """Write one entry for an action that changed something."""
    if not any(report.changed for report in reports):
        return
    uris = ", ".join(uri for uri, _database, _schema in asked.keys)
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Trigger),
        object_repr=printable(f"{asked.verb.value} {uris}")[:_LONGEST],
        action_flag=CHANGE,
        change_message=printable(
            f"{' '.join(summary(report) for report in reports)} Reason: {reason}"
        ),
    )
