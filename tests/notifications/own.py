"""Backends as projects write them, good ones and bad ones."""

from __future__ import annotations

from typing import Any, ClassVar

from trigger_ops.notifications import Backend, NotDelivered
from trigger_ops.records import Message


class Kept(Backend):
    """Keeps what it was told."""

    told: ClassVar[list[Message]] = []

    def send(self, message: Message) -> None:
        self.told.append(message)


class Fails(Backend):
    """Fails, and gives everything away. ``how`` is what it raises."""

    def __init__(self, name: str, *, how: str = "NotDelivered", **options: Any) -> None:
        self.how, self.secrets = how, options  # on purpose without super()

    def send(self, message: Message) -> None:
        said = f"HTTPSConnectionPool: url={self.secrets} \x1b[2J\nX: 1"
        raise {"NotDelivered": NotDelivered, "KeyError": KeyError}[self.how](said)


class Unmade(Backend):
    """Cannot be made."""

    def __init__(self, name: str, **options: Any) -> None:
        raise KeyError(f"geheim {options}")


class NoBackend:
    """Not a subclass of Backend."""
