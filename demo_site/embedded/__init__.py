"""A PostgreSQL of the project's own, for the demo site and the tests.

`ensure()` gives the address of a running server and starts one if need be. It listens on
127.0.0.1 only, wants a password, and stops with the last process that uses it.
"""

from __future__ import annotations

import os
from pathlib import Path

from demo_site.embedded.exceptions import EmbeddedPostgresError

__all__ = ["DATABASE_NAME", "EmbeddedPostgresError", "ensure", "is_embedded"]

DATABASE_NAME = "trigger_ops"
_HOME_VARIABLE = "TRIGGER_OPS_EMBEDDED_HOME"


def ensure(home: Path | None = None, *, durable: bool = False) -> str:
    """Return the DATABASE_URL of a running server, and put it into the environment.

    A DATABASE_URL that is set wins: nothing is started. `home` (default: `.demo` in the project)
    holds the data; `durable` makes commits survive a crash of the machine.
    Raises EmbeddedPostgresError, whose message is for people.
    """
    given = os.environ.get("DATABASE_URL")
    if given:
        _join_parent(given)
        return given
    if os.name != "posix":
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL runs on Linux and macOS only: "
            "set DATABASE_URL to a server of yours."
        )
    from demo_site.embedded.launch import enter, settled

    place = settled(home)
    url = enter(place, durable=durable)
    os.environ["DATABASE_URL"] = url
    os.environ[_HOME_VARIABLE] = str(place.path)
    return url


def is_embedded() -> bool:
    """Say whether the DATABASE_URL of this process is that of a server which `ensure` started."""
    return _HOME_VARIABLE in os.environ


def _join_parent(url: str) -> None:
    """Count as a user of the server that a parent process started, should we outlive it."""
    home = os.environ.get(_HOME_VARIABLE)
    if home and os.name == "posix":
        from demo_site.embedded.launch import join_running, settled

        join_running(settled(Path(home)), url)
