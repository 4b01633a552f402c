"""PostgreSQL's own programs that tests run, of the server's version."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from django.db import connection

from demo_site.embedded import binaries
from demo_site.embedded.exceptions import EmbeddedPostgresError


def program(name: str) -> Path:
    """Return where a program is that fits the server; skip the test where there is none."""
    major = connection.pg_version // 10_000  # type: ignore[attr-defined]  # of the PostgreSQL backend alone
    for folder in _folders(major):
        if (folder / name).is_file() and _major(folder / name) == major:
            return folder / name
    pytest.skip(
        f"There is no {name} of PostgreSQL {major}: install postgresql-client-{major}, or name "
        f"the bin folder of one in {binaries.VARIABLE}."
    )


def run_on(database: str, name: str, *arguments: str) -> str:
    """Run a program on a database of the server where `default` is; return what it printed."""
    settings = connection.settings_dict
    place = ["-h", settings["HOST"], "-p", str(settings["PORT"]), "-U", settings["USER"]]
    done = subprocess.run(
        [program(name), *place, "-d", database, *arguments],
        env={**os.environ, "PGPASSWORD": settings["PASSWORD"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _folders(major: int) -> list[Path]:
    found = [binaries.SYSTEM_ROOT / str(major) / "bin"]
    with contextlib.suppress(EmbeddedPostgresError):
        found.append(binaries.find().folder)
    on_path = os.environ.get("PATH", "").split(os.pathsep)
    return [*found, *map(Path, filter(None, on_path))]


def _major(path: Path) -> int:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    word = done.stdout.split()[2:3]
    return int(word[0].partition(".")[0]) if word and word[0][0].isdigit() else 0
