"""What somebody does in a guarded database by SQL, and what is on record of it afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql

from tests.damage import pgid
from trigger_ops.sessions.refusals import refusal_code, state_of

Connect = Callable[..., BaseDatabaseWrapper]

RECEIPT = "past.Receipt:append_only"
CUSTOMER = "past.Customer:read_only_email"
INVOICE = "past.Invoice:protect_deletes"
SOFT = "tutorial.SoftDelete:soft_delete"
STATEMENT = "tutorial.StatementProtect:protect"
POSTING = "awkward.Posting:check_balance"
MEASUREMENT = "awkward.Measurement:protect_deletes"

UNSEEN = "\u00ad\u034f\u061c\u115f\u180e\u200b\u202a\u202c\u2061\u2066\u2069\u2800\u3164\ufe0f\ufeff\U000e0001"
"""Some of what nobody sees in a name."""

TERMS: dict[str, Any] = {
    "reason": "the numbers were typed wrong",
    "surface": "code",
    "opener": "user:ada",
    "needs": 0,
    "lasts": "15 minutes",
    "idle": "10 minutes",
    "longest": "4 hours",
    "waits": "1 hour",
    "most_rows": 10_000,
    "most_extensions": 2,
}


class Row(NamedTuple):
    """One row of evidence, as far as a test knows it beforehand."""

    session: int | None
    table: str
    op: str
    old: Any
    new: Any
    cause: str = "session"


def do(connection: BaseDatabaseWrapper, statement: str, *parameters: Any) -> list[Any]:
    """Run SQL as it is, without parameters if none are given; return the rows, if any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def one(connection: BaseDatabaseWrapper, statement: str, *parameters: Any) -> Any:
    """Return the one value that a statement gives."""
    ((value,),) = do(connection, statement, *parameters)
    return value


def named(statement: str, **names: str) -> Any:
    """Return SQL of which every name in braces is one identifier."""
    return sql.SQL(statement).format(**{key: sql.Identifier(one) for key, one in names.items()})


def open_session(connection: BaseDatabaseWrapper, *uris: str, **terms: Any) -> int:
    """Ask for a session by the function that does it; return its number."""
    asked = {**TERMS, "uris": list(uris), "triggers": [pgid(uri) for uri in uris], **terms}
    return int(one(connection, "SELECT trigger_ops_open(%s)", json.dumps(asked)))


def close(connection: BaseDatabaseWrapper, session: int, wanted: str = "revoked") -> Any:
    return one(
        connection, "SELECT trigger_ops_close(%s, %s, 'user:bob', 'a test')", session, wanted
    )


def state(connection: BaseDatabaseWrapper, session: int) -> Any:
    return one(connection, "SELECT state FROM trigger_ops_session WHERE id = %s", session)


def enter(connection: BaseDatabaseWrapper, *sessions: int) -> str:
    """Enter sessions for the rest of the transaction, innermost first."""
    return str(
        one(connection, "SELECT trigger_ops_enter(%s)", ",".join(str(one) for one in sessions))
    )


@contextlib.contextmanager
def transaction(connection: BaseDatabaseWrapper, how: str = "") -> Iterator[None]:
    """Begin a transaction by SQL; commit it, or roll it back after an error."""
    do(connection, f"BEGIN {how}")
    try:
        yield
        do(connection, "COMMIT")
    except BaseException:
        with contextlib.suppress(DatabaseError, InterfaceError):
            do(connection, "ROLLBACK")
        raise


@contextlib.contextmanager
def in_session(connection: BaseDatabaseWrapper, *sessions: int) -> Iterator[None]:
    """Be in a transaction that has entered sessions."""
    with transaction(connection):
        enter(connection, *sessions)
        yield


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    """Expect that the database refuses, by our code or by an SQLSTATE, and says what."""
    with pytest.raises(DatabaseError) as caught:
        yield
    assert (refusal_code(caught.value) or state_of(caught.value)) == code, caught.value
    if code.startswith("TO"):
        text = str(caught.value).splitlines()[0]
        assert text.startswith("trigger_ops: "), text
        assert text.endswith("."), text


def ignoring(*uris: str) -> str:
    """Return the statement that sets what pgtrigger.ignore() does, for the transaction."""
    return f"SELECT set_config('pgtrigger.ignore', '{{{','.join(map(pgid, uris))}}}', true)"


def policy(connection: BaseDatabaseWrapper, mode: str, *uris: str, approvals: int = 1) -> None:
    """Set the default policy, or that of triggers."""
    if not uris:
        do(connection, "UPDATE trigger_ops_guard SET policy = %s, approvals = %s", mode, approvals)
    for uri in uris:
        do(
            connection,
            "INSERT INTO trigger_ops_policy (trigger, uri, mode, approvals) VALUES (%s, %s, %s, %s)",
            *(pgid(uri), uri, mode, approvals),
        )


def limits(connection: BaseDatabaseWrapper, **most: Any) -> None:
    """Set what a session may be asked for at most, by columns of the guard's row."""
    for column, value in most.items():
        do(connection, named("UPDATE trigger_ops_guard SET {column} = %s", column=column), value)


def rows_on_record(connection: BaseDatabaseWrapper) -> list[Row]:
    """Return all rows of evidence, oldest first."""
    found = do(
        connection,
        'SELECT session_id, "table", op, old::text, new::text, cause '
        "FROM trigger_ops_change ORDER BY id",
    )
    return [
        Row(session, table, op, *(json.loads(text) if text else None for text in images), cause)
        for session, table, op, *images, cause in found
    ]


def stood_aside(connection: BaseDatabaseWrapper) -> list[tuple[str, int | None]]:
    """Return which triggers stood aside, and for which session."""
    found = do(connection, "SELECT trigger, session_id FROM trigger_ops_decision ORDER BY id")
    return [(trigger, session) for trigger, session in found]


def copy_in(connection: BaseDatabaseWrapper, statement: str, text: str) -> None:
    """Send rows by COPY, as each driver does it."""
    import io

    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        if is_psycopg3:
            with cursor.copy(statement) as copying:
                copying.write(text)
        else:
            cursor.copy_expert(statement, io.StringIO(text))


def a_receipt(connection: BaseDatabaseWrapper, number: str = "r1") -> int:
    """Write a receipt; return its key. Receipts may be added, and neither changed nor deleted."""
    return int(
        one(connection, "INSERT INTO past_receipt (number) VALUES (%s) RETURNING id", number)
    )


def receipts(connection: BaseDatabaseWrapper) -> list[str]:
    return [
        number for (number,) in do(connection, "SELECT number FROM past_receipt ORDER BY number")
    ]
