"""Who is at the keyboard."""

from __future__ import annotations

import functools
import getpass
import os
import re
import socket
import sys
import unicodedata

from trigger_ops.sql import load

if sys.platform != "win32":
    import pwd


USER = "user:"
"""What the names of Django's users begin with: nobody else reviews."""

_LIST = re.compile(r"unseen text := E'(?P<characters>\[.+\])'")
_KIND = re.compile(r"(?:user|os):")


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
    seen = _unseen().sub("", unicodedata.normalize("NFKC", name))
    return unicodedata.normalize("NFKC", seen).upper().casefold()


def is_same(one: str, other: str) -> bool:
    """Tell whether two names may be one person's, as the database does.

    ``os:ada@web1`` may be ``user:ada``, and ``user:ada@example.org`` as well.
    """
    persons = (person(one), person(other))
    if persons[0] == persons[1] or all(name.startswith(USER) for name in persons):
        return persons[0] == persons[1]
    bare = [_KIND.sub("", name, count=1).partition("@")[0] for name in persons]
    return bool(bare[0]) and bare[0] == bare[1]


@functools.cache
def _unseen() -> re.Pattern[str]:
    """Return what nobody sees: the list is the database's, which reads it in the same way."""
    found = _LIST.search(load("sessions")["person"])
    if found is None:
        raise ValueError("the function that tells people apart has no list of what nobody sees")
    return re.compile(found["characters"].replace("\\\\", "\\"))
