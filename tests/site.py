"""The demo site on databases of its own, for tests that use it as a person would."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import ConnectionHandler

from tests.nursery import Nursery

ROOT = Path(__file__).resolve().parents[1]


_nurseries: list[Nursery] = []


def nursery_for(environment: dict[str, str]) -> Nursery:
    """Return what commands with such an environment are forked from, which goes with this process."""
    found = next((one for one in _nurseries if one.fits(environment)), None)
    if found is None:
        found = Nursery(environment)
        _nurseries.append(found)
        atexit.register(found.close)
    return found


@dataclass(frozen=True)
class Site:
    """The demo site on databases of its own, used through processes as a user does."""

    name: str
    url: str

    @property
    def environment(self) -> dict[str, str]:
        # The document's snippets catch what psycopg2 raises.
        own = {
            "DATABASE_URL": self.url,
            "TRIGGER_OPS_DRIVER": "psycopg2",
            "DJANGO_SETTINGS_MODULE": "demo_site.settings",
        }
        return {**os.environ, **own}

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment
        return nursery_for(environment).run(arguments, environment, timeout=120)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _url(name: str) -> str:
    given = connection.settings_dict
    user, password = quote(given["USER"], safe=""), quote(given["PASSWORD"], safe="")
    return f"postgresql://{user}:{password}@{given['HOST']}:{given['PORT']}/{name}"


@pytest.fixture(scope="session")
def fresh_site(django_db_blocker: Any) -> Iterator[Callable[[str], Site]]:
    """Make sites whose databases do not exist yet; drop these in the end."""
    sites: list[Site] = []

    def make(purpose: str) -> Site:
        name = f"site_{purpose}_{os.getpid()}"
        sites.append(Site(name, _url(name)))
        return sites[-1]

    yield make
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        for site in sites:
            for name in (site.name, f"{site.name}_archive"):
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                cursor.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def site(fresh_site: Callable[[str], Site]) -> Site:
    """A site that is migrated, and empty."""
    migrated = fresh_site("tutorial")
    done = migrated.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return migrated


@pytest.fixture
def site_execute(
    site: Site, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Callable[[str], None]]:
    """Run SQL in the database of the site.

    Whatever connects has `django.contrib.postgres` ask the alias `default` as well, whose database
    has to be there.
    """
    handler = ConnectionHandler({"default": {**connection.settings_dict, "NAME": site.name}})

    def execute(statement: str) -> None:
        with django_db_blocker.unblock(), handler["default"].cursor() as cursor:
            cursor.execute(statement)

    yield execute
    handler.close_all()
