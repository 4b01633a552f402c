from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from tests.guard.conftest import (
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    second_connection,
)

__all__ = [
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "second_connection",
]

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("NO_COLOR", "FORCE_COLOR", "DJANGO_COLORS", "COLUMNS", "PYTHONIOENCODING")


@dataclass(frozen=True)
class Result:
    """What a command run in this process wrote, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The output, read as JSON."""
        document: dict[str, Any] = json.loads(self.out)
        return document


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the developer's terminal reach a test."""
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pgtrigger() -> Callable[..., Result]:
    """Run ``pgtrigger`` through ``call_command``, which captures everything."""

    def run(*arguments: str, **options: Any) -> Result:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("pgtrigger", *arguments, stdout=out, stderr=err, **options)
        except CommandError as error:
            return Result(error.returncode, out.getvalue(), f"{err.getvalue()}{error}\n")
        return Result(0, out.getvalue(), err.getvalue())

    return run


@dataclass(frozen=True)
class Site:
    """The tests' site, used through processes on the database of the running test."""

    names: dict[str, str]

    def environment(self, asked: dict[str, Any]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in QUIET}
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "tests.management.settings",
            "TRIGGER_OPS_TEST": json.dumps({"names": self.names, **asked}),
        }

    def manage(
        self, *arguments: str, environment: dict[str, str] | None = None, **asked: Any
    ) -> Result:
        """Run ``manage.py`` with pipes for stdout and stderr."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment(asked), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def site(db: None) -> Site:
    """Processes see the migrated database, not what the test changes in its transaction."""
    return Site(
        {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "archive")}
    )
