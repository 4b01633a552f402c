"""Databases and servers of the tests' own, for what a rolled-back transaction cannot show."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import load_backend
from django.test.utils import setup_databases, teardown_databases

from demo_site.embedded import account as accounts
from demo_site.embedded import binaries, launch, server
from demo_site.embedded.home import Home
from tests.copies import Copies


@contextlib.contextmanager
def default_at(**settings: Any) -> Iterator[BaseDatabaseWrapper]:
    """Let the alias `default` mean another database for a while."""
    original = connections["default"]
    changed = {**copy.deepcopy(original.settings_dict), **settings}
    other = load_backend(changed["ENGINE"]).DatabaseWrapper(changed, "default")
    connections["default"] = other
    try:
        yield other
    finally:
        other.close()
        connections["default"] = original


def _maintain(statement: str, name: str, **names: str) -> None:
    identifiers = {key: sql.Identifier(one) for key, one in {"name": name, **names}.items()}
    with connections["default"]._nodb_cursor() as cursor:  # type: ignore[attr-defined]  # Django's own, without a hint
        cursor.execute(sql.SQL(statement).format(**identifiers))


@pytest.fixture(scope="session")
def migrated_database(
    django_db_setup: None, django_db_keepdb: bool, django_db_blocker: Any
) -> Iterator[str]:
    """Return the name of the migrated test database, and make it if no test of the run has yet.

    pytest-django makes it only where some test is marked with `django_db`; those that work on
    copies of it cannot be, for the mark keeps a connection open.
    """
    settings = connections["default"].settings_dict
    if settings["NAME"] == settings["TEST"]["NAME"]:
        yield settings["NAME"]
        return
    with django_db_blocker.unblock():
        made = setup_databases(0, interactive=False, keepdb=django_db_keepdb, aliases={"default"})
    yield settings["NAME"]
    with django_db_blocker.unblock():
        if not django_db_keepdb:
            teardown_databases(made, 0)


@pytest.fixture
def make_database(
    copies: Callable[[str], Copies], migrated_database: str, django_db_blocker: Any
) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database: a copy of the migrated one, or an empty one."""
    made: list[tuple[Copies, str]] = []

    def make(*, empty: bool = False) -> str:
        of = copies("template0" if empty else migrated_database)
        made.append((of, of.take()))
        return made[-1][1]

    with django_db_blocker.unblock():
        yield make
        for of, name in made:
            of.give_back(name)
        connections.close_all()


@pytest.fixture
def own_database(make_database: Callable[..., str]) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a copy of the migrated database, where everything may be committed."""
    with default_at(NAME=make_database()) as connection:
        yield connection


@pytest.fixture
def empty_database(make_database: Callable[..., str]) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a database without a single table."""
    with default_at(NAME=make_database(empty=True)) as connection:
        yield connection


@pytest.fixture
def second_connection() -> Iterator[Callable[..., BaseDatabaseWrapper]]:
    """Return a function that connects once more to where `default` is; all are closed after."""
    opened: list[BaseDatabaseWrapper] = []

    def connect(**settings: Any) -> BaseDatabaseWrapper:
        changed = {**copy.deepcopy(connections["default"].settings_dict), **settings}
        opened.append(load_backend(changed["ENGINE"]).DatabaseWrapper(changed, "default"))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@dataclass(frozen=True)
class OwnServer:
    """A PostgreSQL server of the tests' own, with a migrated database."""

    home: Home
    server: server.Server

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.server.data

    def settings(self, running: server.Server | None = None) -> dict[str, Any]:
        """Return what to give :func:`default_at`; ``running`` is another server of this home.

        A test that restarted this one gave it another port.
        """
        here = running or launch.find_running(self.home) or self.server
        return {
            "NAME": "weak",
            "USER": "postgres",
            "PASSWORD": self.home.read_password(),
            "HOST": "127.0.0.1",
            "PORT": str(here.port),
            "OPTIONS": {},
        }

    def make_standby(self) -> server.Server:
        """Copy the server and start the copy as a hot standby that follows it."""
        owner = accounts.owner_of(self.data, accounts.current())
        usable = binaries.within_reach(binaries.find(), owner, self.home)
        folder = self.data.with_name("standby")
        folder.mkdir(mode=0o700)
        if owner.switch:
            os.chown(folder, owner.uid, owner.gid)
        one = self.settings()
        address = f"postgresql://postgres:{one['PASSWORD']}@127.0.0.1:{one['PORT']}/weak"
        command = [usable.folder / "pg_basebackup", "-D", folder, "-R", "-c", "fast"]
        code, output = accounts.run([*command, "-X", "stream", "-d", address], owner)
        assert code == 0, output
        return server.start(folder, usable, owner, durable=False)


@pytest.fixture(scope="session")
def own_server(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: str, django_db_blocker: Any
) -> Iterator[OwnServer]:
    """Start a server that nobody else uses, for what concerns a whole server."""
    home = Home(tmp_path_factory.mktemp("own server"))
    launch.enter(home, durable=False)
    running = launch.find_running(home)
    assert running is not None
    own = OwnServer(home, running)
    with django_db_blocker.unblock():
        with default_at(**{**own.settings(), "NAME": "postgres"}):
            _maintain("CREATE DATABASE {name}", "weak")
        with default_at(**own.settings()):
            call_command("migrate", verbosity=0)
    yield own
    launch.reset(home)
