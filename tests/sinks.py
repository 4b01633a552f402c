"""Servers on loopback that take what notifications send: a web service and a mail server."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Received:
    """One request. Names of headers are in lower case; ``names`` has one that came twice twice."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    names: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The body, read as JSON."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True)
class Mail:
    """One e-mail, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        """The body, decoded."""
        return str(self.message.get_content())


class Sink(Generic[Thing]):
    """What has arrived, in order, at a port of 127.0.0.1."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Thing] = []
        self._arrived = threading.Condition()

    def take(self, one: Thing) -> None:
        with self._arrived:
            self.received.append(one)
            self._arrived.notify_all()

    def wait_for(self, number: int, *, seconds: float = 30) -> list[Thing]:
        """Wait until so many have arrived; return all there are."""
        with self._arrived:
            enough = self._arrived.wait_for(lambda: len(self.received) >= number, seconds)
            assert enough, f"{len(self.received)} of {number} have arrived"
            return list(self.received)


class WebSink(Sink[Received]):
    """Answers with the ``statuses`` one after the other, then always with ``status``.

    One that is ``silent`` never answers; one that ``drips`` never comes to the end of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scheme = "http"
        self.statuses: list[int] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.drips = False
        self.silent = False
        self.over = threading.Event()

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1", login: str = "") -> str:
        return f"{self.scheme}://{login}{host}:{self.port}{path}"


class _WebHandler(BaseHTTPRequestHandler):
    sink: WebSink

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        names = tuple(name.lower() for name in self.headers)
        body = self.rfile.read(length)
        self.sink.take(Received(self.command, self.path, headers, body, names))
        with contextlib.suppress(OSError):  # whoever asked may have left
            if self.sink.silent:
                self.sink.over.wait(30)
            elif self.sink.drips:
                self._drip()
            else:
                self._whole_answer()

    do_GET = do_POST = _answer  # noqa: N815  # names of http.server

    def _whole_answer(self) -> None:
        statuses = self.sink.statuses
        self.send_response(statuses.pop(0) if statuses else self.sink.status)
        for name, value in self.sink.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.sink.over.is_set():
            self.wfile.write(b"z")
            self.wfile.flush()
            time.sleep(0.02)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _WebServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that leave early are part of the tests."""


class MailSink(Sink[Mail]):
    """A mail server. ``replies`` are what it says to a command instead of yes."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: dict[str, str] = {}


class _MailHandler(socketserver.StreamRequestHandler):
    sink: MailSink

    def handle(self) -> None:
        self._say("220 sink")
        sender, recipients = "", []
        for line in self.rfile:
            words = line.decode("utf-8", "replace").strip()
            verb = words[:4].upper()
            if verb in self.sink.replies:
                self._say(self.sink.replies[verb])
            elif verb == "DATA":
                self._say("354 go on")
                self.sink.take(Mail(sender, tuple(recipients), self._message()))
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 yes")
            if verb == "MAIL":
                sender, recipients = _between(words), []
            elif verb == "RCPT":
                recipients.append(_between(words))

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _message(self) -> EmailMessage:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)


def _between(words: str) -> str:
    return words.partition("<")[2].partition(">")[0]


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that leave early are part of the tests."""


@contextlib.contextmanager
def web_sink(*, tls: ssl.SSLContext | None = None) -> Iterator[WebSink]:
    """Run a web service on loopback for a while."""
    sink = WebSink()
    server = _WebServer(("127.0.0.1", 0), type("Handler", (_WebHandler,), {"sink": sink}))
    if tls is not None:
        sink.scheme = "https"
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with _running(server, sink):
        try:
            yield sink
        finally:
            sink.over.set()


@contextlib.contextmanager
def mail_sink() -> Iterator[MailSink]:
    """Run a mail server on loopback for a while."""
    sink = MailSink()
    handler = type("Handler", (_MailHandler,), {"sink": sink})
    with _running(_MailServer(("127.0.0.1", 0), handler), sink):
        yield sink


@contextlib.contextmanager
def _running(server: socketserver.TCPServer, sink: Sink[Any]) -> Iterator[None]:
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
