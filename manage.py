#!/usr/bin/env python
"""Django's command line for the demo site, with a PostgreSQL of its own behind it."""

from __future__ import annotations

import os
import sys

from demo_site.database import (
    DatabaseRefused,
    DatabaseUrlError,
    ServerUnreachable,
    choose_driver,
    create_missing,
)
from demo_site.embedded import EmbeddedPostgresError, ensure

WITHOUT_DATABASE = ("help", "version", "--version")
READING_VERBS = frozenset({"ls", "diff", "check"})


def needs_database(arguments: list[str]) -> bool:
    """Say whether a command line reads the database; asking for help does not."""
    own = arguments[1 : arguments.index("--")] if "--" in arguments else arguments[1:]
    return bool(own) and own[0] not in WITHOUT_DATABASE and "--help" not in own


def create_databases(arguments: list[str]) -> None:
    """Create what is missing; `pgtrigger ls`, `diff` and `check` report a server that is down."""
    try:
        create_missing()
    except ServerUnreachable:
        if arguments[1:2] != ["pgtrigger"] or READING_VERBS.isdisjoint(arguments[2:]):
            raise


def main() -> None:
    """Run one management command. Without a database: 2 bad address, 4 refused, 5 unreachable."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
    try:
        choose_driver()
        if needs_database(sys.argv):
            ensure()
            create_databases(sys.argv)
    except (DatabaseRefused, DatabaseUrlError, EmbeddedPostgresError, ServerUnreachable) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
