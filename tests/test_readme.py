"""The sessions of the README and of the guides print what the pages say."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler

from tests.site import ROOT, Site
from tests.weaknesses.conftest import migrated_database

__all__ = ["migrated_database"]

PAGES = {
    "readme": ROOT / "README.md",
    "guide": ROOT / "docs" / "operators-guide.md",
    "auditor": ROOT / "docs" / "auditors-guide.md",
    "drift": ROOT / "docs" / "drift-checks.md",
}
README = PAGES["readme"].read_text(encoding="utf-8")

#: Where the pages are that a wheel brings along, on the machine that the documentation is of.
SHIPPED = "/srv/shop/.venv/lib/python3.13/site-packages/trigger_ops/docs/findings/"

#: What is another one every time, and what a page says in its place.
VARYING = (
    (r"os:[\w.-]+@[\w.-]+", "os:ann@web1"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "2026-11-22 10:02:11Z"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-22T10:02:11Z"),
    (r"Z, (?:\d+m )?\d+s ago", "Z, 5s ago"),
    (r"default \d+ 2026", "default 4711 2026"),
    (r'role "\w+"', 'role "shop"'),
    (r"by \w+ \((?:127\.0\.0\.1|local)\)", "by shop (127.0.0.1)"),
    (r"profile \w+", "profile single"),
    (r"\d+\.\d ms", "2.0 ms"),
    (r"\d+ tries in \d+\.\d s", "4 tries in 1.2 s"),
    (r"pid \d+ \(\w+, nightly-report", "pid 4711 (report, nightly-report"),
    (r"for \d+ s, Row", "for 8 s, Row"),
    (r"database default: \w+", "database default: shop"),
    (r"see: \S+/docs/findings/", f"see: {SHIPPED}"),
)

Event: TypeAlias = Callable[[Any], contextlib.AbstractContextManager[None]]


def sessions(page: str) -> list[tuple[str, str]]:
    """Return each command of a page's console sessions, with what it prints."""
    return [
        (command.strip(), printed.strip("\n"))
        for block in re.findall(r"```console\n(.*?)```", PAGES[page].read_text("utf-8"), re.S)
        for command, printed in re.findall(r"\$ ([^\n]+)\n((?:(?!\$ )[^\n]*\n)*)", block)
        if command.startswith("manage.py")
    ]


def settled(printed: str) -> str:
    """Return an output with its times, people and numbers as the pages have them."""
    for pattern, word in VARYING:
        printed = re.sub(pattern, word, printed)
    return printed


# What happens meanwhile, in a page's own words ----------------------------------------------------


@contextlib.contextmanager
def report(other: Any) -> Iterator[None]:
    """A session has written to a table, and its transaction is open."""
    with other.cursor() as cursor:
        cursor.execute("SET application_name = 'nightly-report'; BEGIN")
        cursor.execute("INSERT INTO past_pricelist (article, price) VALUES ('a pen', 1)")
        yield
        cursor.execute("ROLLBACK")


def before(statement: str) -> Event:
    """Return what executes a statement before the command."""

    @contextlib.contextmanager
    def event(other: Any) -> Iterator[None]:
        with other.cursor() as cursor:
            cursor.execute(statement)
        yield

    return event


@contextlib.contextmanager
def undone(other: Any) -> Iterator[None]:
    """Somebody runs what the ledger says takes a prune back, newest first."""
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT undo FROM trigger_ops_ledgerentry WHERE verb = 'prune' AND undo <> '' "
            "ORDER BY id DESC"
        )
        statements = [undo for (undo,) in cursor.fetchall()]
        assert len(statements) == 2
        for statement in statements:
            cursor.execute(statement)
    yield


@contextlib.contextmanager
def bypassed(other: Any) -> Iterator[None]:
    """A release renumbers a receipt with pgtrigger.ignore()."""
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL pgtrigger.ignore = '{pgtrigger_append_only_53885}'")
        cursor.execute("UPDATE past_receipt SET number = 'R-22' WHERE number = 'R-2'")
        cursor.execute("COMMIT")
    yield


#: By the beginning of the command.
MEANWHILE: dict[str, dict[str, Event]] = {
    "readme": {},
    "guide": {
        "manage.py pgtrigger install past --lock-budget": report,
        "manage.py pgtrigger check past.Receipt --database": before(
            "UPDATE trigger_ops_triggerlease SET expires = clock_timestamp()"
        ),
        "manage.py pgtrigger ls --status prune": undone,
        "manage.py pgtrigger plan past.Customer": before(
            "COMMENT ON TRIGGER pgtrigger_read_only_email_3294c ON past_customer IS NULL"
        ),
        "manage.py pgtrigger log --limit 1": before(
            "INSERT INTO trigger_ops_ledgerentry (run, kind, verb, actor, reason, database) "
            "VALUES (gen_random_uuid(), 'started', 'install', 'os:ann@web1', 'CHG-13', 'default');"
            "ALTER FUNCTION pgtrigger_append_only_53885() SECURITY DEFINER"
        ),
    },
    "auditor": {
        "manage.py pgtrigger session run": before(
            "INSERT INTO past_receipt (number) VALUES ('R-1'), ('R-2')"
        ),
        "manage.py pgtrigger check past.Receipt -d default --fail-level critical": bypassed,
    },
    "drift": {},
}


def meanwhile(page: str, command: str, other: Any) -> contextlib.AbstractContextManager[None]:
    """Return what happens during one command."""
    for start, event in MEANWHILE[page].items():
        if command.startswith(start):
            return event(other)
    return contextlib.nullcontext()


# The tests ---------------------------------------------------------------------------------------


@pytest.fixture
def damaged(
    fresh_site: Callable[[str], Site],
    request: pytest.FixtureRequest,
    migrated_database: str,
    django_db_blocker: Any,
) -> Iterator[tuple[Site, Any]]:
    """The demo site with its damaged past, and a connection of somebody else's to it.

    Whatever connects has `django.contrib.postgres` ask the alias `default` as well, whose database
    has to be there.
    """
    site = fresh_site(request.node.callspec.params["text"])
    for arguments in (("migrate",), ("demo_past",)):
        done = site.manage(*arguments)
        assert done.returncode == 0, done.stderr
    handler = ConnectionHandler({"default": {**connection.settings_dict, "NAME": site.name}})
    with django_db_blocker.unblock():
        yield site, handler["default"]
        handler.close_all()


def printed_by(site: Site, command: str, folder: Path) -> str:
    """Return what a command writes to stdout and stderr, and its exit code where it is asked for."""
    words, _, echo = command.partition(";")
    arguments = [
        str(folder / word) if word.endswith(".json") else word for word in shlex.split(words)[1:]
    ]
    done = site.manage(*arguments)
    assert "Traceback" not in done.stderr
    assert echo or done.returncode == 0, done.stderr
    code = f"\n{done.returncode}" if echo else ""
    return settled(f"{done.stdout}{done.stderr}".strip("\n")) + code


@pytest.mark.parametrize("text", PAGES)
def test_a_page_prints_what_its_commands_print(
    text: str, damaged: tuple[Site, Any], tmp_path: Path
) -> None:
    site, other = damaged
    for command, expected in sessions(text):
        with meanwhile(text, command, other):
            printed = printed_by(site, command, tmp_path)
        start, elided, end = settled(expected).partition("\n…\n")
        if elided:
            assert (command, printed[: len(start)]) == (command, start)
            assert (command, printed[len(printed) - len(end) :]) == (command, end)
        else:
            assert (command, printed) == (command, start)


@pytest.mark.parametrize("text", PAGES)
def test_everything_that_happens_meanwhile_has_its_command(text: str) -> None:
    commands = [command for command, _ in sessions(text)]
    assert commands
    for start in MEANWHILE[text]:
        assert [command for command in commands if command.startswith(start)]


def test_every_make_target_of_the_readme_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)`|\$ make ([a-z-]+)", README)) <= {
        (target, "") for target in targets
    } | {("", target) for target in targets}
