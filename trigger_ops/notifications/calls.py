"""One request to one address of the web: judged first, brief, and never led elsewhere."""

from __future__ import annotations

import base64
import contextlib
import http
import http.client
import io
import socket
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from trigger_ops.notifications import NotDelivered
from trigger_ops.notifications.addresses import Endpoint, Target, endpoints

_LATER = frozenset({408, 425, 429})
_TOO_LONG = "gave no answer in time"


def call(
    target: Target,
    *,
    method: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float,
    private_hosts: Collection[str],
) -> None:
    """Send one request, and demand an answer of 2xx within ``timeout`` seconds in all.

    That is from the look-up of the name to the status. Proxies are not used and redirects are
    not followed; what was looked up is connected to.

    Raises:
        NotDelivered: saying why, and naming nothing of the address but the host.
    """
    deadline = time.monotonic() + timeout
    try:
        found = endpoints(target, private_hosts, seconds=_left(deadline))
        with _connected(target, found, deadline) as connected:
            status = _asked(connected, target, method, _complete(target, headers), body, deadline)
    except TimeoutError:
        raise NotDelivered(f"{target.host} {_TOO_LONG} ({timeout:g} s).") from None
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or "it cannot be verified"
        raise NotDelivered(f"The certificate of {target.host} is refused: {why}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{target.host} could not be reached: {_reason(error)}.") from None
    if not 200 <= status < 300:
        raise NotDelivered(f"{target.host} {_verdict(status)}")


def _verdict(status: int) -> str:
    try:
        told = f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        told = str(status)
    if 300 <= status < 400:
        return f"answered {told}, and redirects are not followed: name the final address."
    if 400 <= status < 500 and status not in _LATER:
        return f"refused it with {told}: see to the address and what it wants."
    return f"answered {told}."


def _reason(error: Exception) -> str:
    """Return why, in the system's words; those of others may repeat what is secret."""
    if isinstance(error, http.client.HTTPException):
        return "its answer is not HTTP"
    text = error.strerror if isinstance(error, OSError) else None
    return text or type(error).__name__


def _complete(target: Target, headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return all headers, each once however it is spelled: ours give way, except the address."""
    whole = [("User-Agent", "trigger_ops"), ("Connection", "close"), *(headers or {}).items()]
    if target.login is not None:
        words = ":".join(target.login).encode()
        whole.append(("Authorization", f"Basic {base64.b64encode(words).decode('ascii')}"))
    whole.append(("Host", target.authority))
    return dict({name.lower(): (name, value) for name, value in whole}.values())


@contextlib.contextmanager
def _connected(target: Target, found: list[Endpoint], deadline: float) -> Iterator[socket.socket]:
    plain = _first_open(found, deadline)
    with plain:
        if target.scheme == "http":
            yield plain
            return
        plain.settimeout(_left(deadline))
        context = ssl.create_default_context()
        with context.wrap_socket(plain, server_hostname=target.host) as secure:
            yield secure


def _first_open(found: list[Endpoint], deadline: float) -> socket.socket:
    """Connect to the first address that answers; one that does not leaves time for the others."""
    failed: OSError = OSError("no address")
    for others, one in zip(range(len(found), 0, -1), found, strict=True):
        opened = socket.socket(one.family, socket.SOCK_STREAM)
        try:
            opened.settimeout(_left(deadline) / others)
            opened.connect(one.address)
        except OSError as error:
            opened.close()
            failed = error
        else:
            return opened
    raise failed


def _asked(
    connected: socket.socket,
    target: Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
) -> int:
    """Send the request over a socket that is open; return the status of the answer."""
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.auto_open = 0
    connection.sock = connected
    connected.settimeout(_left(deadline))
    connection.request(method, target.path, body=body, headers=dict(headers))
    reader = cast(socket.socket, _Reader(connected, deadline))
    response = http.client.HTTPResponse(reader, method=method)
    try:
        response.begin()
        return response.status
    finally:
        response.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Reader:
    """The part of a socket that an HTTP response reads from, until a deadline for all of it.

    A socket's own timeout begins anew with each byte.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self._connected, self._deadline))


class _Bytes(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connected, self._deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)
