"""Who is at the keyboard."""

from __future__ import annotations

import getpass
import os
import socket


def operating_system_actor() -> str:
    """Return ``os:user@host``; a user without a name is known by number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # containers run as users that no passwd file knows
        user = str(os.getuid())
    return f"os:{user}@{socket.gethostname()}"
