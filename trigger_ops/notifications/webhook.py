"""Tells a web service, with a signature by which it knows who speaks."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any

from trigger_ops import conf
from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications import Backend
from trigger_ops.notifications.addresses import target_of
from trigger_ops.notifications.calls import call
from trigger_ops.notifications.documents import body
from trigger_ops.notifications.options import known_only
from trigger_ops.records import Message

TIMEOUT_SECONDS = 5
LONGEST_TIMEOUT = 60
SIGNATURE = "X-Trigger-Ops-Signature"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OURS = ("host", "content-length", "content-type", "transfer-encoding", "connection")


class Webhook(Backend):
    """Sends a JSON document by POST. Options: ``url``, ``secret``, ``timeout``, ``headers``."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        known_only(name, options, ("url", "secret", "timeout", "headers"))
        try:
            self._target = target_of(_text(name, options, "url"))
        except ValueError as error:
            raise BadSettings(f'TRIGGER_OPS["NOTIFY"], "{name}": url is wrong: {error}.') from None
        secret = options.get("secret")
        self._secret = _text(name, options, "secret") if secret is not None else ""
        self._timeout = _timeout(name, options.get("timeout", TIMEOUT_SECONDS))
        self._headers = _headers(name, options.get("headers", {}))
        self._private_hosts = conf.private_hosts()

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            NotDelivered: naming nothing of the address but the host.
        """
        document = body(message)
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Idempotency-Key": str(message.id),
        }
        if self._secret:
            headers[SIGNATURE] = signature(document, self._secret, at=int(time.time()))
        call(
            self._target,
            method="POST",
            headers=headers,
            body=document,
            timeout=self._timeout,
            private_hosts=self._private_hosts,
        )


def signature(document: bytes, secret: str, *, at: int) -> str:
    """Return ``t=<unix time>,v1=<HMAC-SHA256 of "<t>.<document>" in hex>``."""
    signed = f"{at}.".encode() + document
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _text(name: str, options: Mapping[str, Any], key: str) -> str:
    value = options.get(key)
    if not isinstance(value, str) or not value:
        raise BadSettings(f'TRIGGER_OPS["NOTIFY"], "{name}": a webhook needs {key}, a text.')
    return value


def _timeout(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = 0
    if not 0 < value <= LONGEST_TIMEOUT:
        raise BadSettings(
            f'TRIGGER_OPS["NOTIFY"], "{name}": timeout must be a number of seconds, '
            f"at most {LONGEST_TIMEOUT}."
        )
    return float(value)


def _headers(name: str, value: object) -> dict[str, str]:
    """Return what is sent beside our own headers. The sentences name no value: it may be a key."""
    if not isinstance(value, Mapping):
        raise BadSettings(f'TRIGGER_OPS["NOTIFY"], "{name}": headers must be a dict of texts.')
    for key, text in value.items():
        fits = isinstance(key, str) and _TOKEN.fullmatch(key) and isinstance(text, str)
        if not fits or not _VALUE.fullmatch(text):
            raise BadSettings(
                f'TRIGGER_OPS["NOTIFY"], "{name}": headers has one that HTTP does not take.'
            )
        if key.lower() in (*_OURS, "idempotency-key", SIGNATURE.lower()):
            raise BadSettings(
                f'TRIGGER_OPS["NOTIFY"], "{name}": the header {key} is ours: take it out.'
            )
    return dict(value)
