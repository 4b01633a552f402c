"""Which trigger, in which place: as one text that a form can carry."""

from __future__ import annotations

import json
from typing import TypeAlias

from django.utils.translation import gettext as _

from trigger_ops.exceptions import UnknownSelector
from trigger_ops.inspection import InspectedTrigger

Key: TypeAlias = tuple[str, str, str | None]
"""URI, alias of the database, and schema; None for what is in no schema."""


def key_of(trigger: InspectedTrigger) -> str:
    """Return the key of a trigger as text."""
    place = [trigger.uri, trigger.database, trigger.schema]
    return json.dumps(place, separators=(",", ":"))


def parse_key(text: str) -> Key:
    """Read a key.

    Raises:
        UnknownSelector: for anything that is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    match found:
        case [str(uri), str(database), str() | None as schema] if uri and database:
            return uri, database, schema
    raise UnknownSelector(_("This names no trigger: choose triggers in the list."))
