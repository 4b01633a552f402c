"""Who uses the server: it stops with the last process that does.

Every user holds a shared lock on `users.lock` for as long as it lives, so that the kernel knows
of each one, a killed one too. Joining and leaving happen under the home's lock.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import sys
import threading
from types import FrameType

from demo_site.embedded import server
from demo_site.embedded.exceptions import EmbeddedPostgresError
from demo_site.embedded.home import Home, is_file

_joined: dict[Home, int] = {}
_for_child: dict[Home, int] = {}


def in_use(home: Home) -> bool:
    """Say whether a process uses the server of this home. Call it under the home's lock."""
    try:
        descriptor = os.open(home.users, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def join(home: Home) -> None:
    """Make this process a user of the server until it ends. Call it under the home's lock."""
    if home in _joined:
        if is_file(_joined[home], home.users):
            return
        os.close(_joined.pop(home))  # a reset has come between
    first = not _joined
    _joined[home] = _share(home)
    atexit.register(leave, home)
    if first:
        _end_on_signals()


def _share(home: Home) -> int:
    descriptor = os.open(home.users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def leave(home: Home) -> None:
    """Stop using the server, and stop it if nobody else uses it and it is not to be kept."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C must not leak it
    descriptor = _joined.pop(home, None)
    if descriptor is None:
        return
    try:
        if is_file(descriptor, home.users):
            with home.locked():
                _stop_if_last(home, descriptor)
    except (EmbeddedPostgresError, OSError) as error:
        print(f"The embedded PostgreSQL was not stopped: {error}", file=sys.stderr)
    finally:
        os.close(descriptor)


def _stop_if_last(home: Home, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if is_file(descriptor, home.users) and not home.keep.exists():
        for data in home.data_folders():
            server.stop(data)


def _end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into an ordinary exit: by default they skip atexit."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _share_for_child() -> None:
    """Before a fork: take a second lock for the child, for the inherited one is the parent's."""
    for home in _joined:
        _for_child[home] = _share(home)


def _hand_over() -> None:
    for home, descriptor in _for_child.items():
        os.close(_joined[home])
        _joined[home] = descriptor
    _for_child.clear()


def _let_go() -> None:
    for descriptor in _for_child.values():
        os.close(descriptor)
    _for_child.clear()


os.register_at_fork(before=_share_for_child, after_in_child=_hand_over, after_in_parent=_let_go)
