"""The database of a test run, made ready before pytest-django reads the settings.

Loaded with `-p` in pyproject.toml: a conftest.py would come too late.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator

import pytest

from demo_site.database import DatabaseUrlError, choose_driver
from demo_site.embedded import EmbeddedPostgresError, ensure
from demo_site.embedded.__main__ import TEST_HOMES
from demo_site.embedded.home import Home, is_file, project_home


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Choose the driver and start the server; the workers of xdist inherit its address."""
    _forget_ignored_signals()
    try:
        choose_driver()
        if not os.environ.get("DATABASE_URL"):
            ensure(free_home().path)
    except (DatabaseUrlError, EmbeddedPostgresError) as error:
        raise pytest.UsageError(str(error)) from None
    return (yield)


def _forget_ignored_signals() -> None:
    """Let tests end their processes by signals, though nohup or a CI may have these ignored."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def free_home() -> Home:
    """Return a home for this run alone, apart from the demo's and from another run's.

    The names of test databases are fixed, so two runs on one server would drop each other's.
    """
    number = 1
    while True:
        home = Home(project_home() / TEST_HOMES.replace("*", str(number)))
        home.create()
        descriptor = os.open(home.run, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            number += 1
        else:
            if is_file(descriptor, home.run):
                return home  # the descriptor, and with it the lock, lives as long as the process
            os.close(descriptor)  # a reset removed the file meanwhile
