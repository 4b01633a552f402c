"""The JSON that webhooks send. Keys are only ever added."""

from __future__ import annotations

import json
from typing import Any

from trigger_ops import conf
from trigger_ops.notifications.wording import subject, text
from trigger_ops.records import FindingChange, FindingRecord, Message

SCHEMA = "trigger_ops.notification/1"

SCHEMAS_AT_MOST = 100
"""How many schemas of a finding are named; ``count`` tells how many there are."""

_TOLD_AT_MOST = 20
# Slack takes what stands in <> for a link or a call; to Mattermost any @channel is one. The word
# joiner behind the @ is not seen.
_MARKED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\N{WORD JOINER}"})


def body(message: Message) -> bytes:
    """Return the document of a message, in ASCII."""
    document = {
        "schema": SCHEMA,
        "id": str(message.id),
        "text": _for_chat(message),
        "destination": message.destination,
        "attempt": message.attempt,
        "test": not message.changes,
        "events": [_event(one) for one in message.changes],
    }
    return json.dumps(document, allow_nan=False).encode("ascii")


def _for_chat(message: Message) -> str:
    """Return the text for a chat: what could be a link there or call people together is none."""
    whole = f"{subject(message)}\n\n{text(message, at_most=_TOLD_AT_MOST)}"
    return whole.translate(_MARKED)


def _event(change: FindingChange) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "at": change.at.isoformat(),
        "run_id": None if change.run is None else str(change.run),
        "finding": _finding(change.finding),
    }


def _finding(one: FindingRecord) -> dict[str, Any]:
    return {
        "id": one.code,
        "level": one.level.name,
        "uri": one.uri or None,
        "database": one.database,
        "schema": one.schema or None,
        "schemas": list(one.schemas[:SCHEMAS_AT_MOST]),
        "count": one.count,
        "table": one.table or None,
        "trigger": one.trigger or None,
        "status": one.status or None,
        "enabled": one.enabled or None,
        "facets": list(one.facets),
        "message": one.message,
        "fix": one.fix,
        "first_seen": one.first_seen.isoformat(),
        "last_seen": one.last_seen.isoformat(),
        "resolved": None if one.resolved is None else one.resolved.isoformat(),
        "digest": one.digest,
        "runbook": conf.runbook(one.code),
    }
