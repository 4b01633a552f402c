"""``pgtrigger session run`` and ``shell``: a command inside a session, and the code it ends with."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from tests.management.conftest import ROOT, Result, Site
from tests.management.sessions import (
    REASON,
    RECEIPT,
    Run,
    demand_approval,
    newest,
    numbers,
    opened,
    receipts,
    reviewer,
    shown,
    site_at_guarded,
)
from trigger_ops import api
from trigger_ops.management.prompts import session_prompt
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.states import SessionState

pytestmark = pytest.mark.usefixtures("guarded")

ASKED = (RECEIPT, "--reason", REASON)

UPDATE = "from demo_site.past.models import Receipt; Receipt.objects.update(number='new')"
FAILS = "from django.db import connection as c; c.cursor().execute('SELECT 1/0')"
CLOSE = """\
from django.db import connection
other = connection.copy()
with other.cursor() as cursor:
    cursor.execute("SELECT trigger_ops_close(max(id), 'revoked', 'user:eve', 'enough') FROM trigger_ops_session")
other.close()
"""
SWALLOWED = f"""\
{CLOSE}
from django.db import DatabaseError
from demo_site.past.models import Receipt
try:
    Receipt.objects.update(number='new')
except DatabaseError:
    pass
"""


def run_in_session(pgtrigger: Run, *words: str, asked: tuple[str, ...] = ASKED) -> Any:
    return pgtrigger("session", "run", *asked, "--", *words)


def test_a_command_writes_what_its_trigger_forbids_and_it_is_on_record(pgtrigger: Run) -> None:
    receipts("A1", "A2")
    result = run_in_session(pgtrigger, "correct_receipt", "A1", "B1")
    session = newest()
    assert (result.code, result.out) == (0, "Receipt A1 is B1 now.\n")
    assert result.err.splitlines() == [
        f"Session {session.id} is active until {session.expires:%Y-%m-%dT%H:%M:%SZ}: {RECEIPT}.",
        f"Session {session.id} is ended: 1 row on record, clean.",
    ]
    assert numbers() == ["B1", "A2"]
    (change,) = shown(session.id, pgtrigger)["changes"]
    assert (change["old"]["number"], change["new"]["number"]) == ("A1", "B1")
    assert (session.surface, session.state) == ("run", SessionState.ENDED)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("correct_receipt", "ZZ", "B1"), 1, 'There is no receipt "ZZ".'),
        (("correct_receipt", "--", "A1", "B1"), 0, ""),
        (("correct_receipt",), 2, "the following arguments are required"),
        (("shell", "-c", "raise SystemExit(7)"), 7, ""),
        (("shell", "-c", "raise SystemExit(0)"), 0, ""),
        (("shell", "-c", "raise SystemExit('no')"), 1, "no\n"),
        (("shell", "-c", "1/0"), 1, "ZeroDivisionError: division by zero"),
        (
            (
                *("shell", "-c"),
                "from django.core.management import CommandError as E; raise E('x', returncode=9)",
            ),
            9,
            "CommandError: x",
        ),
    ],
)
def test_the_code_is_the_commands_own(
    words: tuple[str, ...], code: int, said: str, capsys: Any, pgtrigger: Run
) -> None:
    receipts("A1")
    result = run_in_session(pgtrigger, *words)
    assert result.code == code
    assert said in result.err + capsys.readouterr().err
    assert newest().state is SessionState.ENDED


def test_a_traceback_is_that_of_the_command_alone(pgtrigger: Run) -> None:
    result = run_in_session(pgtrigger, "shell", "-c", "1/0")
    assert "Traceback (most recent call last):" in result.err
    assert "session_running.py" not in result.err
    assert newest().end_cause == "ZeroDivisionError was raised"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (ASKED, 2, "There is no COMMAND: put a management command and its arguments behind --"),
        ((*ASKED, "--"), 2, "There is no COMMAND"),
        (
            (*ASKED, "--", "correct_recipt"),
            2,
            'There is no management command "correct_recipt": did you mean "correct_receipt"?',
        ),
        ((*ASKED, "--", "check", "--settings=x"), 2, "--settings comes too late behind --"),
        (("--reason", REASON, "--", "check"), 4, "give at least one URI"),
        ((RECEIPT, "--", "check"), 4, "A session takes a reason of at least 10 letters"),
        ((RECEIPT, "--reason", "short", "--", "check"), 4, "takes a reason of at least 10"),
        ((RECEIPT, "--reason", "x" * 40, "--", "check"), 4, "repeats itself"),
        ((*ASKED, "--for", "soon", "--", "check"), 2, '"soon" is no duration'),
        ((*ASKED, "--for", "9h", "--", "check"), 4, "A session may last 4h and no longer"),
        ((*ASKED, "-d", "defualt", "--", "check"), 2, 'did you mean "default"?'),
        ((*ASKED, "-d", "lite", "--", "check"), 4, '"lite" is no PostgreSQL database'),
        (("past.Reciept", "--reason", REASON, "--", "check"), 2, 'did you mean "past.Receipt"?'),
        (("a\x1b[2J", "--reason", REASON, "--", "check"), 2, "a\\x1b[2J"),
        (("a\0b", "--reason", REASON, "--", "check"), 2, "no database can take"),
        (("--session", "1", RECEIPT, "--", "check"), 2, "give no selectors beside it"),
        (("--session", "1", "--for", "5m", "--", "check"), 2, "give no --for beside it"),
        (("--session", "99", "--", "check"), 2, "There is no session 99"),
        (("--session", "x", "--", "check"), 2, '"x" is no number of a session'),
    ],
)
def test_what_is_asked_for_wrongly_runs_nothing(
    arguments: tuple[str, ...], code: int, sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger("session", "run", *arguments)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err
    assert api.list_sessions() == []


def test_call_command_may_name_the_command_as_an_option(pgtrigger: Run) -> None:
    receipts("A1")
    result = pgtrigger(
        "session",
        "run",
        RECEIPT,
        reason=REASON,
        lasts="5m",
        command=["correct_receipt", "A1", "B"],
    )
    assert (result.code, numbers()) == (0, ["B"])


def test_the_words_of_other_verbs_are_parsed_as_before(pgtrigger: Run) -> None:
    session = opened()
    assert pgtrigger("session", "show", "--", str(session.id)).code == 0
    assert pgtrigger("ls", "--", RECEIPT).out.split()[-1] == RECEIPT


# In a transaction of the caller's ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("correct_receipt", "A1", "B1"), 0),
        (("shell", "-c", "raise SystemExit(7)"), 7),
        (("correct_receipt", "ZZ", "B1"), 1),
        (("correct_receipt",), 2),
    ],
)
def test_call_command_leaves_the_transaction_of_its_caller(
    words: tuple[str, ...], code: int, pgtrigger: Run
) -> None:
    receipts("A1")
    with transaction.atomic():
        receipts("first")
        raw = connections["default"].connection
        assert run_in_session(pgtrigger, *words).code == code
        assert connections["default"].connection is raw
        receipts("last")
    assert numbers() == ["B1" if not code else "A1", "first", "last"]
    assert newest().state is SessionState.ENDED


def test_a_statement_that_fails_there_is_the_callers_to_roll_back(pgtrigger: Run) -> None:
    receipts("A1")
    with transaction.atomic():
        receipts("gone")
        result = run_in_session(pgtrigger, "shell", "-c", f"{UPDATE}\n{FAILS}")
        assert (result.code, connections["default"].is_usable()) == (1, False)
        assert "DataError" in result.err
        transaction.set_rollback(True)
    assert numbers() == ["A1"]
    assert newest().state is SessionState.ENDED


# Without autocommit -----------------------------------------------------------------------------


def manage(*words: str, **asked: Any) -> Result:
    return site_at_guarded().manage("pgtrigger", "session", *words, autocommit=False, **asked)


def test_a_command_that_commits_is_run_in_a_session_without_autocommit() -> None:
    receipts("A1")
    code = f"{UPDATE}\nfrom django.db import transaction; transaction.commit()"
    result = manage("run", *ASKED, "--", "shell", "-c", code)
    assert (result.code, result.out, numbers()) == (0, "", ["new"]), result.err
    assert result.err.endswith(f"Session {newest().id} is ended: 1 row on record, clean.\n")


def test_what_nobody_commits_is_not_kept_and_the_session_is_ended() -> None:
    receipts("A1")
    assert manage("run", *ASKED, "--", "shell", "-c", UPDATE).code == 0
    assert (numbers(), newest().state) == (["A1"], SessionState.ENDED)


def test_every_verb_keeps_what_it_writes_without_autocommit() -> None:
    receipts("A1")
    demand_approval()
    asked = manage("open", *ASKED, "--format", "json")
    assert asked.code == 0, asked.err
    number = str(asked.document["id"])
    api.review_session(int(number), reviewer=reviewer(), verdict="approve")
    for words in (
        ("list",),
        ("show", number),
        ("extend", number, "--for", "5m"),
        ("report", number),
        ("end", number),
    ):
        result = manage(*words)
        assert result.code == 0, result.err
    assert (newest().state, newest().extensions) == (SessionState.ENDED, 1)
    second = manage("open", *ASKED, "--format", "json").document["id"]
    assert manage("revoke", str(second), "--reason", "no more").code == 0
    assert newest().state is SessionState.REVOKED


# Sessions that are over before the command is ---------------------------------------------------


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (f"{CLOSE}\n{UPDATE}", SessionState.REVOKED),
        (SWALLOWED, SessionState.REVOKED),
        (CLOSE, SessionState.REVOKED),
        (f"{CLOSE}\nraise SystemExit(3)", SessionState.REVOKED),
        (f"import time; time.sleep(1.2)\n{UPDATE}", SessionState.EXPIRED),
        ("import time; time.sleep(1.2)", SessionState.EXPIRED),
    ],
)
def test_a_session_that_is_over_in_mid_run_makes_it_4(
    code: str, state: SessionState, pgtrigger: Run
) -> None:
    receipts("A1")
    lasts = "1s" if state is SessionState.EXPIRED else "5m"
    result = run_in_session(pgtrigger, "shell", "-c", code, asked=(*ASKED, "--for", lasts))
    assert (result.code, numbers()) == (4, ["A1"])
    assert "not committed before is not kept" in result.err
    assert "Traceback" not in result.err
    assert newest().state is state


def test_rows_over_the_limit_make_it_4(pgtrigger: Run, settings: Any) -> None:
    settings.TRIGGER_OPS = {"SESSION_ROWS": 2}
    receipts("A1", "A2", "A3")
    result = run_in_session(pgtrigger, "shell", "-c", UPDATE)
    assert (result.code, numbers()) == (4, ["A1", "A2", "A3"])
    assert "1 statement was refused (TO007)." in result.err


HOLDING = """\
import time
from django.db import transaction
from demo_site.past.models import Receipt
with transaction.atomic():
    Receipt.objects.update(number='new')
    print('written', flush=True)
    time.sleep(60)
"""


def started(site: Site, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", "session", "run", *ASKED, "--", *words],
        cwd=ROOT,
        env=site.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_a_revoke_from_another_process_ends_the_connection_and_the_run_with_4(
    pgtrigger: Run,
) -> None:
    receipts("A1")
    process = started(
        site_at_guarded(), "shell", "-c", HOLDING.replace("time.sleep(60)", "time.sleep(3)")
    )
    session = newest()
    result = pgtrigger("session", "revoke", str(session.id), "--reason", "stop")
    _, err = process.communicate(timeout=60)
    assert result.code == 0
    assert f"Session {session.id} was revoked by " in result.out
    assert "Connections ended: " in result.out
    assert (process.returncode, numbers()) == (4, ["A1"])
    assert f"Session {session.id} was revoked by " in err
    assert "Traceback" not in err
    assert newest().end_cause == "stop"


def test_a_run_that_is_killed_leaves_an_abandoned_session_and_no_row(
    pgtrigger: Run, guarded: BaseDatabaseWrapper
) -> None:
    receipts("A1")
    process = started(site_at_guarded(), "shell", "-c", HOLDING)
    session = newest()
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while numbers() != ["A1"] or _in_session(guarded):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert newest().state is SessionState.ACTIVE
    assert pgtrigger("session", "end", str(session.id)).code == 0
    assert newest().state is SessionState.ENDED


WAITING = """\
print('written', flush=True)
from demo_site.past.models import Receipt
Receipt.objects.update(number='new')
"""


@contextlib.contextmanager
def waiting(guarded: BaseDatabaseWrapper) -> Iterator[subprocess.Popen[str]]:
    """Yield a run whose statement, which commits by itself, waits for a row locked here."""
    with transaction.atomic():
        run("SELECT FROM past_receipt FOR UPDATE")
        process = started(site_at_guarded(), "shell", "-c", WAITING)
        try:
            wait_until(lambda: _blocked(guarded) == 1)
            yield process
        finally:
            process.kill()
            process.communicate()


def ended_by(process: subprocess.Popen[str]) -> int:
    """Return the signal; the demo's own handler, where its server is embedded, exits with 128 more."""
    code = process.returncode
    return -code if code < 0 else code - 128


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _blocked(guarded: BaseDatabaseWrapper) -> int:
    with guarded.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_statement_the_session_and_the_process(
    number: signal.Signals, guarded: BaseDatabaseWrapper
) -> None:
    receipts("A1")
    with waiting(guarded) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert _blocked(guarded) == 0
    session = newest()
    assert (ended_by(process), numbers()) == (number, ["A1"])
    assert (session.state, session.end_cause) == (SessionState.ENDED, "Terminated was raised")
    assert err.splitlines()[1:] == [f"Session {session.id} is ended: 0 rows on record, clean."]


def test_a_statement_of_a_process_that_is_gone_is_given_up(guarded: BaseDatabaseWrapper) -> None:
    receipts("A1")
    with waiting(guarded) as process:
        process.kill()
        process.communicate(timeout=30)
        wait_until(lambda: _blocked(guarded) == 0)
    assert numbers() == ["A1"]


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGTERM, "Terminated"), (signal.SIGINT, "KeyboardInterrupt")],
)
def test_an_interrupted_transaction_is_rolled_back_and_the_end_is_told(
    number: signal.Signals, cause: str
) -> None:
    receipts("A1")
    process = started(site_at_guarded(), "shell", "-c", HOLDING)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    session = newest()
    assert (ended_by(process), numbers()) == (number, ["A1"])
    assert (session.state, session.end_cause) == (SessionState.ENDED, f"{cause} was raised")
    assert f"\nSession {session.id} is ended: 0 rows on record, clean.\n" in err


def test_a_command_that_copes_with_the_signal_has_its_own_code() -> None:
    receipts("A1")
    code = (
        "import os, signal, time\n"
        "try:\n"
        "    print('written', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    raise SystemExit(3)\n"
    )
    process = started(site_at_guarded(), "shell", "-c", code)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, newest().state) == (3, SessionState.ENDED), err


def test_handlers_and_settings_are_as_before(pgtrigger: Run, guarded: BaseDatabaseWrapper) -> None:
    receipts("A1")
    inside = (
        "import signal; from django.db import connection as c; k = c.cursor();"
        "k.execute('SHOW client_connection_check_interval'); print(k.fetchone()[0]);"
        "print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    )
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_in_session(pgtrigger, "shell", "-c", inside).code == 0
    assert out.getvalue().split() == ["1s", "False"]
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == before
    with guarded.cursor() as cursor:
        cursor.execute("SHOW client_connection_check_interval")
        assert cursor.fetchone() == ("0",)


def test_a_program_that_deals_with_a_signal_itself_keeps_it(pgtrigger: Run) -> None:
    receipts("A1")
    out = io.StringIO()
    before = signal.signal(signal.SIGTERM, _own_handler)
    try:
        with contextlib.redirect_stdout(out):
            shown = "import signal; print(signal.getsignal(signal.SIGTERM).__name__)"
            assert run_in_session(pgtrigger, "shell", "-c", shown).code == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert out.getvalue() == "_own_handler\n"


def _own_handler(*_: object) -> None:
    """Stand for a worker's own way to end."""


def _in_session(guarded: BaseDatabaseWrapper) -> int:
    with guarded.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return int(cursor.fetchone()[0])


# Sessions that were opened before ---------------------------------------------------------------


def test_a_four_eyes_trigger_takes_a_session_that_was_approved(pgtrigger: Run) -> None:
    receipts("A1")
    demand_approval()
    refused = run_in_session(pgtrigger, "correct_receipt", "A1", "B1")
    assert (refused.code, numbers()) == (4, ["A1"])
    session = opened()
    words = ("session", "run", "--session", str(session.id), "--", "correct_receipt", "A1", "B1")
    waiting = pgtrigger(*words)
    assert (waiting.code, numbers()) == (4, ["A1"])
    assert "is not approved yet" in waiting.err
    api.review_session(session.id, reviewer=reviewer(), verdict="approve")
    done = pgtrigger(*words)
    assert (done.code, numbers()) == (0, ["B1"])
    assert newest().state is SessionState.ACTIVE
    assert done.err.endswith(f"Session {session.id} is active: 1 row on record, clean.\n")
    api.end_session(session.id)
    assert pgtrigger(*words[:-3], "check").code == 4


def test_who_runs_a_command_in_a_session_of_somebody_else_is_told(pgtrigger: Run) -> None:
    receipts("A1")
    me = operating_system_actor()
    session = opened(actor="user:ann")
    words = ("session", "run", "--session", str(session.id), "--", "correct_receipt", "A1", "B1")
    assert pgtrigger(*words).code == 0
    api.end_session(session.id)
    note = f"{me} worked in the session, which user:ann opened."
    report = pgtrigger("session", "report", str(session.id), "--check")
    assert report.code == 0
    assert report.out.endswith(f"on record, clean.\n  note: {note}\n")
    printed = pgtrigger("session", "report", str(session.id), "--format", "json").document
    document = shown(session.id, pgtrigger)
    for found in (printed, document):
        assert (found["notes"], found["findings"], found["clean"]) == ([note], [], True)
    (event,) = [one for one in document["events"] if one["kind"] == "entered"]
    assert (event["actor"], set(event["detail"])) == (me, {"host", "pid"})
    (listed,) = pgtrigger("session", "list", "--format", "json").document["sessions"]
    assert listed["notes"] == [note]
    text = pgtrigger("session", "show", str(session.id)).out
    assert f"Notes\n  {note}\n" in text
    assert f" entered by {me}: pid " in text
    exported = pgtrigger("session", "export", str(session.id)).out
    assert '"kind": "entered"' in exported


def test_a_reviewer_who_runs_a_command_in_what_they_approved_is_a_finding(pgtrigger: Run) -> None:
    receipts("A1")
    demand_approval()
    session = opened(actor="user:ann")
    me = operating_system_actor()
    name = me.removeprefix("os:").partition("@")[0]
    api.review_session(session.id, reviewer=reviewer(name), verdict="approve")
    words = ("session", "run", "--session", str(session.id), "--", "correct_receipt", "A1", "B1")
    assert (
        f"{me} worked in the session, and had reviewed it as user:{name}." in pgtrigger(*words).err
    )
    api.end_session(session.id)
    assert pgtrigger("session", "report", str(session.id), "--check").code == 1


# Shells -----------------------------------------------------------------------------------------


def test_a_shell_takes_its_code_from_stdin(pgtrigger: Run) -> None:
    receipts("A1")
    done = subprocess.run(
        [sys.executable, "manage.py", "pgtrigger", "session", "shell", *ASKED],
        cwd=ROOT,
        env=site_at_guarded().environment({}),
        input=UPDATE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, numbers()) == (0, ["new"]), done.stderr
    assert newest().surface == "shell"
    assert "1 row on record, clean." in done.stderr


def test_options_behind_two_dashes_are_the_shells(pgtrigger: Run) -> None:
    receipts("A1")
    result = pgtrigger("session", "shell", *ASKED, "--", "-c", UPDATE)
    assert (result.code, numbers()) == (0, ["new"])


def test_the_prompt_tells_the_session_and_the_minutes_that_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(sys, "ps1", raising=False)
    with api.session(RECEIPT, reason=REASON, duration="15m") as running:
        with session_prompt(running):
            assert str(sys.ps1) == f"[session {running.id}, 15 min] >>> "
            api.extend_session(running.id, longer="10m")
            assert str(sys.ps1) == f"[session {running.id}, 25 min] >>> "
        assert not hasattr(sys, "ps1")
    with session_prompt(running):
        assert str(sys.ps1) == f"[session {running.id} is ended] >>> "
    connections["default"].close()
