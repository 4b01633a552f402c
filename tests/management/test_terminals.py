"""Real pipes and a real terminal, with a process at the other end."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.management.conftest import ROOT, Site

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

LINE = "INSTALLED ENABLED past.Customer:read_only_email"
PAINTED = "\x1b[92mINSTALLED\x1b[0m \x1b[92mENABLED\x1b[0m past.Customer:read_only_email"


def on_a_terminal(site: Site, *arguments: str, **environment: str) -> str:
    """Return what ``manage.py`` writes to a terminal."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**site.environment({}), "TERM": "xterm", **environment},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=60,
            check=True,
        )
        return os.read(ours, 65_536).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("arguments", "environment", "shown"),
    [
        (("pgtrigger", "ls", "past.Customer"), {}, PAINTED),
        (("pgtrigger", "ls", "past.Customer"), {"NO_COLOR": "1"}, LINE),
        (("pgtrigger", "ls", "past.Customer", "--no-color"), {}, LINE),
        (("pgtrigger", "--no-color", "ls", "past.Customer"), {}, LINE),
    ],
)
def test_a_terminal_gets_colours_unless_it_wants_none(
    arguments: tuple[str, ...], environment: dict[str, str], shown: str, site: Site
) -> None:
    assert on_a_terminal(site, *arguments, **environment) == f"{shown}\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "shown"),
    [
        (("pgtrigger", "ls", "past.Customer"), {}, LINE),
        (("pgtrigger", "ls", "past.Customer", "--force-color"), {"NO_COLOR": "1"}, PAINTED),
        (("pgtrigger", "--force-color", "ls", "past.Customer"), {}, PAINTED),
        (("pgtrigger", "ls", "past.Customer"), {"FORCE_COLOR": "1"}, PAINTED),
    ],
)
def test_a_pipe_gets_no_colours_unless_forced(
    arguments: tuple[str, ...], environment: dict[str, str], shown: str, site: Site
) -> None:
    assert site.manage(*arguments, environment=environment).out == f"{shown}\n"


def test_a_table_on_a_terminal_fits_it(site: Site) -> None:
    shown = on_a_terminal(
        site, "pgtrigger", "ls", "past", "--format", "table", COLUMNS="60", NO_COLOR="1"
    )
    assert max(map(len, shown.splitlines())) == 60


@pytest.mark.parametrize(
    "arguments", [("ls",), ("check", "--format", "json"), ("ls", "--format", "table")]
)
def test_a_reader_that_leaves_early_is_no_error(arguments: tuple[str, ...], site: Site) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", *arguments],
        cwd=ROOT,
        env=site.environment({}),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_terminal_without_unicode_still_gets_its_table(site: Site) -> None:
    result = site.manage(
        *("pgtrigger", "ls", "past.Customer", "--format", "table"),
        environment={"PYTHONIOENCODING": "ascii"},
    )
    assert result.code == 0
    assert result.out.isascii()
    assert re.search(r"INSTALLED .* ENABLED .* past\.Customer", result.out)
