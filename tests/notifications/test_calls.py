"""One request: brief, led nowhere else, and to the very address that was judged."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks import WebSink, web_sink
from trigger_ops.notifications import NotDelivered
from trigger_ops.notifications.addresses import target_of
from trigger_ops.notifications.calls import call

HERE = ("127.0.0.1",)
SECRET = "/services/T00/geheim-4711"


def post(url: str, *, timeout: float = 5, hosts: tuple[str, ...] = HERE) -> None:
    target = target_of(url)
    call(target, method="POST", body=b"{}", timeout=timeout, private_hosts=hosts)


def refused(url: str, **options: Any) -> str:
    """Return why a request was not delivered, and demand that it names no secret."""
    with pytest.raises(NotDelivered) as said:
        post(url, **options)
    text = str(said.value)
    assert text.endswith(".")
    for secret in ("geheim", "services", "T00", "ann"):
        assert secret not in text
    assert said.value.__suppress_context__ or said.value.__context__ is None
    return text


def test_a_request_says_what_it_should(web: WebSink) -> None:
    post(web.url(f"{SECRET}?a=b", login="ann:geheim%3A@"))
    (got,) = web.received
    assert (got.method, got.path, got.body) == ("POST", f"{SECRET}?a=b", b"{}")
    assert got.headers["host"] == f"127.0.0.1:{web.port}"
    assert got.headers["content-length"] == "2"
    assert base64.b64decode(got.headers["authorization"].removeprefix("Basic ")) == b"ann:geheim:"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (301, "answered 301 Moved Permanently, and redirects are not followed"),
        (302, "answered 302 Found, and redirects are not followed"),
        (307, "answered 307 Temporary Redirect, and redirects are not followed"),
        (400, "refused it with 400 Bad Request"),
        (401, "refused it with 401 Unauthorized"),
        (404, "refused it with 404 Not Found"),
        (408, "answered 408 Request Timeout."),
        (410, "refused it with 410 Gone"),
        (425, "answered 425 Too Early."),
        (429, "answered 429 Too Many Requests."),
        (500, "answered 500 Internal Server Error."),
        (503, "answered 503 Service Unavailable."),
        (599, "answered 599."),
    ],
)
def test_anything_but_success_is_told(web: WebSink, status: int, told: str) -> None:
    web.status = status
    web.headers = {"Location": web.url("/elsewhere")}
    assert f"127.0.0.1 {told}" in refused(web.url(SECRET))
    assert [one.path for one in web.received] == [SECRET]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_success(web: WebSink, status: int) -> None:
    web.status = status
    post(web.url())


@pytest.mark.parametrize("trait", ["silent", "drips"])
def test_a_server_that_takes_its_time_is_left(web: WebSink, trait: str) -> None:
    """One that sends a byte now and then would keep a timeout for each byte going for ever."""
    setattr(web, trait, True)
    assert refused(web.url(SECRET), timeout=0.3) == "127.0.0.1 gave no answer in time (0.3 s)."


def test_a_server_that_does_not_even_accept_is_left() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with contextlib.ExitStack() as waiting:
            for _ in range(8):  # more than the queue of those who wait to be accepted holds
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(address)
            said = refused(f"http://127.0.0.1:{address[1]}{SECRET}", timeout=0.3)
    assert said == "127.0.0.1 gave no answer in time (0.3 s)."


def test_where_nobody_listens_is_told(web: WebSink) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://ann:geheim@127.0.0.1:{nobody.getsockname()[1]}{SECRET}"
        assert refused(url) == "127.0.0.1 could not be reached: Connection refused."


@contextlib.contextmanager
def rude(answer: bytes) -> Iterator[str]:
    """Run a server that reads once, says something and hangs up; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connected, _ = server.accept()
            with connected:
                connected.recv(65536)
                connected.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}{SECRET}"
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"geheim\r\n\r\n",
        b"HTTP/1.1 abc geheim\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"g" * 70000,
    ],
)
def test_an_answer_that_is_not_http_is_told(answer: bytes) -> None:
    with rude(answer) as url:
        assert refused(url) == "127.0.0.1 could not be reached: its answer is not HTTP."


def test_a_private_address_is_never_connected_to(web: WebSink) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        assert "has a private address" in refused(web.url(SECRET, host=host), hosts=())
    assert web.received == []


def test_a_redirect_to_a_private_address_is_not_followed(web: WebSink) -> None:
    with web_sink() as inner:
        web.status, web.headers = 302, {"Location": inner.url("/latest/meta-data")}
        assert "redirects are not followed" in refused(web.url(SECRET))
        assert inner.received == []


def test_the_name_is_looked_up_once_and_what_was_judged_is_connected_to(
    web: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose address changes after it was judged (DNS rebinding) leads nowhere else."""
    asked: list[Any] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.99"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, web.port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    post(f"http://rebinding.example:{web.port}/", hosts=("rebinding.example",))
    assert asked == ["rebinding.example"]
    assert web.received[0].headers["host"] == f"rebinding.example:{web.port}"


def test_a_resolver_that_says_nothing_is_left(
    web: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()
    said = refused(f"http://slow.example:{web.port}{SECRET}", timeout=0.3, hosts=())
    took = time.monotonic() - began
    over.set()
    assert said == "slow.example gave no answer in time (0.3 s)."
    assert took < 10


@pytest.mark.parametrize("login", ["", "ann:geheim@"])
def test_a_header_of_the_callers_own_is_sent_once_however_it_is_spelled(
    web: WebSink, login: str
) -> None:
    own = {"user-agent": "shop", "CONNECTION": "close", "authorization": "Bearer abc", "X-A": "1"}
    target = target_of(web.url(login=login))
    call(target, method="POST", headers=own, body=b"{}", timeout=5, private_hosts=HERE)
    (got,) = web.received
    assert sorted(got.names) == sorted({*got.names})
    assert (got.headers["user-agent"], got.headers["x-a"]) == ("shop", "1")
    assert got.headers["authorization"] == ("Basic YW5uOmdlaGVpbQ==" if login else "Bearer abc")


def test_the_next_address_is_tried_where_one_does_not_answer(
    web: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (one, web.port)) for one in ("127.0.0.77", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    post(f"http://two.example:{web.port}/", hosts=("two.example",))
    assert len(web.received) == 1


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"])
def test_proxies_of_the_environment_are_not_used(
    web: WebSink, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with web_sink() as proxy:
        monkeypatch.setenv(name, proxy.url(""))
        post(web.url())
        assert len(web.received) == 1
        assert proxy.received == []


# TLS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hooks.example, with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text("".join((folder / f"{one}.pem").read_text() for one in ("key", "cert")))
    return both


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebSink]:
    """A web service behind TLS, at whatever name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with web_sink(tls=context) as sink:
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sink.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        yield sink


def test_tls_is_spoken_to_the_name_not_to_the_address(
    secure: WebSink, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    post(secure.url(host="hooks.example"), hosts=("hooks.example",))
    assert secure.received[0].headers["host"] == f"hooks.example:{secure.port}"
    said = refused(secure.url(SECRET, host="other.example"), hosts=("other.example",))
    assert said.startswith("The certificate of other.example is refused: Hostname mismatch")


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: WebSink) -> None:
    said = refused(secure.url(SECRET, host="hooks.example"), hosts=("hooks.example",))
    assert said.startswith("The certificate of hooks.example is refused: self")
    assert secure.received == []


def test_tls_where_there_is_none_is_told(web: WebSink) -> None:
    web.scheme = "https"
    assert "127.0.0.1 could not be reached" in refused(web.url(SECRET))


def test_nothing_of_an_address_is_logged(web: WebSink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post(web.url(SECRET, login="ann:geheim@"))
    web.status = 500
    refused(web.url(SECRET, login="ann:geheim@"))
    assert "geheim" not in caplog.text
