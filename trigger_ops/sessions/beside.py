"""A way to write what must stay, whatever becomes of the caller's transaction."""

from __future__ import annotations

import contextlib
import copy
import socket
import threading
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from trigger_ops.catalog.transactions import first_line, unwrapped
from trigger_ops.exceptions import SessionRefused
from trigger_ops.sessions.current import asking, outside_all
from trigger_ops.sessions.statuses import Status, status_of

PATIENCE_SECONDS = 2
"""How long a second connection may take to be of use: a pooler may have none left to give."""

_LOCK_TIMEOUT = "SELECT pg_catalog.set_config('lock_timeout', '1s', true)"

_shared = False


@contextlib.contextmanager
def beside(
    alias: str, *, apart: bool = False, of: BaseDatabaseWrapper | None = None
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection in a transaction that is committed at the end of the block.

    It is the alias's own where that is in no transaction, else a second, unpooled one that is
    closed again; ``apart`` asks for the second one in any case. It leads to where ``of`` does,
    should that be another connection than the alias's in this thread. Nothing of what is done
    there belongs to a session, and no execute wrapper but ours sees it.

    Raises:
        SessionRefused: when a second connection is needed and cannot be had.
    """
    own = connections[alias]
    with outside_all(), asking():
        if of is not None and of is not own and not _shared:
            with _second(of) as other:
                yield other
        elif _shared and (own.in_atomic_block or not apart):
            with unwrapped(own), transaction.atomic(using=alias):
                yield own
        elif apart or not _is_free(own):
            with _second(own) as other:
                yield other
        else:
            with unwrapped(own), transaction.atomic(using=alias):
                _bound_waits(own)
                yield own


@contextlib.contextmanager
def same_connection() -> Iterator[None]:
    """Have everything written on the caller's own connection: for tests that are rolled back."""
    global _shared  # for all threads: what a test calls may use others
    before, _shared = _shared, True
    try:
        yield
    finally:
        _shared = before


def is_shared() -> bool:
    """Tell whether that is so now."""
    return _shared


def _is_free(own: BaseDatabaseWrapper) -> bool:
    if own.in_atomic_block or not _commits_by_itself(own):
        return False
    return own.connection is None or status_of(own) is Status.IDLE


def _commits_by_itself(own: BaseDatabaseWrapper) -> bool:
    if own.connection is None:
        return bool(own.settings_dict["AUTOCOMMIT"])
    return bool(own.autocommit)


@contextlib.contextmanager
def _second(own: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    other = _connected(own)
    try:
        # Not connections[alias]: transaction.atomic() would take the caller's.
        other.set_autocommit(False)
        try:
            with unwrapped(other):
                _bound_waits(other)
                yield other
        except BaseException:
            with contextlib.suppress(DatabaseError, InterfaceError):
                other.rollback()
            raise
        other.commit()
    finally:
        with contextlib.suppress(DatabaseError, InterfaceError):
            other.close()


def _connected(own: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    settings = copy.deepcopy({key: one for key, one in own.settings_dict.items() if key != "TEST"})
    settings["TEST"] = own.settings_dict.get("TEST", {})
    # Whoever uses it turns that off, which only works where no transaction is open.
    settings["AUTOCOMMIT"] = True
    options = settings["OPTIONS"]
    options.pop("pool", None)
    options["connect_timeout"] = PATIENCE_SECONDS
    other: BaseDatabaseWrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(
        settings, own.alias
    )
    try:
        with _answering(other), other.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        with contextlib.suppress(DatabaseError, InterfaceError):
            other.close()
        raise SessionRefused(
            f'A second connection to "{own.alias}", which keeps what must outlive a transaction, '
            f"cannot be had ({first_line(error)}): open the session before the transaction "
            "begins, or let the server have one connection more."
        ) from error
    return other


@contextlib.contextmanager
def _answering(other: BaseDatabaseWrapper) -> Iterator[None]:
    """Hang up on a server, or a pooler before it, that takes the connection and then is silent."""
    timers: list[threading.Timer] = []
    connect = other.get_new_connection

    def connect_and_watch(parameters: Any) -> Any:
        raw = connect(parameters)
        timer = threading.Timer(PATIENCE_SECONDS, _hang_up, [raw.fileno()])
        timer.daemon = True
        timer.start()
        timers.append(timer)
        return raw

    # Django asks questions of its own (the time zone, the role) before it hands a connection over.
    other.get_new_connection = connect_and_watch  # type: ignore[method-assign,assignment]  # one connection, not its class
    try:
        yield
    finally:
        del other.get_new_connection
        for timer in timers:
            timer.cancel()


def _hang_up(descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as line:
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()  # the driver closes it


def _bound_waits(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_TIMEOUT)
