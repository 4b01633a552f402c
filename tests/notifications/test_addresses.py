"""Which addresses of the web may be reached."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from trigger_ops.notifications import NotDelivered
from trigger_ops.notifications.addresses import endpoints, is_private, target_of

REFUSED = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.254"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.2.3"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1"),
    *("fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2001::1", "100::1"),
    # IPv4 inside by translation (SIIT), and what only looks like it.
    *("::ffff:0:127.0.0.1", "::ffff:0:169.254.169.254", "::1:7f00:1", "::2:0:1", "::8.8.8.8"),
    # Never given to anybody: segment routing, discard-only, unassigned.
    *("5f00::1", "100:0:0:1::1", "64:ff9b:1:fffe::808:808", "4000::1", "fe00::1", "1fff::1"),
    # Of documentation, benchmarks and protocols.
    *("3fff::1", "3fff:fff:ffff::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8:1::1"),
    *("2001:1::1", "2001:1ff:ffff::1"),
]

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "172.32.0.1", "172.15.255.255", "100.128.0.1", "169.253.1.1"),
    *("2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"),
    *("2001:4860:4860::8888", "2001:200::1", "2a00:1450::1", "3ffe::1", "3fff:1000::1"),
]

SPELLED = [
    *("localhost", "LOCALHOST.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1"),
    *("017700000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "0"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "10.1", "192.168.257"),
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not_private(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize("host", SPELLED)
def test_a_private_host_is_refused_however_it_is_spelled(host: str) -> None:
    with pytest.raises(NotDelivered, match=r'has a private address.*"PRIVATE_HOSTS"'):
        endpoints(target_of(f"http://{host}/secret-path"), ())


@pytest.mark.parametrize(
    ("host", "named"),
    [
        *(("127.0.0.1", "127.0.0.1"), ("LocalHost.", "localhost"), ("localhost", "LOCALHOST")),
        *(("[::1]", "::1"), ("[::1]", "[::1]"), ("127.1", "127.1")),
    ],
)
def test_a_private_host_that_is_named_may_be_reached(host: str, named: str) -> None:
    assert endpoints(target_of(f"https://{host}:8443/"), [named])


def test_naming_one_host_names_no_other() -> None:
    with pytest.raises(NotDelivered):
        endpoints(target_of("http://127.0.0.1/"), ["localhost", "127.0.0.2"])


def test_a_host_with_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def two(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (one, 80)) for one in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(NotDelivered, match=r"mixed\.example has a private address"):
        endpoints(target_of("http://mixed.example/"), ())


def test_a_name_that_nobody_has_is_not_known() -> None:
    with pytest.raises(NotDelivered, match=r"^nowhere\.invalid is not known"):
        endpoints(target_of("https://nowhere.invalid/secret-path"), ())


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("", "neither http:// nor https://"),
        ("hooks.geheim.org/x", "neither http:// nor https://"),
        ("ftp://hooks.geheim.org/", "neither http:// nor https://"),
        ("file:///etc/geheim", "neither http:// nor https://"),
        ("gopher://127.0.0.1:6379/_geheim", "neither http:// nor https://"),
        ("http://", "no host"),
        ("http:///geheim", "no host"),
        ("http://:80/geheim", "no host"),
        ("http://geheim:port/", "no address of the web"),
        ("http://geheim:99999/", "no address of the web"),
        ("http://[::1/geheim", "no address of the web"),
        ("http://[fe80::1%25eth0]/geheim", "no name"),
        ("http://ge heim.org/", "blanks or control characters"),
        ("http://geheim.org/\r\nX-Evil: 1", "blanks or control characters"),
        ("http://geheim.org/\udc80", "blanks or control characters"),
        ("http://geheim<b>.org/", "no name"),
        (f"http://{'ü' * 80}.geheim.org/", "no name"),
    ],
)
def test_a_bad_address_is_told_without_any_of_it(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as said:
        target_of(url)
    assert "geheim" not in str(said.value)


@pytest.mark.parametrize(
    ("url", "authority", "path", "login"),
    [
        ("http://Hooks.Example.org", "hooks.example.org", "/", None),
        ("https://hooks.example.org:443/a?b=c#d", "hooks.example.org", "/a?b=c", None),
        ("http://hooks.example.org:443/", "hooks.example.org:443", "/", None),
        ("https://[2606::1]:8443/", "[2606::1]:8443", "/", None),
        ("https://bücher.example/ü%20x", "xn--bcher-kva.example", "/%C3%BC%20x", None),
        ("https://ann:p%40ss@h.example/", "h.example", "/", ("ann", "p@ss")),
    ],
)
def test_an_address_is_taken_apart(url: str, authority: str, path: str, login: Any) -> None:
    target = target_of(url)
    assert (target.authority, target.path, target.login) == (authority, path, login)


def test_a_target_shows_no_secret() -> None:
    shown = repr(target_of("https://ann:geheim@hooks.example/services/T0/geheim2"))
    assert "hooks.example" in shown
    assert "geheim" not in shown
