"""Tells from a database error who refused: a trigger, or a rule of sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_CODE = re.compile(r"^TO0\d\d$")

OVER = frozenset({"TO002", "TO005"})
"""Codes of a session that has expired, was revoked or has ended."""

ENDED_FOR_IT = frozenset({"57P01", "57014", "25P03", "25P04", "08006", "08003"})
"""SQLSTATEs that a session's end may have: its backend ended, or a timeout lowered to its end."""


def is_trigger_error(error: BaseException) -> bool:
    """Tell whether a trigger of pgtrigger refused, whatever class the driver gave the error.

    psycopg 2 raises such an error as InternalError, psycopg 3 as ProgrammingError: what they share
    is SQLSTATE P0001 and a message that begins with ``pgtrigger:``.
    """
    return any(
        state_of(one) == "P0001" and _message(one).startswith("pgtrigger:")
        for one in _chain(error)
    )


def refusal_code(error: BaseException) -> str | None:
    """Return the code (``TO0xx``) of a refusal by a rule of sessions, None for another error."""
    for one in _chain(error):
        if state_of(one) == "42501" and _message(one).startswith("trigger_ops:"):
            detail = str(getattr(_diagnosis(one), "message_detail", None) or "")
            if _CODE.match(detail):
                return detail
    return None


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error or of Django's around it, "" where there is none."""
    for one in _chain(error):
        found = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
        if found:
            return str(found)
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    yield error
    if error.__cause__ is not None:
        yield error.__cause__


def _diagnosis(error: BaseException) -> Any:
    return getattr(error, "diag", None)


def _message(error: BaseException) -> str:
    return str(getattr(_diagnosis(error), "message_primary", None) or error)
