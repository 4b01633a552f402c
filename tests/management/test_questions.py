"""What a verb asks a person, and that it asks nobody else: processes on real terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from tests.management.conftest import ROOT, Site
from tests.weaknesses.conftest import make_database, migrated_database, own_database

__all__ = ["make_database", "migrated_database", "own_database"]

QUESTION = 'Carry this out? Type "yes": '
INVOICE = "past.Invoice:protect_deletes"
PATIENCE = 60


@dataclass(frozen=True)
class Ended:
    """How a process on a terminal ended: its code, its stdout and what the terminal showed."""

    code: int
    out: str
    shown: str


@pytest.fixture
def own_site(own_database: BaseDatabaseWrapper) -> Site:
    """Processes on a database of the test's own."""
    name = own_database.settings_dict["NAME"]
    own_database.close()
    return Site({"default": name, "archive": name})


def on_a_terminal(
    site: Site,
    *arguments: str,
    answer: str | None = "",
    act: Callable[[subprocess.Popen[bytes]], None] | None = None,
    **environment: str,
) -> Ended:
    """Run a verb with stdin and stderr on a terminal and stdout in a pipe; answer its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", *arguments],
        cwd=ROOT,
        env={**site.environment({}), "TERM": "xterm", "COLUMNS": "200", **environment},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)

    def asked() -> None:
        if act is not None:
            act(process)
        elif answer is not None:
            os.write(ours, answer.encode("utf-8", "surrogateescape"))

    try:
        shown = _read(ours, process, asked)
        out = process.communicate(timeout=PATIENCE)[0].decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(ours)
    return Ended(process.returncode, out, shown.replace("\r\n", "\n"))


def _read(ours: int, process: subprocess.Popen[bytes], asked: Callable[[], None]) -> str:
    """Return what a process writes to its terminal; tell when it has asked."""
    shown, answered, end = "", False, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65_536).decode(errors="replace")
            except OSError:  # the other side has closed the terminal
                break
        elif process.poll() is not None:
            break
        if QUESTION in shown and not answered:
            answered = True
            asked()
    return shown


def disabled() -> int:
    ((number,),) = run("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'")
    return int(number)


@pytest.fixture(autouse=True)
def nobody_else_is_connected(own_site: Site) -> None:
    assert disabled() == 0
    connections["default"].close()


@pytest.mark.parametrize(
    "answer", ["no\n", "\n", "\x04", "y\n", "yes please\n", "\udcff\udcfe\n", "ja\n"]
)
def test_a7_whoever_does_not_say_yes_changes_nothing(answer: str, own_site: Site) -> None:
    """Stock disables everything, whatever stands on stdin."""
    ended = on_a_terminal(own_site, "disable", answer=answer)
    assert (ended.code, ended.out) == (4, "")
    assert QUESTION in ended.shown
    assert "Declined: nothing was changed." in ended.shown
    assert "Traceback" not in ended.shown
    assert disabled() == 0
    assert run("SELECT count(*) FROM trigger_ops_ledgerentry") == [(0,)]


def test_ctrl_c_at_the_question_changes_nothing(own_site: Site) -> None:
    ended = on_a_terminal(
        own_site, "uninstall", act=lambda process: process.send_signal(signal.SIGINT)
    )
    assert (ended.code, ended.out) == (4, "")
    assert "Declined: nothing was changed." in ended.shown
    assert "Traceback" not in ended.shown


def test_yes_is_yes_and_what_was_shown_is_what_is_done(own_site: Site) -> None:
    ended = on_a_terminal(own_site, "disable", answer="YES\n")
    assert (ended.code, ended.out) == (0, "")
    before, _, after = ended.shown.partition(QUESTION)
    assert "default public.past_invoice: SHARE ROW EXCLUSIVE: writes wait, reads pass" in before
    assert "switched" in after
    assert disabled() > 50


@pytest.mark.parametrize(
    "arguments",
    [
        ("disable", INVOICE),
        ("disable", "--no-input"),
        ("disable", "--noinput"),
        ("disable", "--dry-run"),
        ("install",),
        ("enable",),
        ("prune",),
        ("enable", "--expired"),
    ],
)
def test_nothing_is_asked_where_nothing_needs_an_answer(
    arguments: tuple[str, ...], own_site: Site
) -> None:
    """Neither for a selector, nor when told not to, nor where there is nothing to do."""
    ended = on_a_terminal(own_site, *arguments)
    assert ended.code == 0
    assert QUESTION not in ended.shown


def test_a_hazard_is_refused_before_anybody_is_asked(own_site: Site) -> None:
    run("CREATE FUNCTION dba() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    run(
        "CREATE TRIGGER pgtrigger_dba AFTER UPDATE ON past_invoice FOR EACH ROW "
        "EXECUTE FUNCTION dba()"
    )
    connections["default"].close()
    ended = on_a_terminal(own_site, "prune", "past_invoice:pgtrigger_dba")
    assert ended.code == 4
    assert "--allow DROPS_FOREIGN" in ended.shown
    assert QUESTION not in ended.shown


def test_a_pipe_is_not_asked(own_site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "pgtrigger", "disable", "-v0"],
        cwd=ROOT,
        env=own_site.environment({}),
        input=b"no\n",
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert disabled() > 50


def test_a_process_without_stdin_is_not_asked(own_site: Site) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" manage.py pgtrigger disable -v0 <&-'],
        cwd=ROOT,
        env=own_site.environment({}),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_terminal_sees_a_bar_and_a_pipe_does_not(own_site: Site) -> None:
    ended = on_a_terminal(own_site, "disable", "--no-input", "-v1")
    assert "━" in ended.shown
    lines = ended.shown.splitlines()
    assert "disable: " in lines[-1]
    assert "\n\n" not in ended.shown.partition("switched")[2]
    assert "━" not in on_a_terminal(own_site, "enable", "--no-input", "-v0").shown
    piped = own_site.manage("pgtrigger", "disable")
    assert "━" not in piped.err
    assert "\x1b" not in piped.err


def test_a_terminal_is_not_painted_red_when_all_is_well(own_site: Site) -> None:
    """Django's own stderr wrapper paints whatever is written to it."""
    ended = on_a_terminal(own_site, "disable", INVOICE)
    assert ended.code == 0
    assert "\x1b[31" not in ended.shown
    plain = on_a_terminal(own_site, "enable", INVOICE, NO_COLOR="1")
    assert "\x1b[3" not in plain.shown.replace("\x1b[?25", "")


def test_a_command_commits_where_the_settings_have_autocommit_off(own_site: Site) -> None:
    for arguments, line in (
        (("uninstall", "past.Contract"), "uninstall: 1 dropped."),
        (("install", "past.Contract"), "install: 1 created."),
        (("disable", "past.Contract", "--for", "1h", "--reason", "a test"), "1 switched."),
    ):
        result = own_site.manage("pgtrigger", *arguments, autocommit=False)
        assert (result.code, result.err.splitlines()[-1][-len(line) :]) == (0, line)
    listed = own_site.manage("pgtrigger", "ls", "past.Contract")
    assert listed.out == "INSTALLED DISABLED past.Contract:protect_deletes\n"
    logged = own_site.manage("pgtrigger", "log", "--format", "json").document
    assert [one["verb"] for one in logged["entries"] if one["kind"] == "finished"] == [
        "disable",
        "install",
        "uninstall",
    ]
