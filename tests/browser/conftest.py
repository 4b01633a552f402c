"""The demo site in a browser, as its users see it: a server of its own, and Debian's Chromium.

These tests run in a process of their own (``pytest -m browser``): while Playwright is at work, an
event loop runs in the main thread, where Django then refuses to ask a database.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql
from playwright.sync_api import Browser, BrowserContext

from tests.browser.people import Demo, Visitor
from tests.site import ROOT, Site

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

PREPARE = "from demo_site.management.commands.demo import prepare; prepare()"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session", autouse=True)
def _beside_an_event_loop() -> Iterator[None]:
    """Let fixtures make databases, though Playwright's loop runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


# The browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Return how Chromium is started. Without it tests are skipped, though not in CI."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        sentence = "Chromium is missing: apt-get install chromium, or say CHROMIUM=/path/to/it."
        if os.environ.get("TRIGGER_OPS_CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return {**browser_type_launch_args, "executable_path": found, "args": list(FLAGS)}


# The site -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prepared(fresh_site: Callable[[str], Site], django_db_blocker: Any) -> Site:
    """The databases of the demo site with its past, to be copied."""
    site = fresh_site("browser")
    done = site.manage("shell", "-v0", "-c", PREPARE)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="session")
def serve(
    prepared: Site, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Return a context manager: the demo site on copies of its databases, which it drops."""
    logs = tmp_path_factory.mktemp("served")

    @contextmanager
    def serving(**environment: str) -> Iterator[Demo]:
        name = f"{prepared.name}_{time.monotonic_ns()}"
        copy = Site(name, prepared.url.replace(prepared.name, name))
        for end in ("", "_archive"):
            _maintain(
                django_db_blocker,
                "CREATE DATABASE {} TEMPLATE {}",
                name + end,
                prepared.name + end,
            )
        port = _free_port()
        # A file, for nobody reads a pipe while the site is served.
        with (logs / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"],
                cwd=ROOT,
                env={**copy.environment, "PORT": str(port), **environment},
                stdout=log,
                stderr=log,
            )
        demo = Demo(f"http://127.0.0.1:{port}", copy)
        try:
            _wait_for(demo, process, Path(log.name))
            yield demo
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
            for end in ("", "_archive"):
                _maintain(django_db_blocker, "DROP DATABASE {} WITH (FORCE)", name + end)

    return serving


@pytest.fixture(scope="session")
def demo(serve: Callable[..., Any]) -> Iterator[Demo]:
    """The demo site, for tests that change nothing that others look at."""
    with serve() as served:
        yield served


@pytest.fixture
def own_demo(serve: Callable[..., Any]) -> Iterator[Demo]:
    """A demo site for one test alone."""
    with serve() as served:
        yield served


def _maintain(blocker: Any, statement: str, *names: str) -> None:
    with blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(demo: Demo, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{demo.url}/favicon.ico", timeout=10):
                return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"no answer: {log.read_text()}")


# Visitors -----------------------------------------------------------------------------------------


@pytest.fixture
def visit(
    browser: Browser, new_context: Callable[..., BrowserContext]
) -> Iterator[Callable[..., Visitor]]:
    """Return a function: somebody with a browser of their own.

    Whatever a console complains of, a policy refuses or a page fetches from elsewhere fails the
    test.
    """
    visitors: list[Visitor] = []

    def begin(demo: Demo, name: str = "demo", **options: Any) -> Visitor:
        visitors.append(Visitor(demo, name, new_context, options))
        return visitors[-1]

    yield begin
    assert [sentence for one in visitors for sentence in one.amiss] == []
