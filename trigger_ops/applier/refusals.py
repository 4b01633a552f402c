"""What the server's refusals mean: try again, give up on this one, or stop."""

from __future__ import annotations

import contextlib
import enum

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError, OperationalError

from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.transactions import first_line

DATABASE_ERRORS = (DatabaseError, InterfaceError)

_LOCKED = ("55P03", "40P01")
_GONE = ("08", "57P")
_FOR_ALL = ("25006", "25P02", "40001", "53", "57014")


class Meaning(enum.Enum):
    """What to do about a refusal."""

    AGAIN = "again"
    STOP = "stop"
    FAILED = "failed"
    LOST = "lost"


def meaning_of(error: BaseException, connection: BaseDatabaseWrapper) -> Meaning:
    """Tell what an error of the server's means for the table that it came up with.

    ``tuple concurrently updated`` and a duplicate key in pg_proc are what stock pgtrigger beside
    us provokes: it takes no lock on functions.
    """
    state, text = sqlstate(error) or "", str(error)
    if _is_gone(error, connection) or state.startswith(_GONE):
        return Meaning.LOST
    if state in _LOCKED or (state == "XX000" and "concurrently" in text):
        return Meaning.AGAIN
    if state == "23505" and "pg_proc" in text:
        return Meaning.AGAIN
    return Meaning.STOP if state.startswith(_FOR_ALL) else Meaning.FAILED


def _is_gone(error: BaseException, connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the connection was lost, also where Django has made a new one since."""
    if isinstance(error, InterfaceError):
        return True
    if isinstance(error, OperationalError) and sqlstate(error) is None:
        return True  # only libpq's own errors have no SQLSTATE
    raw = connection.connection
    with contextlib.suppress(Exception):
        return raw is None or bool(raw.closed)
    return True


def sentence_of(error: BaseException, *, role: str) -> str:
    """Say what the server refused, and what ends it, without a full stop."""
    line = first_line(error)
    match sqlstate(error):
        case "42501":
            return f'{line} (role "{role}"): run this as the owner, or give the role that right'
        case "55006":
            return (
                f"{line}: the open transaction has work on this table that is put off to its end; "
                "run this outside it, or after SET CONSTRAINTS ALL IMMEDIATE"
            )
        case "25006":
            return f"{line}: run this against the primary, as a role that may write"
        case "40001":
            return f"{line}: run this again in a new transaction"
        case "57014":
            return f"{line}: run the same command again to go on"
        case "2BP01":
            return f"{line}: drop or change what depends on it first"
    return line
