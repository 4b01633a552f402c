"""``manage.py demo``: what ``make demo`` runs."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from demo_site import samples
from demo_site.commands_to_try import COMMANDS
from demo_site.embedded import is_embedded
from demo_site.past import checks, damage, sessions

HOST = "127.0.0.1"
USER = PASSWORD = "demo"  # for a site on this machine only

GREETING = """\
The demo site is on  {url}
its admin on         {url}admin/  (user {user}, password {password})
  {operator} asks for sessions there, {reviewer} reviews them, with the same password.

To try in another terminal{condition}:
{commands}

Ctrl-C stops the site.
"""


class Command(BaseCommand):
    """Prepare the databases, then serve the site until it is stopped."""

    help = "Migrate, load sample data and a past, and serve the demo site."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Serve until SIGINT or SIGTERM. Exit with 2 for a bad port, with 5 for a busy one."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        port = free_port(os.environ.get("PORT") or "8000")
        try:
            prepare()
        except KeyboardInterrupt:
            sys.exit(130)
        self.stdout.write(greeting(port))
        self.stdout.flush()
        for connection in connections.all():
            connection.close()
        call_command(
            "runserver",
            f"{HOST}:{port}",
            use_reloader=False,
            stdout=io.StringIO(),  # its banner says less than ours
        )


def greeting(port: int) -> str:
    """Return where the site is, and which commands to try."""
    python = os.path.relpath(sys.executable)
    return GREETING.format(
        url=f"http://{HOST}:{port}/",
        user=USER,
        password=PASSWORD,
        operator=sessions.OPERATOR,
        reviewer=sessions.REVIEWER,
        commands="\n".join(f"  {python} {command:<34}{purpose}" for command, purpose in COMMANDS),
        condition="" if is_embedded() else ", with DATABASE_URL set as here",
    )


def prepare() -> None:
    """Bring both databases to where the demo begins. What a user changed since then stays."""
    for alias in ("default", "archive"):
        executor = MigrationExecutor(connections[alias])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", database=alias, verbosity=0, interactive=False)
    if samples.is_empty():
        samples.load()
        damage.apply()
        sessions.begin(PASSWORD)
    sessions.go_on(PASSWORD)
    if not checks.are_recorded():
        checks.record()
    users = get_user_model().objects
    if not users.filter(username=USER).exists():
        users.create_superuser(USER, password=PASSWORD)


def free_port(port: str) -> int:
    """Return the port as a number. Raises CommandError, with its exit code, if it is no use."""
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise CommandError(f"PORT is {port!r}: it must be a number from 1 to 65535.", returncode=2)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {HOST} cannot be used ({error.strerror}):"
                f" stop what uses it, or choose another with PORT={int(port) % 65535 + 1} make demo.",
                returncode=5,
            ) from error
    return int(port)
