"""A network between a process and its database: bytes arrive late, and otherwise unchanged."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

LARGEST = 1 << 20
"""Bytes taken from a socket at once: what is sent together arrives together."""


@contextlib.contextmanager
def distant(url: str, *, seconds: float) -> Iterator[str]:
    """Yield the DATABASE_URL of a proxy that adds ``seconds`` to each way of ``url``.

    The proxy listens on 127.0.0.1, in threads of this process, until the block ends.
    """
    parts = urlsplit(url)
    target = (parts.hostname or "127.0.0.1", parts.port or 5432)
    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=_accept, args=(listener, target, seconds))
    accepting.start()
    login = parts.netloc.rpartition("@")[0]
    netloc = f"{login}{'@' if login else ''}127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield urlunsplit(parts._replace(netloc=netloc))
    finally:
        # close() alone would leave accept() waiting.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


def _accept(listener: socket.socket, target: tuple[str, int], seconds: float) -> None:
    ways: list[threading.Thread] = []
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            break
        far = socket.create_connection(target)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = threading.Thread(target=_connect, args=(near, far, seconds))
        connection.start()
        ways.append(connection)
    for way in ways:
        way.join()


def _connect(near: socket.socket, far: socket.socket, seconds: float) -> None:
    """Carry both ways of one connection until both have ended."""
    ways: list[threading.Thread] = []
    for source, sink in ((near, far), (far, near)):
        travelling: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        ways.append(threading.Thread(target=_take, args=(source, travelling, seconds)))
        ways.append(threading.Thread(target=_deliver, args=(travelling, sink)))
    for way in ways:
        way.start()
    for way in ways:
        way.join()
    near.close()
    far.close()


def _take(
    source: socket.socket, travelling: queue.SimpleQueue[tuple[float, bytes]], seconds: float
) -> None:
    """Stamp each piece with when it is to arrive; an empty piece is the end."""
    piece = b"begin"
    while piece:
        try:
            piece = source.recv(LARGEST)
        except OSError:
            piece = b""
        travelling.put((time.perf_counter() + seconds, piece))


def _deliver(travelling: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
    while True:
        due, piece = travelling.get()
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            if not piece:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(piece)
        except OSError:
            return
