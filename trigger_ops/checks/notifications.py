"""Checks of whom to tell, and how: ``NOTIFY``, ``HEARTBEAT_URL`` and ``PRIVATE_HOSTS``.

No message repeats an address or an option: they are secrets.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from django.core import checks

from trigger_ops import conf
from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications.addresses import bare, is_private, target_of
from trigger_ops.notifications.backends import backend_of

_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*")


def check_notifications(**_: Any) -> list[checks.CheckMessage]:
    """Return S027 for what is wrong with ``NOTIFY``, S028 ``HEARTBEAT_URL``, S029 ``PRIVATE_HOSTS``.

    What has the wrong type altogether is told by the check of all settings.
    """
    declared = conf.declared()
    if not isinstance(declared, dict):
        return []
    found: list[checks.CheckMessage] = []
    hosts = declared.get("PRIVATE_HOSTS", [])
    good = isinstance(hosts, list) and all(isinstance(one, str) and one for one in hosts)
    if good:
        found += _host_messages(hosts)
    if isinstance(declared.get("HEARTBEAT_URL", ""), str):
        found += _heartbeat_messages(declared.get("HEARTBEAT_URL", ""), hosts if good else [])
    if good and isinstance(declared.get("NOTIFY", []), list):
        found += _destination_messages()
    return found


def _destination_messages() -> Iterator[checks.CheckMessage]:
    try:
        destinations = conf.destinations()
    except BadSettings as error:
        yield _error("S027", str(error), "Mend it: until then nobody is told.")
        return
    for one in destinations:
        try:
            backend_of(one)
        except BadSettings as error:
            yield _error(
                "S027", str(error), "Mend it, then try: manage.py pgtrigger notify --test"
            )


def _heartbeat_messages(url: str, hosts: list[str]) -> Iterator[checks.CheckMessage]:
    if not url:
        return
    try:
        target = target_of(url)
    except ValueError as error:
        yield _error(
            "S028",
            f'TRIGGER_OPS["HEARTBEAT_URL"] is wrong: {error}.',
            'Such as "https://checks.example.org/ping/…"; "" asks for nothing.',
        )
        return
    allowed = {bare(one) for one in hosts}
    if target.host not in allowed and _is_address(target.host) and is_private(target.host):
        yield _error(
            "S028",
            'TRIGGER_OPS["HEARTBEAT_URL"] has a private address.',
            'Name the host in TRIGGER_OPS["PRIVATE_HOSTS"] if it may be reached.',
        )


def _host_messages(hosts: list[str]) -> Iterator[checks.CheckMessage]:
    for one in hosts:
        if not _is_address(bare(one)) and not _NAME.fullmatch(bare(one)):
            yield _error(
                "S029",
                f'TRIGGER_OPS["PRIVATE_HOSTS"][{hosts.index(one)}] is neither the name of a host '
                "nor an address.",
                'Name it without scheme, port or path, such as "alerts.internal" or "10.0.0.7".',
            )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _error(code: str, message: str, hint: str) -> checks.Error:
    return checks.Error(message, hint=hint, id=f"trigger_ops.{code}")
