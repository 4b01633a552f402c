"""Where webhooks and heartbeats may go: to public addresses, and to hosts that settings name."""

from __future__ import annotations

import dataclasses
import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Collection
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from trigger_ops.notifications import NotDelivered

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_.:-]+")
_PATH = "/%:@!$&'()*+,;=~-._?"

LOOK_UP_SECONDS = 5.0

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
"""All that was ever given to anybody. What lies outside leads into one's own network, if anywhere."""
_NOBODYS = tuple(
    ipaddress.IPv6Network(one)
    for one in (
        "2001::/23",  # of protocols: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # of documentation
        "3fff::/20",  # of documentation
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An address of the web, taken apart. ``path`` and ``login`` may be secrets.

    ``host`` is lower case and ASCII, an IPv6 address without brackets; ``login`` is what stood
    before the @ as user and password, None without one.
    """

    scheme: str
    host: str
    port: int
    path: str = dataclasses.field(repr=False)
    login: tuple[str, str] | None = dataclasses.field(repr=False)

    @property
    def authority(self) -> str:
        """Return what a ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket address that was judged, and is the one to connect to."""

    family: int
    address: tuple[Any, ...]


def target_of(url: str) -> Target:
    """Take an address apart.

    Raises:
        ValueError: saying what is wrong with it, in words that never contain any of it.
    """
    if " " in url or not url.isprintable():
        raise ValueError("it contains blanks or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it is no address of the web") from None
    if parts.scheme not in _PORTS:
        raise ValueError("it begins with neither http:// nor https://")
    query = f"?{quote(parts.query, safe=_PATH)}" if parts.query else ""
    return Target(
        scheme=parts.scheme,
        host=_host_of(parts),
        port=_PORTS[parts.scheme] if port is None else port,
        path=(quote(parts.path, safe=_PATH) or "/") + query,
        login=_login_of(parts),
    )


def _host_of(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("its host is no name") from None
    if not _NAME.fullmatch(host):
        raise ValueError("it has no host" if not host else "its host is no name")
    return host


def _login_of(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def endpoints(
    target: Target, private_hosts: Collection[str], *, seconds: float = LOOK_UP_SECONDS
) -> list[Endpoint]:
    """Look a host up once; return where to connect to.

    Raises:
        NotDelivered: for a host that is not known, and for one with a private address that
            ``private_hosts`` does not name.
        TimeoutError: when nobody says in time where it is.
    """
    try:
        found = _looked_up(target, seconds)
    except TimeoutError:
        raise
    except (OSError, UnicodeError):
        raise NotDelivered(f"{target.host} is not known: its name has no address.") from None
    if target.host not in {bare(one) for one in private_hosts}:
        for *_, address in found:
            if is_private(str(address[0])):
                raise NotDelivered(
                    f"{target.host} has a private address: name the host in "
                    'TRIGGER_OPS["PRIVATE_HOSTS"] if it may be reached.'
                )
    return [Endpoint(family, address) for family, *_, address in found]


def _looked_up(target: Target, seconds: float) -> list[Any]:
    """Ask the resolver, which knows no timeout of ours: a thread waits for it, and is left."""
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="trigger_ops looks a host up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def bare(host: str) -> str:
    """Return a host as :class:`Target` has it."""
    return host.lower().removeprefix("[").removesuffix("]").rstrip(".")


def is_private(text: str) -> bool:
    """Tell whether an IP address is anything but one of the public internet."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_private(str(inner))
        if address not in _GIVEN_OUT or any(address in network for network in _NOBODYS):
            return True
    return not address.is_global or address.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, of 6to4, or of NAT64."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
