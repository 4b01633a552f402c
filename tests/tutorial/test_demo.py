from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pgtrigger
import pytest
from django.test import Client

from demo_site.management.commands import demo
from tests.site import Site


@pytest.fixture(scope="module")
def demo_site(fresh_site: Callable[[str], Site]) -> Site:
    return fresh_site("demo")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(url: str, process: subprocess.Popen[str]) -> str:
    """Return a page as soon as it answers; fail if the process ends before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except (URLError, ConnectionError):
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"no answer: {process.communicate()}")


@dataclass
class Run:
    """One run of `manage.py demo`, from its first page to its end."""

    url: str
    page: str = ""
    seconds: float = 0.0
    code: int = -1
    output: str = ""
    errors: str = ""


@contextmanager
def _demo(site: Site, port: int, *, stop: signal.Signals) -> Iterator[Run]:
    run = Run(f"http://127.0.0.1:{port}/")
    began = time.monotonic()
    process = site.start("demo", PORT=str(port))
    try:
        run.page = _read(run.url, process)
        run.seconds = time.monotonic() - began
        yield run
    finally:
        process.send_signal(stop)
        run.output, run.errors = process.communicate(timeout=20)
        run.code = process.returncode


def test_demo_serves_pages_and_a_user_logs_in(demo_site: Site, port: int) -> None:
    with _demo(demo_site, port, stop=signal.SIGTERM) as run:
        assert "trigger_ops demo site" in run.page
        browser = build_opener(HTTPCookieProcessor(jar := CookieJar()))
        with browser.open(f"{run.url}admin/login/") as page:
            assert page.status == 200
        token = next(str(cookie.value) for cookie in jar if cookie.name == "csrftoken")
        form = {"username": "demo", "password": "demo", "csrfmiddlewaretoken": token}
        with browser.open(f"{run.url}admin/login/?next=/admin/", urlencode(form).encode()) as page:
            assert "Site administration" in page.read().decode()
        with urlopen(f"{run.url}static/demo_site/front_page.css") as page:
            assert page.headers["Content-Type"] == "text/css"
    assert run.code == 143
    assert f"{run.url}admin/  (user demo, password demo)" in run.output
    assert "manage.py tutorial" in run.output
    assert "Traceback" not in run.errors


def test_the_commands_it_proposes_need_no_address_beside_a_server_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TRIGGER_OPS_EMBEDDED_HOME", raising=False)
    assert "terminal, with DATABASE_URL set as here:\n" in demo.greeting(8000)
    monkeypatch.setenv("TRIGGER_OPS_EMBEDDED_HOME", "/somewhere/.demo")
    assert "in another terminal:\n" in demo.greeting(8000)


def test_demo_has_a_past_which_a_second_start_leaves_as_the_user_repaired_it(
    fresh_site: Callable[[str], Site], port: int
) -> None:
    site = fresh_site("twice")
    delete = "from demo_site.past.models import Invoice; print(Invoice.objects.all().delete()[0])"
    with _demo(site, port, stop=signal.SIGTERM):
        pass
    # Gutted: the trigger lets it happen.
    assert site.manage("shell", "-v0", "-c", delete).stdout == "2\n"
    repair = """
import pgtrigger
from demo_site.past.models import Invoice
pgtrigger.install('past.Invoice:protect_deletes')
Invoice.objects.create(number='2026-003', total=1)
"""
    assert site.manage("shell", "-v0", "-c", repair).returncode == 0
    with _demo(site, port, stop=signal.SIGINT) as second:
        pass
    assert second.seconds < 6
    assert second.code == 0
    assert "Traceback" not in second.errors
    refused = site.manage("shell", "-v0", "-c", delete)
    assert refused.returncode == 1
    assert "pgtrigger: Cannot delete rows from past_invoice table" in refused.stderr


def test_busy_port_is_one_sentence(demo_site: Site) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = demo_site.start("demo", PORT=str(port))
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 5
    assert output == ""
    assert errors.count("\n") == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in errors


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_port_that_is_none_is_one_sentence(demo_site: Site, port: str) -> None:
    process = demo_site.start("demo", PORT=port)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == f"CommandError: PORT is {port!r}: it must be a number from 1 to 65535.\n"


def test_front_page_lists_every_trigger_without_inline_script_or_style(client: Client) -> None:
    page = client.get("/").content.decode()
    for model, trigger in pgtrigger.registered():
        assert f"<code>{trigger.get_uri(model)}</code>" in page
    for command in ("manage.py tutorial", "manage.py pgtrigger check"):
        assert f"<code>{command}</code>" in page
    assert 'href="/admin/"' in page
    assert "<script" not in page
    assert "style=" not in page
