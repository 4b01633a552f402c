"""Tells people what recorded checks have found, and the world that checks still happen."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
import uuid
from collections.abc import Collection

from trigger_ops import conf
from trigger_ops.exceptions import BadSettings, nearest
from trigger_ops.ledger.outbox import (
    NO_SUCH,
    Standing,
    give_up_strange,
    mark_failed,
    mark_sent,
    standing,
    take,
    wake,
)
from trigger_ops.ledger.recording import recording
from trigger_ops.notifications import Backend, NotDelivered
from trigger_ops.notifications.addresses import target_of
from trigger_ops.notifications.backends import backend_of, tell
from trigger_ops.notifications.calls import call
from trigger_ops.notifications.wording import printable, worst_first
from trigger_ops.records import Destination, Message

LOGGER = logging.getLogger("trigger_ops")

PATIENCE_SECONDS = 30
"""How long one destination that fails may keep the others waiting."""

HEARTBEAT_SECONDS = 5
HEARTBEAT_TRIES = 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What one destination was told. ``messages`` and ``changes`` are what has arrived.

    ``error`` says why something has not, in one sentence without secrets, and ``next_try`` when
    that is tried again, None where it is not. ``waiting`` and ``given_up`` are changes.
    ``bad_settings`` says that nothing was tried, because the settings have to be mended first.
    """

    destination: str
    messages: int = 0
    changes: int = 0
    waiting: int = 0
    given_up: int = 0
    error: str = ""
    next_try: dt.datetime | None = None
    bad_settings: bool = False


def deliver(to: Collection[str] = ()) -> list[Delivery]:
    """Tell each destination of the settings what it is to be told, or only those named ``to``.

    Each message is taken in one short transaction and sent outside of it, so do not call this
    inside a transaction of your own. A process that dies in between has its message sent again
    by another one, with the same number. Destinations that are gone come last, with what was
    given up.

    Raises:
        BadSettings: for settings that cannot be read, and for a name that they do not have.
        NotRecorded: when the recording database cannot be reached, or is not migrated.
    """
    chosen = _chosen(to)
    gone = [] if to else _give_up_strange()
    return [*[_deliver(one) for one in chosen], *gone]


def send_test(to: Collection[str] = ()) -> list[Delivery]:
    """Send a test message to each destination, or only to those named ``to``.

    Raises:
        BadSettings: for settings that cannot be read, and for a name that they do not have.
    """
    return [_test(one) for one in _chosen(to)]


def ping_heartbeat() -> str:
    """Ask for the heartbeat's address, if there is one. To be called after a complete run.

    Returns an empty text, or why nobody answered; that is logged as well, and never raised.
    """
    try:
        url = conf.heartbeat_url()
        error = _ping(url, conf.private_hosts()) if url else ""
    except BadSettings:
        # Not what it says: it may repeat the address, which is a secret.
        error = "TRIGGER_OPS cannot be used as it is: run manage.py check."
    if error:
        LOGGER.warning("trigger_ops: the heartbeat was not heard: %s", error)
    return error


def _ping(url: str, private_hosts: Collection[str]) -> str:
    try:
        target = target_of(url)
    except ValueError as wrong:
        return f'TRIGGER_OPS["HEARTBEAT_URL"] is wrong: {wrong}.'
    error = ""
    for _ in range(HEARTBEAT_TRIES):
        try:
            call(target, method="GET", timeout=HEARTBEAT_SECONDS, private_hosts=private_hosts)
        except NotDelivered as failed:
            error = str(failed)
        else:
            return ""
    return error


def _chosen(to: Collection[str]) -> list[Destination]:
    destinations = {one.name: one for one in conf.destinations()}
    for name in to:
        if name not in destinations:
            raise BadSettings(
                f'TRIGGER_OPS["NOTIFY"] has no destination "{printable(name)}": '
                f"{nearest(name, destinations)}"
            )
    return [one for name, one in destinations.items() if not to or name in to]


def _give_up_strange() -> list[Delivery]:
    with recording() as book:
        gone = give_up_strange(book, [one.name for one in conf.destinations()])
    for name, count in gone.items():
        LOGGER.warning("trigger_ops: %d changes for %r given up: %s", count, name, NO_SUCH)
    return [Delivery(destination=name, given_up=count) for name, count in gone.items()]


def _deliver(destination: Destination) -> Delivery:
    name = destination.name
    with recording() as book:
        since = book.now
        wake(book, name)
        left = standing(book, name, since=since)
    if not left.waiting:
        return Delivery(destination=name)
    try:
        backend = backend_of(destination)
    except BadSettings as error:
        LOGGER.error("trigger_ops: %r was not told: %s", name, error)  # noqa: TRY400 - a traceback might hold a secret
        return Delivery(
            destination=name, waiting=left.waiting, error=str(error), bad_settings=True
        )
    messages, changes = _send_all(backend, destination)
    with recording() as book:
        left = standing(book, name, since=since)
    return _delivery(name, messages, changes, left)


def _delivery(name: str, messages: int, changes: int, left: Standing) -> Delivery:
    return Delivery(
        destination=name,
        messages=messages,
        changes=changes,
        waiting=left.waiting,
        given_up=left.given_up,
        error=left.error,
        next_try=left.next_try,
    )


def _send_all(backend: Backend, destination: Destination) -> tuple[int, int]:
    """Send message after message; return how many arrived, and how many changes they told."""
    messages = changes = 0
    failed, began = False, time.monotonic()
    while not (failed and time.monotonic() - began > PATIENCE_SECONDS):
        with recording() as book:
            message = take(book, destination.name)
        if message is None:
            break
        if _send(backend, destination, message):
            messages, changes = messages + 1, changes + len(message.changes)
        else:
            failed = True
    return messages, changes


def _send(backend: Backend, destination: Destination, message: Message) -> bool:
    ordered = dataclasses.replace(message, changes=worst_first(message.changes))
    error = tell(backend, ordered, destination.options)
    if error:
        LOGGER.error(
            "trigger_ops: %r was not told of %d changes (message %s, attempt %d): %s",
            *(destination.name, len(message.changes), message.id, message.attempt, error),
        )
    with recording() as book:
        if error:
            mark_failed(book, message, error)
        else:
            mark_sent(book, message)
    return not error


def _test(destination: Destination) -> Delivery:
    name = destination.name
    try:
        backend = backend_of(destination)
    except BadSettings as error:
        return Delivery(destination=name, error=str(error), bad_settings=True)
    message = Message(id=uuid.uuid4(), destination=name, changes=())
    error_text = tell(backend, message, destination.options)
    return Delivery(destination=name, messages=0 if error_text else 1, error=error_text)
