"""Tells people of findings: by e-mail, by webhook, or by a class of the project's own."""

from __future__ import annotations

from typing import Any

from trigger_ops.records import Message


class NotDelivered(Exception):
    """A message did not arrive; it is tried again later."""


class Backend:
    """One way to tell people. Subclasses are named in ``TRIGGER_OPS["NOTIFY"]``.

    An instance is made for each delivery, with the options of its destination; it raises
    ``BadSettings`` for options that it cannot work with.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.options = options

    def send(self, message: Message) -> None:
        """Send one message. It must return within two minutes: others may try after that.

        It may be called again with the same message, whose ``id`` then tells that it is a repeat.
        A message without changes is a test.

        Raises:
            NotDelivered: saying why in one sentence without secrets; it is tried again later.
        """
        raise NotImplementedError
