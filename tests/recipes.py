"""A site that the schedules and pipelines of the documentation are run on, as processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import load_backend

from tests.damage import install_sql
from tests.site import Site, nursery_for

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

GUTTED = "pgtrigger_protect_deletes_4ee25"


@dataclass(frozen=True)
class Done:
    """What a recipe printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shop:
    """The demo site, migrated, where tests damage one thing at a time and put it right again."""

    site: Site
    connection: Any

    def run(self, *command: str | Path, **environment: str) -> Done:
        """Run a command in the project, with the project's own Python first in the PATH.

        That one need not load Django each time: see :mod:`tests.nursery`.
        """
        python = nursery_for(self.site.environment).python
        done = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env={
                **self.site.environment,
                "PATH": f"{python.parent}:{os.environ['PATH']}",
                "PROJECT": str(ROOT),
                "PYTHON": str(python),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def execute(self, statement: Any, *parameters: object) -> list[Any]:
        """Run SQL in the site's database; return the rows, if any."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def nobody(self) -> dict[str, str]:
        """The environment in which no database answers."""
        return {"DATABASE_URL": re.sub(r":\d+/", ":1/", self.site.url)}

    @contextlib.contextmanager
    def gutted(self) -> Iterator[None]:
        """Let a trigger's function do nothing."""
        ((before,),) = self.execute("SELECT pg_get_functiondef(%s::regproc)", GUTTED)
        self.execute(
            f"CREATE OR REPLACE FUNCTION {GUTTED}() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN OLD; END $$"
        )
        try:
            yield
        finally:
            self.execute(str(before))

    @contextlib.contextmanager
    def tenant(self, schema: str) -> Iterator[None]:
        """Let there be a schema with a table of the project, whose trigger's function does nothing."""
        name = sql.Identifier(schema)
        self.execute(
            sql.SQL(
                "CREATE SCHEMA {0}; SET search_path = {0}; "
                "CREATE TABLE past_invoice (LIKE public.past_invoice INCLUDING ALL)"
            ).format(name)
        )
        drop = sql.SQL("RESET search_path; DROP SCHEMA {} CASCADE").format(name)
        try:
            self.execute(install_sql("past.Invoice:protect_deletes"))
            self.execute("RESET search_path")
            self.execute(
                sql.SQL(
                    "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql "
                    "AS $$ BEGIN RETURN OLD; END $$"
                ).format(sql.Identifier(schema, GUTTED))
            )
            yield
        finally:
            self.execute(drop)

    @contextlib.contextmanager
    def without_archive(self) -> Iterator[None]:
        """Let nobody connect to the second database."""
        allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
        name = sql.Identifier(f"{self.site.name}_archive")
        self.execute(sql.SQL(allow).format(name, sql.SQL("false")))
        try:
            yield
        finally:
            self.execute(sql.SQL(allow).format(name, sql.SQL("true")))

    def runs(self) -> int:
        """Return how many runs were recorded."""
        return int(self.execute("SELECT count(*) FROM trigger_ops_driftrun")[0][0])


@pytest.fixture(scope="module")
def shop(fresh_site: Any) -> Iterator[Shop]:
    """A migrated site with a complete run, whose databases the whole module shares."""
    site = fresh_site("recipes")
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    done = site.manage("pgtrigger", "check", "--record")
    assert done.returncode == 0, done.stdout + done.stderr
    # Not a connection of Django's: whatever makes one has `django.contrib.postgres` ask the alias
    # `default`, whose database no test of ours needs.
    settings = {**connection.settings_dict, "NAME": site.name}
    wrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "recipes")
    raw = wrapper.get_new_connection(wrapper.get_connection_params())
    raw.autocommit = True
    with contextlib.closing(raw):
        yield Shop(site, raw)
