"""What ``session run`` makes of a signal that ends the process, and of a process that is gone.

A signal becomes an exception in the main thread, so that transactions are rolled back and the
session is ended, and the process then ends by that signal all the same. psycopg 2 waits for the
server where no signal reaches Python: a thread beside it has the statement cancelled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from django.db import DatabaseError, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from trigger_ops.management.inner import Terminated
from trigger_ops.sessions.statuses import Status, status_of

PATIENCE_SECONDS = 0.2
"""How long Python may take to see a signal before it must be waiting for the server."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

# Only where nobody has set it, and only where the server's operating system can tell.
_NOTICE = """\
SELECT pg_catalog.set_config(s.name, '1s', false) FROM pg_catalog.pg_settings s
 WHERE s.name OPERATOR(pg_catalog.=) 'client_connection_check_interval'
   AND s.setting OPERATOR(pg_catalog.=) '0'"""
_FORGET = "RESET client_connection_check_interval"


class Stop:
    """Whether this process was told to end, while it is entered: ``with Stop() as stop``.

    A signal that is ignored stays so, as under nohup, and any thread but the main one is left
    alone. What else would deal with a signal does so in the end where the process is here for
    this alone, and has it to itself where another program made the call.
    """

    def __init__(self, *, alone: bool = True) -> None:
        self._alone = alone
        self._told: int | None = None
        self._raises = self._raised = False
        self._seen = threading.Event()
        self._cancelling = threading.Lock()
        self._taken: dict[int, Any] = {}
        self._watch: contextlib.ExitStack = contextlib.ExitStack()
        self._connections: list[BaseDatabaseWrapper] = []

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            now = {one: signal.getsignal(one) for one in _SIGNALS}
            self._taken = {one: how for one, how in now.items() if self._may_take(how)}
        if self._taken:
            self._connections = [one for one in connections.all() if one.vendor == "postgresql"]
            self._watch.enter_context(_watched(self))
            for one in self._taken:
                signal.signal(one, self._heed)
            _active.append(self)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._let_go()
        self._watch.close()
        if self in _active:
            _active.remove(self)
        # A command that caught the exception has chosen its own end.
        if self._told is not None and (isinstance(error, Terminated) or not self._raised):
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            signal.raise_signal(self._told)

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Raise :class:`Terminated` from what is inside; elsewhere a signal has to wait."""
        self._raises = True
        try:
            if self._told is not None:
                self._raise()
            yield
        finally:
            self._raises = False

    def cancel(self) -> None:
        """Have statements cancelled that the main thread waits for, until it sees the signal."""
        while self._raises and not self._seen.wait(PATIENCE_SECONDS):
            with self._cancelling:
                # It may be on to what ends the session by now, which is to go on.
                if not self._seen.is_set():
                    self._cancel_all()

    def forget(self) -> None:
        """Leave a child process to what its own signals did before."""
        self._let_go()
        signal.set_wakeup_fd(-1)

    def _may_take(self, handler: Any) -> bool:
        return handler == signal.SIG_DFL or (self._alone and callable(handler))

    def _cancel_all(self) -> None:
        for one in self._connections:
            with contextlib.suppress(Error), one.wrap_database_errors:
                if status_of(one) is Status.ACTIVE:
                    one.connection.cancel()

    def _heed(self, number: int, frame: FrameType | None) -> None:
        with self._cancelling:
            self._seen.set()
        self._told = number
        self._let_go()  # a second one ends the process at once
        if self._raises:
            self._raise()

    def _raise(self) -> None:
        self._raises, self._raised = False, True
        raise Terminated

    def _let_go(self) -> None:
        for one, before in self._taken.items():
            if signal.getsignal(one) == self._heed:
                signal.signal(one, before)


_active: list[Stop] = []


def _forget_all() -> None:
    while _active:
        _active.pop().forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


@contextlib.contextmanager
def _watched(stop: Stop) -> Iterator[None]:
    """Have a thread hear of signals as they come, whatever the main thread is waiting for."""
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)  # noqa: FBT003 - its only argument
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    if before != -1:  # an event loop needs it
        signal.set_wakeup_fd(before)
    thread = threading.Thread(target=_listen, args=(ear, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        if before == -1 and (now := signal.set_wakeup_fd(-1)) not in (-1, mouth.fileno()):
            signal.set_wakeup_fd(now)
        mouth.shutdown(socket.SHUT_RDWR)  # a child process may have it too
        mouth.close()
        thread.join()
        ear.close()


def _listen(ear: socket.socket, stop: Stop) -> None:
    while heard := ear.recv(64):
        if set(heard) & set(_SIGNALS):
            stop.cancel()


@contextlib.contextmanager
def noticed(alias: str) -> Iterator[None]:
    """Have the server notice while a statement runs that this process is gone, as by SIGKILL.

    Not behind a pooler that shares connections by transaction, for what is set would stay there.
    """
    settings = connections.settings.get(alias, {})
    if settings.get("DISABLE_SERVER_SIDE_CURSORS") or not _is_postgresql(alias):
        yield
        return
    own = connections[alias]

    def begin(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.alias == alias:
            _ask_idle(connection, _NOTICE)

    connection_created.connect(begin, weak=False)
    try:
        _ask_idle(own, _NOTICE)
        yield
    finally:
        connection_created.disconnect(begin)
        _ask_idle(own, _FORGET)


def _is_postgresql(alias: str) -> bool:
    return alias in connections and connections[alias].vendor == "postgresql"


def _ask_idle(connection: BaseDatabaseWrapper, statement: str) -> None:
    """Ask where no transaction is open, and none would be, on a cursor that no wrapper sees."""
    if status_of(connection) is not Status.IDLE or not connection.autocommit:
        return
    with (
        contextlib.suppress(DatabaseError),
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
    ):
        cursor.execute(statement)
