"""Who is at the keyboard."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import unicodedata

if sys.platform != "win32":
    import pwd


_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Categories of what nobody sees: controls, marks of direction, blanks."""


def operating_system_actor() -> str:
    """Return ``os:user@host``; a user without a name is known by number."""
    return f"os:{_user()}@{socket.gethostname()}"


def _user() -> str:
    if sys.platform == "win32":
        return getpass.getuser()
    # Never from the environment: there, anybody can write anybody's name.
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # containers run as users that no passwd file knows
        return str(number)


def person(name: str) -> str:
    """Return a name as people are told apart: as the database does, and whatever its locale folds."""
    letters = unicodedata.normalize("NFKC", name)
    seen = (one for one in letters if unicodedata.category(one) not in _UNSEEN)
    return "".join(seen).upper().casefold()
