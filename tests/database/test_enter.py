"""Entering a session: who may, when it is too late, and what COMMIT says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.embedded import account as accounts
from demo_site.embedded import binaries, launch, server
from tests.damage import pgid
from tests.database.acts import (
    RECEIPT,
    Connect,
    a_receipt,
    close,
    do,
    enter,
    ignoring,
    in_session,
    limits,
    one,
    open_session,
    policy,
    receipts,
    refused,
    rows_on_record,
    transaction,
)
from tests.guard.conftest import guard
from tests.weaknesses.conftest import OwnServer, default_at, own_server
from trigger_ops import api
from trigger_ops.ledger.evidence import read_statements

__all__ = ["own_server"]

UPDATE = "UPDATE past_receipt SET number = 'changed'"
LEASES = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1953656688 AND objid = %s "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


# Who may, and when --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    ["99", "0", "-1", "007", "abc", "1e1", "9" * 30, "NULL", "1 OR true", "{1}", "1,", ",1", " 1"],
)
def test_what_is_no_session_cannot_be_entered(guarded: BaseDatabaseWrapper, asked: str) -> None:
    open_session(guarded, RECEIPT)
    with refused("TO002"), transaction(guarded):
        do(guarded, "SELECT trigger_ops_enter(%s)", asked)
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessiontransaction") == 0


@pytest.mark.parametrize("asked", ["", None])
def test_entering_none_leaves(guarded: BaseDatabaseWrapper, asked: str | None) -> None:
    a_receipt(guarded)
    with refused("P0001"), in_session(guarded, open_session(guarded, RECEIPT)):
        do(guarded, "SELECT trigger_ops_enter(%s)", asked)
        do(guarded, UPDATE)


@pytest.mark.parametrize("wanted", ["pending", "ended", "revoked", "abandoned", "expired"])
def test_a_session_that_is_not_active_cannot_be_entered(
    guarded: BaseDatabaseWrapper, wanted: str
) -> None:
    session = open_session(guarded, RECEIPT, needs=int(wanted == "pending"))
    if wanted != "pending":
        close(guarded, session, wanted)
    with pytest.raises(DatabaseError, match=f"session {session} is {wanted}: open another one"):
        enter(guarded, session)


def test_the_databases_clock_says_when_it_is_over(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, lasts="300 milliseconds")
    enter(guarded, session)
    do(guarded, "SELECT pg_sleep(0.4)")
    with refused("TO002"):
        enter(guarded, session)


def test_another_role_cannot_enter(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    session = open_session(guarded, RECEIPT)
    role = f"clerk_{guarded.settings_dict['NAME']}"
    do(guarded, f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    try:
        other = second_connection(USER=role, PASSWORD="clerk")
        with refused("TO003"):
            enter(other, session)
        do(other, "RESET ALL")
        other.close()
    finally:
        do(guarded, f"DROP ROLE {role}")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_would_not_see_the_end_is_not_joined(
    guarded: BaseDatabaseWrapper, level: str
) -> None:
    session = open_session(guarded, RECEIPT)
    with refused("TO004"), transaction(guarded, f"ISOLATION LEVEL {level}"):
        do(guarded, "SELECT trigger_ops_enter(%s, true)", str(session))
    with transaction(guarded, f"ISOLATION LEVEL {level}"):
        enter(guarded, session)
    with transaction(guarded):
        do(guarded, "SELECT trigger_ops_enter(%s, true)", str(session))


def test_a_transaction_that_only_reads_may_go_on(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT)
    with transaction(guarded, "READ ONLY"):
        do(guarded, "SELECT trigger_ops_enter(%s, false, 'SELECT 1')", str(session))
        assert receipts(guarded) == []
        assert do(guarded, LEASES, session) == [(one(guarded, "SELECT pg_backend_pid()"),)]
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessiontransaction") == 0
    close(guarded, session)
    with refused("TO002"), transaction(guarded, "READ ONLY"):
        enter(guarded, session)


# Idle ---------------------------------------------------------------------------------------------


def test_a_session_that_is_not_used_is_over(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, idle="300 milliseconds")
    enter(guarded, session)
    do(guarded, "SELECT pg_sleep(0.4)")
    with refused("TO002"):
        enter(guarded, session)


def test_a_transaction_that_wrote_to_its_end_was_not_idle(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, idle="800 milliseconds")
    with in_session(guarded, session):
        do(guarded, "SET LOCAL idle_in_transaction_session_timeout = 0")
        do(guarded, "SELECT pg_sleep(1)")
        do(guarded, UPDATE)
    enter(guarded, session)


def test_a_transaction_that_still_runs_keeps_the_session_from_being_idle(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    session, other = open_session(guarded, RECEIPT, idle="300 milliseconds"), second_connection()
    with in_session(guarded, session):
        do(guarded, "SELECT pg_sleep(0.4)")
        enter(other, session)
    do(other, "SELECT pg_sleep(0.4)")
    with refused("TO002"):
        enter(other, session)


# Timeouts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, (900.0, 600.0)),
        ({"statement_timeout": "'1min'"}, (60.0, 600.0)),
        ({"statement_timeout": "'1d'"}, (900.0, 600.0)),
        ({"idle_in_transaction_session_timeout": "'5s'"}, (900.0, 5.0)),
        ({"idle_in_transaction_session_timeout": "1500"}, (900.0, 1.5)),
    ],
)
def test_timeouts_are_lowered_to_the_end_and_never_raised(
    guarded: BaseDatabaseWrapper, before: dict[str, str], after: tuple[float, float]
) -> None:
    session = open_session(guarded, RECEIPT)
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    with transaction(guarded):
        for name, value in before.items():
            do(guarded, f"SET LOCAL {name} = {value}")
        present = [one(guarded, f"SHOW {name}") for name in names]
        assert enter(guarded, session).split(" ") == present
        seconds = [one(guarded, f"SELECT current_setting('{name}')::interval") for name in names]
    for found, wanted in zip(seconds, after, strict=True):
        assert wanted - 60 < found.total_seconds() <= wanted
    assert [one(guarded, f"SHOW {name}") for name in names] == ["0", "0"]


def test_a_session_of_months_has_timeouts_that_postgres_takes(
    guarded: BaseDatabaseWrapper,
) -> None:
    limits(guarded, longest="90 days", idle="90 days")
    session = open_session(guarded, RECEIPT, lasts="90 days", longest="90 days", idle="90 days")
    with in_session(guarded, session):
        assert one(
            guarded, "SELECT current_setting('statement_timeout')::interval"
        ) > dt.timedelta(days=24)


# COMMIT (acceptance 22 and 23) --------------------------------------------------------------------


@pytest.mark.parametrize("level", ["", "ISOLATION LEVEL REPEATABLE READ"])
def test_what_is_committed_after_the_end_is_not_kept(
    guarded: BaseDatabaseWrapper, level: str
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, lasts="1 second")
    with refused("TO005"), transaction(guarded, level):
        enter(guarded, session)
        do(guarded, "SET LOCAL statement_timeout = 0")
        do(guarded, UPDATE)
        do(guarded, "SELECT pg_sleep(1.1)")
    assert receipts(guarded) == ["r1"]
    assert rows_on_record(guarded) == []


def test_whoever_has_constraints_checked_early_commits_what_was_written_in_time(
    guarded: BaseDatabaseWrapper,
) -> None:
    """PostgreSQL has no later moment for a check; what comes after the end is refused all the same."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, lasts="1 second")
    with transaction(guarded):
        enter(guarded, session)
        do(guarded, UPDATE)
        do(guarded, "SET CONSTRAINTS ALL IMMEDIATE")
        do(guarded, "SET LOCAL statement_timeout = 0")
        do(guarded, "SELECT pg_sleep(1.1)")
        do(guarded, "SAVEPOINT late")
        with refused("TO002"):
            do(guarded, UPDATE)
        do(guarded, "ROLLBACK TO SAVEPOINT late")
    assert receipts(guarded) != ["r1"]
    assert len(rows_on_record(guarded)) == 1


def test_a_late_end_saves_nothing(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    """Somebody says "ended" of what had expired, so that COMMIT might go through."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, lasts="1 second")
    with refused("TO005"), in_session(guarded, session):
        do(guarded, "SET LOCAL statement_timeout = 0")
        do(guarded, UPDATE)
        do(guarded, "SELECT pg_sleep(1.1)")
        assert close(second_connection(), session, "ended") == "ended"
    assert receipts(guarded) == ["r1"]


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [("ended", True), ("revoked", False), ("abandoned", False), ("expired", False)],
)
def test_commit_keeps_what_was_done_before_a_proper_end(
    guarded: BaseDatabaseWrapper, second_connection: Connect, wanted: str, *, kept: bool
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    if kept:
        with in_session(guarded, session):
            do(guarded, UPDATE)
            close(second_connection(), session, wanted)
    else:
        with refused("TO005"), in_session(guarded, session):
            do(guarded, UPDATE)
            close(second_connection(), session, wanted)
    assert receipts(guarded) == ["changed" if kept else "r1"]
    assert len(rows_on_record(guarded)) == int(kept)


# Revoking (acceptance 21) -------------------------------------------------------------------------


def test_nobody_in_a_session_makes_its_revoker_wait(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    other = second_connection()
    do(other, "SET lock_timeout = '1ms'")
    with refused("TO005"), in_session(guarded, session):
        do(guarded, UPDATE)
        assert close(other, session) == "revoked"


@pytest.mark.parametrize("level", ["", "ISOLATION LEVEL REPEATABLE READ"])
def test_holders_are_found_by_their_lock_and_ended(
    guarded: BaseDatabaseWrapper, second_connection: Connect, level: str
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    other = second_connection()
    do(other, f"BEGIN {level}")
    enter(other, session)
    do(other, UPDATE)
    close(guarded, session)
    (holder,) = do(guarded, LEASES, session)
    assert holder == (one(other, "SELECT pg_backend_pid()"),)
    assert one(guarded, "SELECT pg_terminate_backend(%s, 60000)", *holder)
    with pytest.raises(DatabaseError):
        do(other, "COMMIT")
    assert receipts(guarded) == ["r1"]
    assert do(guarded, LEASES, session) == []


def test_the_log_file_of_a_server_has_what_psql_was_refused(
    own_server: OwnServer, make_database: Callable[..., str]
) -> None:
    """Where the client handles the error in the database, nothing else tells of it."""
    settings = own_server.settings(launch.find_running(own_server.home))
    with default_at(**settings) as connection:
        do(connection, "SELECT 1")
    with default_at(**{**settings, "NAME": "postgres"}) as connection:
        do(connection, "CREATE DATABASE told TEMPLATE weak")
    try:
        with default_at(**{**settings, "NAME": "told"}) as connection:
            guard()
            policy(connection, "session")
            do(connection, "SET application_name = 'a script'")
            do(
                connection,
                f"DO $$ BEGIN PERFORM {ignoring(RECEIPT).removeprefix('SELECT')};"
                f" PERFORM _pgtrigger_should_ignore('{pgid(RECEIPT)}');"
                " EXCEPTION WHEN OTHERS THEN NULL; END $$",
            )
            assert api.list_denials() == []
    finally:
        with default_at(**{**settings, "NAME": "postgres"}) as connection:
            do(connection, "DROP DATABASE told WITH (FORCE)")
    logged = (own_server.data / "server.log").read_text(encoding="utf-8", errors="replace")
    said = f'LOG:  trigger_ops: {pgid(RECEIPT)} is not ignored for role "postgres" (a script).'
    assert said in logged


def test_a_transaction_in_a_session_cannot_be_prepared(
    own_server: OwnServer, make_database: Callable[..., str]
) -> None:
    """It would be committed later, when nothing is asked any more, and nobody could end it.

    One that only changed a session would keep that locked against whoever revokes it.
    """
    with default_at(**own_server.settings()) as connection:
        do(connection, "ALTER SYSTEM SET max_prepared_transactions = 2")
    owner = accounts.owner_of(own_server.data, accounts.current())
    usable = binaries.within_reach(binaries.find(), owner, own_server.home)
    server.stop(own_server.data)
    restarted = server.start(own_server.data, usable, owner, durable=False)
    with default_at(**own_server.settings(restarted)) as connection:
        session = open_session(connection, RECEIPT)
        do(connection, "BEGIN; INSERT INTO past_receipt (number) VALUES ('r')")
        enter(connection, session)
        with refused("0A000"):
            do(connection, "PREPARE TRANSACTION 'later'")
        do(connection, "ROLLBACK")
        pending = open_session(connection, RECEIPT, needs=2)
        for act in (
            f"trigger_ops_extend({session}, 'user:eve', '1 minute')",
            f"trigger_ops_close({session}, 'ended', 'user:eve', '')",
            f"trigger_ops_review({pending}, 'user:eve', '', 'approve', '')",
        ):
            do(connection, f"BEGIN; SELECT {act}")
            with refused("0A000"):
                do(connection, "PREPARE TRANSACTION 'later'")
            do(connection, "ROLLBACK")
        do(connection, "BEGIN; INSERT INTO past_receipt (number) VALUES ('r')")
        do(connection, "PREPARE TRANSACTION 'later'")
        do(connection, "ROLLBACK PREPARED 'later'")


def test_statements_are_recorded_once_for_the_innermost(guarded: BaseDatabaseWrapper) -> None:
    outer, inner = open_session(guarded, RECEIPT), open_session(guarded, RECEIPT)
    text = "UPDATE t SET a = %s -- \u00e9"
    with transaction(guarded):
        do(guarded, "SELECT trigger_ops_enter(%s, false, %s)", f"{inner},{outer}", text)
    entered = do(
        guarded, "SELECT session_id, template FROM trigger_ops_sessiontransaction ORDER BY id"
    )
    assert entered == [(inner, text), (outer, "")]
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessionstatement") == 0


def test_a_statement_that_is_not_the_first_of_its_transaction_is_a_row_of_its_own(
    guarded: BaseDatabaseWrapper,
) -> None:
    session = open_session(guarded, RECEIPT)
    with transaction(guarded):
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('r')")
        for text in ("UPDATE 1", "UPDATE 2"):
            do(guarded, "SELECT trigger_ops_enter(%s, false, %s)", str(session), text)
    templates = "SELECT template FROM {} ORDER BY id"
    assert do(guarded, templates.format("trigger_ops_sessiontransaction")) == [("",)]
    assert do(guarded, templates.format("trigger_ops_sessionstatement")) == [
        ("UPDATE 1",),
        ("UPDATE 2",),
    ]
    texts = [one.template for one in read_statements("default", "public", session)]
    assert texts == ["UPDATE 1", "UPDATE 2"]
