"""Backends of a project's own that do not come back."""

from __future__ import annotations

import time

from trigger_ops.notifications import Backend
from trigger_ops.records import Message


class Hangs(Backend):
    """Waits for something that never comes."""

    def send(self, message: Message) -> None:
        time.sleep(600)


class Stubborn(Backend):
    """Waits on, whatever it is told."""

    def send(self, message: Message) -> None:
        while True:
            try:
                time.sleep(600)
            except Exception:  # noqa: BLE001  # that is the fault that it is here for
                continue
