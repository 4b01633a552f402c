"""The transaction that a reading happens in: its own, or a savepoint of the caller's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError, OperationalError

from trigger_ops.exceptions import DatabaseUnreadable

_INJECTING = ("pgtrigger.runtime", "pghistory.runtime")
"""Modules whose execute wrappers put statements of their own before ours, and take texts alone."""

_OURS = "trigger_ops."

RETRIES = 3
"""How often a rollback to a savepoint is tried again: each try may be cancelled as well."""


def connection_of(using: str | None) -> BaseDatabaseWrapper:
    """Return Django's connection for an alias."""
    return connections[using or DEFAULT_DB_ALIAS]


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the caller has a transaction open that must survive us."""
    return connection.in_atomic_block or not connection.get_autocommit()


@contextlib.contextmanager
def discarded(connection: BaseDatabaseWrapper, *, read_only: bool) -> Iterator[Any]:
    """Yield a cursor in a scope that leaves nothing behind, whatever happens inside.

    Outside a transaction this is a REPEATABLE READ one that is rolled back; inside the caller's
    it is a savepoint that is rolled back to, so that neither a setting, nor a temporary object,
    nor an error of ours reaches the caller (PostgreSQL docs, ROLLBACK TO SAVEPOINT).

    Raises:
        DatabaseUnreadable: with the server's first line, for anything the database refuses.
    """
    with unwrapped(connection), _one_sentence(connection.alias):
        if in_transaction(connection):
            yield from _in_savepoint(connection)
        else:
            yield from _in_own_transaction(connection, read_only=read_only)


def _in_savepoint(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    if connection.needs_rollback:
        raise DatabaseUnreadable(
            f'The transaction on "{connection.alias}" has failed already and can only be rolled '
            "back: look again after that."
        )
    with connection.cursor() as cursor:
        # Not connection.savepoint(): that is a no-op where the caller has autocommit off.
        cursor.execute('SAVEPOINT "trigger_ops_reading"')
        try:
            yield cursor
        finally:
            if not connection.closed_in_transaction:
                _roll_back(cursor)
                cursor.execute('RELEASE SAVEPOINT "trigger_ops_reading"')


def _roll_back(cursor: Any) -> None:
    """Roll back to our savepoint. The reading's own statement_timeout may cancel even that."""
    for _ in range(RETRIES):
        with contextlib.suppress(OperationalError):
            cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_reading"')
            return
    cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_reading"')


def _in_own_transaction(connection: BaseDatabaseWrapper, *, read_only: bool) -> Iterator[Any]:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if read_only:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor
        transaction.set_rollback(True, using=connection.alias)


@contextlib.contextmanager
def without_injection(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep pgtrigger's ignore() and schema(), and pghistory's context(), from prefixing our statements.

    Other wrappers see them: one that lets nothing be written holds for the changes that we make.
    """
    with _kept(connection, lambda module: module not in _INJECTING):
        yield


@contextlib.contextmanager
def unwrapped(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Run what we ask, and what we put on record, past the execute wrappers of others.

    They may take no composed statement, rewrite what we send, or raise an error of their own.
    """
    with _kept(connection, lambda module: module.startswith(_OURS)):
        yield


@contextlib.contextmanager
def _kept(connection: BaseDatabaseWrapper, keeps: Callable[[str], bool]) -> Iterator[None]:
    """Have a connection without some of its wrappers for a while; it may get and lose others."""
    before = connection.execute_wrappers
    left_out = [one for one in before if not keeps(getattr(one, "__module__", None) or "")]
    connection.execute_wrappers = [one for one in before if one not in left_out]
    try:
        yield
    finally:
        now = connection.execute_wrappers
        connection.execute_wrappers = [one for one in before if one in left_out or one in now]
        connection.execute_wrappers[:0] = [one for one in now if one not in before]


@contextlib.contextmanager
def _one_sentence(alias: str) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        raise DatabaseUnreadable(f'"{alias}" could not be read: {first_line(error)}.') from error


def first_line(error: BaseException) -> str:
    """Return what the server said, on one line and without a password in it."""
    text = str(error).strip().splitlines()
    line = text[0].strip() if text else type(error).__name__
    return re.sub(r"(password=)\S+", r"\1…", line).rstrip(".")
