"""``pgtrigger session open|extend|end|revoke``, and what they end with."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import make_role, run
from tests.management.sessions import (
    HOSTILE,
    REASON,
    RECEIPT,
    Run,
    demand_approval,
    newest,
    numbers,
    opened,
    receipts,
)
from tests.weaknesses.conftest import default_at
from trigger_ops import api

pytestmark = pytest.mark.usefixtures("guarded")

Connect = Callable[..., BaseDatabaseWrapper]

FUNCTIONS = (
    "SELECT format('GRANT EXECUTE ON FUNCTION %s TO ', p.oid::regprocedure) FROM pg_proc p"
    " WHERE p.proname ~ '^trigger_ops_(open|close|tell|extend|review|record|acknowledge)$'"
)


def holder(connect: Connect, session: int) -> tuple[BaseDatabaseWrapper, int]:
    """Return a connection whose open transaction has changed a row in a session, and its pid."""
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT trigger_ops_enter(%s)", [str(session)])
        cursor.execute("UPDATE past_receipt SET number = 'held'")
        cursor.execute("SELECT pg_backend_pid()")
        return connection, int(cursor.fetchone()[0])


@pytest.fixture
def powerless() -> Iterator[str]:
    """Make a role that may do all that sessions take, but end nobody's connection."""
    role = make_role("operator", options="LOGIN PASSWORD 'operator'")
    run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
    run("GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    for (grant,) in run(FUNCTIONS):
        run(f"{grant} {{role}}", role=role)
    yield role
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)


def test_open_prints_what_comes_next(pgtrigger: Run) -> None:
    result = pgtrigger("session", "open", RECEIPT, "--reason", REASON, "--ticket", "OPS-7")
    session = newest()
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Session {session.id} is active until ")
    assert (session.surface, session.ticket, session.state) == ("open", "OPS-7", "active")
    demand_approval(2)
    result = pgtrigger("session", "open", RECEIPT, "--reason", REASON)
    assert f"Session {newest().id} is pending: it has 0 of " in result.out
    assert f"session approve {newest().id} --user NAME" in result.out


def test_open_prints_the_object_that_it_made(pgtrigger: Run) -> None:
    words = ("session", "open", RECEIPT, "--reason", f"{REASON} {HOSTILE}", "--for", "1h")
    document = pgtrigger(*words, "--format", "json").document
    assert document["schema"] == "trigger_ops.session/1"
    assert (document["id"], document["state"]) == (newest().id, "active")
    assert (document["statements"], document["changes"], document["lasts"]) == ([], [], "1h")
    assert document["reason"] == f"{REASON} {HOSTILE}".strip()
    assert document["opened_by"].startswith("os:")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("open", "--reason", REASON), 4, "give at least one URI"),
        (("open", RECEIPT), 4, "A session takes a reason of at least 10 letters and digits"),
        (("open", RECEIPT, "--reason", "   .......   "), 4, "A session takes a reason"),
        (("open", RECEIPT, "--reason", "abababababababab"), 4, "repeats itself"),
        (("open", RECEIPT, "--reason", REASON, "--for", "0s"), 2, "more than nothing"),
        (("open", RECEIPT, "--reason", REASON, "--for", "5"), 2, '"5" is no duration'),
        (("open", RECEIPT, "--reason", REASON, "--for", "999ms"), 2, "too short for a session"),
        (("open", RECEIPT, "--reason", REASON, "--for", "1d"), 4, "may last 4h and no longer"),
        (("open", "*", "--reason", REASON), 4, "are more than the 20 that one session may name"),
        (("open", "past.R\x1b[31m", "--reason", REASON), 2, "past.R\\x1b[31m"),
        (("extend", "99", "--for", "5m"), 2, "There is no session 99"),
        (("extend", "99"), 2, "Say how much longer with --for"),
        (("extend", "99", "--for", "long"), 2, '"long" is no duration'),
        (("end", "99"), 2, "There is no session 99"),
        (("revoke", "99", "--reason", "stop"), 2, "There is no session 99"),
        (("revoke", "99"), 2, "Say why the session is revoked with --reason."),
        (("revoke", "99", "--reason", "  "), 2, "Say why the session is revoked with --reason."),
        (("revoke", "x", "--reason", "stop"), 2, '"x" is no number of a session'),
    ],
)
def test_what_is_asked_for_wrongly_is_said(
    arguments: tuple[str, ...], code: int, sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger("session", *arguments)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err


def test_a_session_is_extended_as_often_and_as_long_as_it_may(pgtrigger: Run) -> None:
    session = opened(duration="15m")
    words = ("session", "extend", str(session.id), "--for")
    assert pgtrigger(*words, "10m").code == 0
    once = newest()
    assert once.expires is not None
    assert session.expires is not None
    assert (once.expires - session.expires).total_seconds() == 600
    assert pgtrigger(*words, "1d").code == 0
    twice = newest()
    assert twice.expires is not None
    assert twice.activated is not None
    assert (twice.expires - twice.activated).total_seconds() == 4 * 3600
    refused = pgtrigger(*words, "1m")
    assert (refused.code, newest().expires) == (4, twice.expires)
    assert "it may be extended 2 times" in refused.err


@pytest.mark.parametrize("how", ["ended", "revoked", "expired"])
def test_what_is_over_is_not_extended(how: str, pgtrigger: Run, settings: Any) -> None:
    if how == "expired":
        settings.TRIGGER_OPS = {"SESSION_IDLE": "1ms"}
    session = opened()
    if how == "ended":
        api.end_session(session.id)
    if how == "revoked":
        api.revoke_session(session.id, reason="stop")
    result = pgtrigger("session", "extend", str(session.id), "--for", "5m")
    assert (result.code, newest().state) == (4, how)
    assert how in result.err


@pytest.mark.parametrize("verb", [("end",), ("revoke", "--reason", "stop")])
def test_ending_what_is_over_is_no_error(verb: tuple[str, ...], pgtrigger: Run) -> None:
    session = opened()
    first, again = (pgtrigger("session", *verb, str(session.id)) for _ in range(2))
    word = "ended" if verb == ("end",) else "revoked"
    assert (first.code, again.code) == (0, 0)
    assert f"Session {session.id} was {word} by os:" in first.out
    assert again.out == f"Session {session.id} is {word} already.\n"
    other = ("revoke", "--reason", "stop") if verb == ("end",) else ("end",)
    assert pgtrigger("session", *other, str(session.id)).out == again.out
    assert newest().state == word


def test_ending_an_expired_session_writes_down_that_it_is(pgtrigger: Run, settings: Any) -> None:
    settings.TRIGGER_OPS = {"SESSION_IDLE": "1ms"}
    session = opened()
    result = pgtrigger("session", "end", str(session.id))
    assert (result.code, result.out) == (0, f"Session {session.id} is expired already.\n")
    assert run("SELECT state FROM trigger_ops_session") == [("expired",)]


def test_a_pending_session_can_be_taken_back(pgtrigger: Run) -> None:
    demand_approval()
    session = opened()
    assert pgtrigger("session", "end", str(session.id)).code == 0
    assert newest().state == "ended"


def test_revoke_ends_an_idle_transaction(pgtrigger: Run, second_connection: Connect) -> None:
    receipts("A1")
    session = opened()
    connection, pid = holder(second_connection, session.id)
    result = pgtrigger(
        "session", "revoke", str(session.id), "--reason", "stop", "--format", "json"
    )
    assert (result.code, result.err) == (0, "")
    done = result.document["revocation"]
    assert (done["stopped"], done["ended"], done["remaining"]) == ([], [pid], [])
    assert (result.document["state"], result.document["end_cause"]) == ("revoked", "stop")
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("COMMIT")
    assert numbers() == ["A1"]


def test_revoke_from_inside_a_transaction_works(
    pgtrigger: Run, second_connection: Connect
) -> None:
    receipts("A1")
    session = opened()
    _, pid = holder(second_connection, session.id)
    with transaction.atomic():
        assert run("SELECT 1") == [(1,)]
        result = pgtrigger("session", "revoke", str(session.id), "--reason", "stop")
        assert (result.code, f"Connections ended: {pid}." in result.out) == (0, True)
        transaction.set_rollback(True)
    assert newest().state == "revoked"
    assert run("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(0,)]


LOCKING = {
    "extend": (0, "trigger_ops_extend({}, 'user:eve', '1 minute')"),
    "close": (0, "trigger_ops_close({}, 'ended', 'user:eve', '')"),
    "review": (2, "trigger_ops_review({}, 'user:eve', '', 'approve', '')"),
}
"""What locks a session until its transaction is over: how many approvals that takes, and the call."""


def locker(connect: Connect, session: int, call: str, **settings: Any) -> int:
    """Lock a session in a transaction that is left open; return the pid of its backend."""
    connection = connect(**settings)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT {call.format(session)}")
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("verb", ["revoke", "end"])
@pytest.mark.parametrize(("needs", "call"), LOCKING.values(), ids=LOCKING.keys())
def test_whoever_locks_a_session_puts_off_its_end_for_a_moment_only(
    pgtrigger: Run, second_connection: Connect, verb: str, needs: int, call: str
) -> None:
    if needs:
        demand_approval(needs)
    session = opened()
    pids = [locker(second_connection, session.id, call)]
    said = ("--reason", "stop") if verb == "revoke" else ()
    result = pgtrigger("session", verb, str(session.id), *said)
    assert (result.code, result.err) == (0, "")
    word = {"revoke": "revoked", "end": "ended"}[verb]
    assert (newest().state, newest().extensions, newest().reviews) == (word, 0, ())
    assert run("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)", pids) == [(0,)]
    told = run("SELECT kind, detail ->> 'pids' FROM trigger_ops_sessionevent ORDER BY id DESC")
    assert told[:2] == [("killed", f"[{pids[0]}]"), (word, None)]
    if verb == "revoke":
        assert f"Connections ended: {pids[0]}." in result.out


def test_many_that_lock_a_session_one_after_the_other_are_all_ended(
    pgtrigger: Run, second_connection: Connect
) -> None:
    """Those that wait for the first one would have the session next."""
    session = opened()
    _, call = LOCKING["extend"]
    first = locker(second_connection, session.id, call)
    waiting = second_connection()
    waiting.inc_thread_sharing()
    waiting.ensure_connection()
    pid = waiting.connection.info.backend_pid

    def extend() -> None:
        with contextlib.suppress(DatabaseError), waiting.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT {call.format(session.id)}")

    thread = threading.Thread(target=extend, daemon=True)
    thread.start()
    queued = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
    while run(queued, pid) != [(1,)]:
        time.sleep(0.01)
    result = pgtrigger("session", "revoke", str(session.id), "--reason", "stop")
    assert (result.code, newest().state) == (0, "revoked")
    for one in (first, pid):
        assert str(one) in result.out
    thread.join(timeout=60)


def test_a_role_that_may_not_end_who_locks_it_is_told_what_to_do(
    pgtrigger: Run, second_connection: Connect, powerless: str
) -> None:
    session = opened()
    pid = locker(second_connection, session.id, LOCKING["extend"][1])
    connections["default"].close()
    words = ("session", "revoke", str(session.id), "--reason", "stop")
    with default_at(USER=powerless, PASSWORD="operator"):
        refused = pgtrigger(*words)
        assert (refused.code, refused.out) == (4, "")
        assert (
            f"locked in an open transaction of the backend {pid}, which could not" in refused.err
        )
        assert f'GRANT pg_signal_backend TO "{powerless}"' in refused.err
    assert newest().state == "active"
    assert pgtrigger(*words).code == 0


def test_whoever_locks_the_table_of_sessions_is_left_alone(
    pgtrigger: Run, second_connection: Connect
) -> None:
    """A migration does, and is over by itself."""
    session = opened()
    connection = second_connection()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE trigger_ops_session IN EXCLUSIVE MODE")
        result = pgtrigger("session", "revoke", str(session.id), "--reason", "stop")
        assert result.code == 5
        cursor.execute("COMMIT")
    assert newest().state == "active"


def test_a_role_without_the_right_to_end_it_revokes_all_the_same(
    pgtrigger: Run, second_connection: Connect, powerless: str
) -> None:
    receipts("A1")
    session = opened()
    connection, pid = holder(second_connection, session.id)
    connections["default"].close()
    words = ("session", "revoke", str(session.id), "--reason", "stop")
    with default_at(USER=powerless, PASSWORD="operator"):
        result = pgtrigger(*words)
        again = pgtrigger(*words, "--format", "json")
    assert result.code == 6
    assert f"backend {pid} could not be ended" in result.err
    assert f'GRANT pg_signal_backend TO "{powerless}"' in result.err
    assert (again.code, again.document["exit_code"]) == (6, 6)
    assert again.document["revocation"]["remaining"] == [pid]
    with pytest.raises(DatabaseError, match="is revoked"), connection.cursor() as cursor:
        cursor.execute("COMMIT")
    assert (numbers(), newest().state) == (["A1"], "revoked")


def test_a_role_that_may_not_call_the_functions_is_told_what_to_do(
    pgtrigger: Run, powerless: str
) -> None:
    run("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM {role}", role=powerless)
    session = opened()
    connections["default"].close()
    with default_at(USER=powerless, PASSWORD="operator"):
        result = pgtrigger("session", "end", str(session.id))
    assert result.code == 4
    assert (
        'permission denied for function trigger_ops_close: add the role to TRIGGER_OPS["APP_'
        in (result.err)
    )
    assert newest().state == "active"
