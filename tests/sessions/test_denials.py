"""What is refused is on record, whoever asked: beside any transaction, in the log at once."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, ProgrammingError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import atomic
from django.test import TestCase

from demo_site.past.models import Receipt
from tests.damage import make_role, pgid, run
from tests.database.acts import POSTING, do, ignoring
from tests.sessions.conftest import (
    CUSTOMER,
    REASON,
    RECEIPT,
    Written,
    is_protected,
    renumber,
    revoke,
    session,
)
from tests.weaknesses.conftest import default_at
from trigger_ops import api
from trigger_ops.exceptions import SessionOver, SessionRefused, UnknownSelector
from trigger_ops.records import Actor, EventRecord
from trigger_ops.sessions import backlog, beside
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.testing import sessions_in_tests


def strict(mode: str = "session") -> None:
    """Have every trigger stand aside in a session alone."""
    run("UPDATE trigger_ops_guard SET policy = %s", mode)


def ignored(act: Callable[[], object]) -> None:
    with pgtrigger.ignore(RECEIPT):
        act()


def denied() -> list[EventRecord]:
    return api.list_denials()


def untouched() -> bool:
    """Tell whether the connection is as Django made it."""
    ours = {"_commit", "_rollback", "_close", "set_autocommit"}
    return not connection.execute_wrappers and not ours & vars(connection).keys()


# Statements outside of any session ----------------------------------------------------------------


def by_itself(receipt: Receipt) -> None:
    ignored(lambda: renumber(receipt))


def in_atomic(receipt: Receipt) -> None:
    with atomic():
        do(connection, ignoring(RECEIPT))
        renumber(receipt)


def round_atomic(receipt: Receipt) -> None:
    with pgtrigger.ignore(RECEIPT), atomic():
        renumber(receipt)


def by_hand(receipt: Receipt) -> None:
    run("BEGIN")
    try:
        do(connection, ignoring(RECEIPT))
        run("UPDATE past_receipt SET number = %s WHERE id = %s", "4111 1111", receipt.pk)
    finally:
        run("ROLLBACK")


def autocommit_off(receipt: Receipt) -> None:
    connection.set_autocommit(False)
    try:
        ignored(lambda: renumber(receipt, "4111 1111"))
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def by_many(receipt: Receipt) -> None:
    def act() -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE past_receipt SET number = %s WHERE id = %s", [("4111 1111", receipt.pk)]
            )

    with atomic():
        do(connection, ignoring(RECEIPT))
        act()


ACTS = [by_itself, in_atomic, round_atomic, by_hand, autocommit_off, by_many]


def test_a_denial_is_on_record_where_its_connection_leads(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    strict()
    leads = connection.copy()
    leads.inc_thread_sharing()
    elsewhere = []

    def act() -> None:
        # In a thread of its own, `default` is the database of the settings.
        with contextlib.closing(leads), pytest.raises(DatabaseError):
            do(leads, "BEGIN")
            do(leads, ignoring(RECEIPT))
            do(leads, "UPDATE past_receipt SET number = 'n'")
        elsewhere.append(connections["default"].settings_dict["NAME"])

    thread = threading.Thread(target=act)
    thread.start()
    thread.join(timeout=60)
    assert elsewhere != [guarded.settings_dict["NAME"]]
    (one,) = denied()
    assert one.detail["triggers"] == [RECEIPT]


@pytest.mark.parametrize("mode", ["session", "four_eyes"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_what_is_refused_without_a_session_is_on_record(
    guarded: BaseDatabaseWrapper,
    receipt: Receipt,
    caplog: pytest.LogCaptureFixture,
    act: Callable[[Receipt], None],
    mode: str,
) -> None:
    strict(mode)
    with pytest.raises(DatabaseError) as caught:
        act(receipt)
    assert api.refusal_code(caught.value) == "TO001"
    (one,) = denied()
    assert (one.session, one.kind, one.actor) == (None, "refused", operating_system_actor())
    assert one.detail["code"] == "TO001"
    assert one.detail["triggers"] == [RECEIPT]
    assert one.detail["pgids"] == [pgid(RECEIPT)]
    assert one.detail["role"] == run("SELECT session_user::text")[0][0]
    assert "is ignored in a session only" in one.detail["message"]
    assert "4111" not in json.dumps(dict(one.detail))
    assert "is ignored in a session only" in caplog.text
    assert "4111" not in caplog.text
    assert is_protected(receipt)
    assert untouched()


def test_it_waits_for_the_end_of_the_transaction_and_is_in_the_log_at_once(
    guarded: BaseDatabaseWrapper, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    strict()
    with atomic():
        for _ in range(2):
            with pytest.raises(DatabaseError), atomic():
                ignored(lambda: renumber(receipt))
        assert caplog.text.count("was refused a statement") == 2
        assert denied() == []
        Receipt.objects.create(number="kept")
    assert len(denied()) == 2
    assert Receipt.objects.filter(number="kept").exists()
    assert untouched()


def test_what_commit_refuses_is_on_record(guarded: BaseDatabaseWrapper) -> None:
    strict()
    with pytest.raises(DatabaseError) as caught, atomic():
        run("INSERT INTO awkward_posting (booking, amount) VALUES (1, 5)")
        do(connection, ignoring(POSTING))
    assert api.refusal_code(caught.value) == "TO001"
    assert [one.detail["triggers"] for one in denied()] == [[POSTING]]
    assert untouched()


def test_a_connection_that_is_closed_before_the_end_takes_nothing_along(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    strict()
    with pytest.raises(ZeroDivisionError), atomic():
        with pytest.raises(DatabaseError):
            do(connection, ignoring(RECEIPT))
            renumber(receipt)
        connection.close()
        raise ZeroDivisionError
    assert [one.detail["code"] for one in denied()] == ["TO001"]
    assert untouched()


def test_what_other_triggers_and_constraints_refuse_is_none_of_ours(
    guarded: BaseDatabaseWrapper, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    strict()
    for act in (lambda: renumber(receipt), lambda: run("SELECT nonsense")):
        with pytest.raises(DatabaseError):
            act()
    assert denied() == []
    assert "refused" not in caplog.text


def test_a_refusal_in_a_session_is_on_record_once(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError), session() as running:
        revoke(written, running.id)
        renumber(receipt)
    assert [(one.session, one.detail["code"]) for one in denied()] == [(running.id, "TO002")]
    assert "template" in denied()[0].detail


def test_what_another_trigger_refuses_in_a_session_is_on_record_once(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    strict()
    with session(CUSTOMER) as running, pytest.raises(DatabaseError), atomic():
        ignored(lambda: renumber(receipt))
    assert [(one.session, one.detail["code"]) for one in denied()] == [(running.id, "TO001")]


def test_nothing_is_asked_where_nothing_is_refused(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    sent: list[str] = []

    def note(execute: Any, sql: str, *others: Any) -> Any:
        sent.append(str(sql))
        return execute(sql, *others)

    with connection.execute_wrapper(note):
        Receipt.objects.create(number="one")
        with atomic():
            renumber_nothing = Receipt.objects.filter(pk=0).update(number="x")
    assert renumber_nothing == 0
    assert len([one for one in sent if not one.startswith(("SAVEPOINT", "RELEASE"))]) == 2
    assert untouched()


def test_an_error_of_a_wrapper_of_the_users_replaces_nothing(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    """What is denied is written over another connection, past what is put round this one."""
    strict()

    def refuse_ours(execute: Any, sql: Any, *others: Any) -> Any:
        assert "trigger_ops_tell" not in str(sql)
        return execute(sql, *others)

    with connection.execute_wrapper(refuse_ours), pytest.raises(DatabaseError) as caught:
        by_itself(receipt)
    assert api.refusal_code(caught.value) == "TO001"
    assert len(denied()) == 1


@pytest.mark.parametrize("loop", [3, 8])
def test_many_at_once_are_kept_up_to_a_number(
    guarded: BaseDatabaseWrapper,
    receipt: Receipt,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    loop: int,
) -> None:
    strict()
    monkeypatch.setattr(backlog, "MOST_WAITING", 5)
    with atomic():
        for _ in range(loop):
            with pytest.raises(DatabaseError), atomic():
                ignored(lambda: renumber(receipt))
    assert len(denied()) == min(loop, 5)
    assert caplog.text.count("was refused a statement") == loop


# Where nothing can be written ---------------------------------------------------------------------


def tried_often() -> None:
    """Work on, until nobody tries any more to write what waits."""
    for _ in range(backlog.MOST_TRIES):
        run("SELECT 1")
    assert untouched()


@pytest.fixture
def no_second_connection(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    tried: list[int] = []

    def refuse(own: BaseDatabaseWrapper) -> Any:
        tried.append(1)
        raise SessionRefused("no connection is left")

    monkeypatch.setattr(beside, "_connected", refuse)
    return tried


def test_without_a_second_connection_it_is_written_when_the_own_one_is_free(
    guarded: BaseDatabaseWrapper, receipt: Receipt, no_second_connection: list[int]
) -> None:
    strict()
    with pytest.raises(DatabaseError) as caught:
        in_atomic(receipt)
    assert api.refusal_code(caught.value) == "TO001"
    assert no_second_connection
    assert len(denied()) == 1
    assert untouched()


def test_a_role_without_the_right_to_tell_finds_its_denials_in_the_log(
    guarded: BaseDatabaseWrapper, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    strict()
    run("REVOKE EXECUTE ON FUNCTION trigger_ops_tell FROM PUBLIC")
    role = make_role("teller", options="LOGIN PASSWORD 'x'")
    try:
        run("GRANT SELECT, UPDATE ON past_receipt TO {role}", role=role)
        run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}", role=role)
        run("REVOKE EXECUTE ON FUNCTION trigger_ops_tell FROM {role}", role=role)
        with default_at(USER=role, PASSWORD="x"):
            with pytest.raises(DatabaseError) as caught:
                by_itself(receipt)
            assert api.refusal_code(caught.value) == "TO001"
            tried_often()
        assert denied() == []
        assert "Not on record (permission denied for function trigger_ops_tell)" in caplog.text
    finally:
        run("DROP OWNED BY {role}", role=role)
        run("DROP ROLE {role}", role=role)


def test_a_test_that_is_rolled_back_leaves_nothing_behind(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    strict()

    class Case(TestCase):
        databases = {"default"}

        def runTest(self) -> None:  # noqa: N802 - as unittest calls it
            with pytest.raises(DatabaseError), atomic():
                by_itself(receipt)
            with pytest.raises(SessionRefused):
                session(reason="no").__enter__()
            with sessions_in_tests():
                with pytest.raises(SessionRefused):
                    session(reason="no").__enter__()
                seen.extend(denied())

    seen: list[EventRecord] = []
    Case.setUpClass()
    try:
        result = Case().run()
    finally:
        Case.tearDownClass()
        Case.doClassCleanups()  # else other databases stay forbidden to the tests that follow
    assert result is not None
    assert not result.errors + result.failures
    assert [one.kind for one in seen] == ["rejected"]
    assert denied() == []
    assert untouched()


# psql, and other programs -------------------------------------------------------------------------


def logged(statement: str) -> list[str]:
    """Run SQL on a cursor of the driver's, as psql would; return what the server logs of it."""
    told: list[str] = []
    run("SET client_min_messages = log")
    raw = connection.connection
    if is_psycopg3:
        raw.add_notice_handler(lambda one: told.append(f"{one.severity}:  {one.message_primary}"))
    with contextlib.suppress(connection.Database.Error), raw.cursor() as cursor:
        cursor.execute(statement)
    return [one for one in (told if is_psycopg3 else raw.notices) if one.startswith("LOG:")]


@pytest.mark.parametrize("ending", ["", "EXCEPTION WHEN OTHERS THEN NULL;"])
def test_the_servers_log_has_what_any_other_program_was_refused(
    guarded: BaseDatabaseWrapper, receipt: Receipt, ending: str
) -> None:
    """Even where the error is handled in the database, and the statement does not fail."""
    strict()
    (line,) = logged(
        f"DO $$ BEGIN PERFORM {ignoring(RECEIPT).removeprefix('SELECT')};"
        f" UPDATE past_receipt SET number = 'x'; {ending} END $$"
    )
    role = run("SELECT session_user::text")[0][0]
    assert f'trigger_ops: {pgid(RECEIPT)} is not ignored for role "{role}"' in line
    assert denied() == []
    assert is_protected(receipt)


# Requests -----------------------------------------------------------------------------------------


def rejected(error: type[Exception], act: Callable[[], object]) -> EventRecord:
    """Do what is refused; return what is on record of it."""
    before = len(denied())
    with pytest.raises(error) as caught:
        act()
    newest, *others = denied()
    assert len(others) == before
    assert newest.kind == "rejected"
    assert newest.detail["message"] == str(caught.value)
    return newest


def test_a_request_that_is_refused_is_on_record(
    guarded: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trigger_ops")
    asked = {"reason": "x" * 40, "actor": "user:ada"}
    for act in (
        lambda: session(CUSTOMER, **asked).__enter__(),
        lambda: api.open_session(CUSTOMER, **asked),  # type: ignore[arg-type]  # a test gives what it changes by name
    ):
        caplog.clear()
        one = rejected(SessionRefused, act)
        assert (one.session, one.actor) == (None, "user:ada")
        assert one.detail["triggers"] == [CUSTOMER]
        assert one.detail["reason"] == "x" * 40
        assert one.detail["request"] == "a session"
        assert 'On "default" user:ada was refused a session: "xxx' in caplog.text
        assert [one.levelno for one in caplog.records] == [logging.INFO]
    assert untouched()


def test_what_the_database_refuses_has_its_code(guarded: BaseDatabaseWrapper) -> None:
    run("UPDATE trigger_ops_guard SET most_triggers = 0")
    one = rejected(SessionRefused, lambda: api.open_session(RECEIPT, reason=REASON))
    assert (one.detail["code"], one.detail["triggers"]) == ("TO011", [RECEIPT])


def test_a_request_in_a_transaction_outlives_that(
    guarded: BaseDatabaseWrapper, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError), atomic():
        Receipt.objects.create(number="rolled back")
        with pytest.raises(SessionRefused):
            session(reason="no").__enter__()
        assert [one.levelno for one in caplog.records] == [logging.WARNING]
        raise ZeroDivisionError
    assert [one.detail["reason"] for one in denied()] == ["no"]
    assert Receipt.objects.count() == 1
    assert untouched()


def test_what_makes_no_sense_is_no_request(guarded: BaseDatabaseWrapper) -> None:
    with pytest.raises(UnknownSelector):
        api.open_session("past.Reciept", reason=REASON)
    assert denied() == []


def test_what_somebody_gave_is_kept_as_it_can_be(guarded: BaseDatabaseWrapper) -> None:
    reason = "\0" + "é" * 5_000
    one = rejected(SessionRefused, lambda: api.open_session(RECEIPT, reason=reason))
    assert one.detail["reason"] == "é" * 1_000 + "…"


def test_without_the_guard_requests_are_on_record_too(own_database: BaseDatabaseWrapper) -> None:
    one = rejected(SessionRefused, lambda: api.open_session(RECEIPT, reason=REASON))
    assert "The guard is not on" in one.detail["message"]


def pending() -> int:
    strict("four_eyes")
    return api.open_session(RECEIPT, reason=REASON, actor="user:ada").id


def test_working_in_a_session_that_is_not_approved_or_over_is_on_record(
    guarded: BaseDatabaseWrapper,
) -> None:
    number = pending()
    one = rejected(SessionRefused, lambda: api.session(id=number, actor="user:bob").__enter__())
    assert (one.session, one.actor) == (number, "user:bob")
    assert one.detail["request"] == "to work in a session"
    api.end_session(number)
    assert rejected(SessionOver, lambda: api.session(id=number).__enter__()).session == number


def test_a_number_that_no_session_has_is_kept_apart(guarded: BaseDatabaseWrapper) -> None:
    for number in (77, 2**70, -1):
        one = rejected(SessionRefused, lambda number=number: api.session(id=number).__enter__())
        assert one.session is None
        assert str(number) in one.detail["message"]


def test_a_review_and_an_extension_that_are_refused_are_on_record(
    guarded: BaseDatabaseWrapper,
) -> None:
    number = pending()
    ada = Actor(name="user:ada")
    one = rejected(
        SessionRefused, lambda: api.review_session(number, reviewer=ada, verdict="approve")
    )
    assert (one.session, one.actor) == (number, "user:ada")
    one = rejected(SessionRefused, lambda: api.extend_session(number, longer="5m"))
    assert (one.session, one.detail["code"]) == (number, "TO016")
    api.review_session(number, reviewer=Actor(name="user:eve"), verdict="deny", remark="no")
    one = rejected(
        SessionRefused,
        lambda: api.review_session(number, reviewer=Actor(name="user:bob"), verdict="approve"),
    )
    assert (one.session, one.detail["code"]) == (number, "TO015")
    assert api.session_report(number).clean


def test_a_server_that_writes_nothing_has_them_in_the_log(
    guarded: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    connections["default"].close()
    with default_at(OPTIONS={"options": "-c default_transaction_read_only=on"}):
        with pytest.raises(SessionRefused, match="read-only or a standby"):
            session().__enter__()
        tried_often()
    assert denied() == []
    assert caplog.records[-1].levelno == logging.ERROR
    assert "Not on record (cannot execute INSERT in a read-only transaction)" in caplog.text
