"""Celery's filesystem transport, whose messages are whole when somebody can see them.

As it comes, a worker that looks into the folder while a message is written reads half of it, or
nothing, and ends with JSONDecodeError (kombu 5.7).
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        folder, name = Path(self.data_folder_out), uuid.uuid4()
        unready = folder / f".{name}"
        unready.write_text(dumps(payload))
        unready.rename(folder / f"{round(time.monotonic() * 1000)}_{name}.{queue}.msg")


class Transport(filesystem.Transport):
    Channel = Channel
