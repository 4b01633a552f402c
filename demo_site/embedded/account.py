"""Who runs the server: PostgreSQL refuses uid 0, so root hands it to another account."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_site.embedded.exceptions import EmbeddedPostgresError

CANDIDATES = ("postgres", "nobody")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Account:
    """The account that owns the data and runs the server; `switch` is true when we are root."""

    name: str
    uid: int
    gid: int
    switch: bool


def current() -> Account:
    """Return the account for new data: the caller, or for root the first one of CANDIDATES."""
    if os.geteuid() != 0:
        return Account("", os.geteuid(), os.getegid(), switch=False)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and this system has neither an account 'postgres' nor "
        "'nobody': set DATABASE_URL to a server of yours, or run this as another user."
    )


def owner_of(data: Path, fallback: Account) -> Account:
    """Return the account that owns the folder `data`, or `fallback` where there is none yet."""
    try:
        status = data.stat()
    except FileNotFoundError:
        return fallback
    if status.st_uid == fallback.uid:
        return fallback
    if not fallback.switch or status.st_uid == 0:
        raise EmbeddedPostgresError(
            f"The data folder {data} belongs to another account (uid {status.st_uid}): "
            "run this as that account, or set DATABASE_URL to a server of yours."
        )
    return Account(f"uid {status.st_uid}", status.st_uid, status.st_gid, switch=True)


def run(
    arguments: list[str | Path], account: Account, *, cwd: Path = Path("/")
) -> tuple[int, str]:
    """Run a program as `account` and return its exit code and its output (both streams).

    Ctrl-C does not reach the program, and waits until it has ended: a `pg_ctl` that is left
    half-way leaves behind a server that nobody knows of.
    """
    options: dict[str, Any] = {}
    if account.switch:
        options = {"user": account.uid, "group": account.gid, "extra_groups": []}
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    with _postponed_signals():
        done = subprocess.run(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            env={**kept, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            **options,
        )
    return done.returncode, done.stdout.strip()


@contextmanager
def _postponed_signals() -> Iterator[None]:
    """Deliver Ctrl-C, SIGTERM and SIGHUP at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: seen.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for late in seen:
            signal.raise_signal(late)


def can_reach(path: Path, account: Account) -> bool:
    """Say whether `account` may enter the folder, or run the program, `path`."""
    if not account.switch:
        return os.access(path, os.X_OK)
    code, _ = run(["/bin/sh", "-c", 'test -x "$0"', path], account)
    return code == 0
