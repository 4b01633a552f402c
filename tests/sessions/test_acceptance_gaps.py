"""What the acceptance tests ask for and no other file shows; the numbers are those of the list.

:mod:`tests.test_acceptance` says where each number is shown.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import time_machine
from django.db import DatabaseError, Error, ProgrammingError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic, set_rollback

from demo_site.past.models import Customer, Receipt
from demo_site.tutorial.models import (
    FSM,
    SoftDelete,
    StatementComposer,
    StatementLog,
    StatementProtect,
)
from tests.damage import run
from tests.database.acts import (
    POSTING,
    SOFT,
    STATEMENT,
    Connect,
    close,
    do,
    enter,
    in_session,
    one,
    open_session,
    refused,
    rows_on_record,
    transaction,
)
from tests.sessions.conftest import (
    CUSTOMER,
    RECEIPT,
    Written,
    is_protected,
    renumber,
    revoke,
    session,
)
from trigger_ops import api
from trigger_ops.sessions.ending import Revocation
from trigger_ops.states import SessionState

FSM_URI = "tutorial.FSM:validate_status_transitions"
COMPOSER = "tutorial.StatementComposer:log_int_changes"
REFUSED = "refused"


# A deferred trigger that is let off late (5) ------------------------------------------------------


@pytest.mark.parametrize(
    "ending", ["SELECT 1", "SET CONSTRAINTS ALL IMMEDIATE"], ids=["COMMIT", "SET CONSTRAINTS"]
)
def test_a_deferred_trigger_that_stood_aside_unseen_is_a_finding_of_the_report(
    guarded: BaseDatabaseWrapper, ending: str
) -> None:
    number = open_session(guarded, POSTING)
    with transaction(guarded):
        do(guarded, "INSERT INTO awkward_posting (booking, amount) VALUES (1, 5)")
        enter(guarded, number)
        do(guarded, ending)
    close(guarded, number, "ended")
    assert one(guarded, "SELECT count(*) FROM awkward_posting") == 1
    assert rows_on_record(guarded) == []
    findings = api.session_report(number).findings
    assert any(
        finding.startswith(f"{POSTING} stood aside in transaction")
        and "no row of it is on record" in finding
        for finding in findings
    ), findings


# Each built-in trigger, through the ORM (12) ------------------------------------------------------


class BuiltIn(NamedTuple):
    """A trigger, the row that it is about, and what it prevents, or does instead.

    ``outside`` and ``inside`` are what comes of it: an error, or how many rows of both kinds that
    a trigger leaves by itself there are then.
    """

    uri: str
    model: type[models.Model]
    fields: dict[str, Any]
    act: Callable[[models.QuerySet[Any]], object]
    outside: Any = REFUSED
    finding: str = ""


BUILT_INS = {
    "Protect": BuiltIn(RECEIPT, Receipt, {"number": "a"}, lambda rows: rows.delete()),
    "ReadOnly": BuiltIn(
        CUSTOMER,
        Customer,
        {"name": "Ada", "email": "ada@old.example"},
        lambda rows: rows.update(email="ada@new.example"),
    ),
    "FSM": BuiltIn(
        FSM_URI, FSM, {"status": "inactive"}, lambda rows: rows.update(status="unpublished")
    ),
    "SoftDelete": BuiltIn(
        SOFT,
        SoftDelete,
        {},
        lambda rows: rows.delete(),
        {"soft deleted": 1, "logged": 0},
        f"Hard delete of 1 row of public.tutorial_softdelete: {SOFT}",
    ),
    "Protect of statements": BuiltIn(
        STATEMENT, StatementProtect, {"int_field": 1}, lambda rows: rows.update(int_field=2)
    ),
    "Composer of statements": BuiltIn(
        COMPOSER,
        StatementComposer,
        {"int_field": 1},
        lambda rows: rows.update(int_field=2),
        {"soft deleted": 0, "logged": 1},
    ),
}


def left_behind() -> dict[str, int]:
    return {
        "soft deleted": SoftDelete.objects.filter(is_active=False).count(),
        "logged": StatementLog.objects.count(),
    }


def images(model: type[models.Model]) -> list[Any]:
    """Return the rows of a table as PostgreSQL makes JSON of them."""
    table = model._meta.db_table
    return [
        json.loads(text)
        for (text,) in run("SELECT to_jsonb(t)::text FROM {table} t ORDER BY id", table=table)
    ]


def outside_of_a_session(act: Callable[[], object]) -> Any:
    try:
        with atomic():
            act()
            found = left_behind()
            set_rollback(True)
    except DatabaseError as error:
        return REFUSED if api.is_trigger_error(error) else error
    return found


@pytest.mark.parametrize("case", BUILT_INS.values(), ids=BUILT_INS.keys())
def test_each_built_in_trigger_stands_aside_and_the_row_is_on_record(
    bound: BaseDatabaseWrapper, case: BuiltIn
) -> None:
    rows = case.model._default_manager.filter(
        pk=case.model._default_manager.create(**case.fields).pk
    )
    assert outside_of_a_session(lambda: case.act(rows)) == case.outside
    before = images(case.model)
    with session(case.uri) as running:
        case.act(rows)
    after = images(case.model)
    assert before != after
    assert left_behind() == {"soft deleted": 0, "logged": 0}
    account = api.show_session(running.id)
    (change,) = account.changes
    assert (change.schema, change.table) == ("public", case.model._meta.db_table)
    assert [change.op] == (["UPDATE"] if after else ["DELETE"])
    assert [change.old] == before
    assert [change.new] == (after or [None])
    assert len(account.report.findings) == bool(case.finding)
    assert all(one.startswith(case.finding) for one in account.report.findings)


# Revoking through the public door (20 and 23) -----------------------------------------------------


def revoked_by_somebody_else(number: int) -> Revocation:
    """Revoke a session in another thread, over a connection of that thread's own."""

    def act() -> Revocation:
        try:
            return api.revoke_session(number, reason="enough", actor="user:eve")
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result(timeout=60)


def backend() -> int:
    return int(run("SELECT pg_backend_pid()")[0][0])


def test_a_revoke_ends_a_statement_that_runs_and_keeps_none_of_its_rows(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    rows = 3000
    do(guarded, "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, %s)", rows)
    number = open_session(guarded, RECEIPT)
    other = second_connection()
    other.inc_thread_sharing()
    pid, errors = one(other, "SELECT pg_backend_pid()"), list[DatabaseError]()

    def work() -> None:
        try:
            with in_session(other, number):
                # Half a minute, if nobody ends it; no rollback takes back how far it came.
                do(
                    other,
                    "UPDATE past_receipt SET number = nextval('past_invoice_id_seq')"
                    " || coalesce(pg_sleep(0.01)::text, '')",
                )
        except DatabaseError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' "
        "AND query LIKE 'UPDATE past_receipt%%'"
    )
    while thread.is_alive() and not one(guarded, running, pid):
        time.sleep(0.01)
    come_to = "SELECT last_value FROM past_invoice_id_seq"
    before = one(guarded, come_to)
    done = api.revoke_session(number, reason="enough", actor="user:eve")
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert one(guarded, come_to) - before < rows / 10
    assert len(errors) == 1
    assert (done.state, done.remaining) == (SessionState.REVOKED, ())
    # It stops by itself, perhaps before the revoker looks who is in the session; its connection
    # is ended where this machine is too busy for that.
    assert done.stopped + done.ended in ((), (pid,))
    assert do(guarded, "SELECT DISTINCT number FROM past_receipt") == [("r",)]
    assert rows_on_record(guarded) == []


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_cannot_see_the_revoke_loses_its_connection(
    everywhere: BaseDatabaseWrapper, receipt: Receipt, written: Written, level: str
) -> None:
    with pytest.raises(Error) as caught, session() as running:
        run(f"BEGIN ISOLATION LEVEL {level}")
        renumber(receipt, "before")
        pid = backend()
        revoke(written, running.id)
        # Its snapshot is older: the row alone would not stop it.
        assert renumber(receipt, "unseen") == 1
        assert revoked_by_somebody_else(running.id).ended == (pid,)
        renumber(receipt, "after")
    assert running.over(caught.value)
    connections["default"].close()
    assert written("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(0,)]
    assert written.changes(running.id) == []
    receipt.refresh_from_db()
    assert receipt.number == "wrong"
    assert is_protected(receipt)


# Clocks (22) --------------------------------------------------------------------------------------


@pytest.fixture(params=[-1, 1], ids=["a day behind", "a day ahead"])
def wrong_clock(request: pytest.FixtureRequest, guarded: BaseDatabaseWrapper) -> Any:
    """Let the clock of this process be wrong by a day, and go on."""
    wrong = dt.datetime.now(dt.UTC) + dt.timedelta(days=request.param)
    with time_machine.travel(wrong, tick=True):
        assert abs(dt.datetime.now(dt.UTC) - wrong) < dt.timedelta(hours=1)
        yield


@pytest.mark.usefixtures("wrong_clock")
def test_a_wrong_clock_of_the_application_ends_no_session(
    receipt: Receipt, written: Written
) -> None:
    with session(duration="5m") as running:
        renumber(receipt, "right")
        state, left = api.time_left(running)
        assert (state, api.find_session(running.id).state) == (SessionState.ACTIVE,) * 2
        assert 0 < left.total_seconds() <= 300
        longer = api.extend_session(running.id, longer="5m")
    assert longer.activated is not None
    assert longer.expires is not None
    assert longer.expires - longer.activated == dt.timedelta(minutes=10)
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]
    assert written.state(running.id) == "ended"
    assert written(
        "SELECT opened BETWEEN now() - '1 hour'::interval AND now() FROM trigger_ops_session"
    ) == [(True,)]
    assert api.session_report(running.id).clean


def next_statement(receipt: Receipt, written: Written) -> None:
    written("SELECT pg_sleep(1.1)::text")
    renumber(receipt)


def commit(receipt: Receipt, written: Written) -> None:
    with atomic():
        renumber(receipt)
        run("SET LOCAL statement_timeout = 0")
        run("SELECT pg_sleep(1.1)")


@pytest.mark.parametrize(("act", "code"), [(next_statement, "TO002"), (commit, "TO005")])
@pytest.mark.usefixtures("wrong_clock")
def test_a_wrong_clock_of_the_application_gives_no_session_more_time(
    receipt: Receipt, written: Written, act: Callable[[Receipt, Written], None], code: str
) -> None:
    with pytest.raises(ProgrammingError) as caught, session(duration="1s") as running:
        act(receipt, written)
    assert api.refusal_code(caught.value) == code
    assert running.over(caught.value)
    assert api.find_session(running.id).state is SessionState.EXPIRED
    assert written.changes(running.id) == []
    assert is_protected(receipt)


def test_a_transaction_that_is_idle_at_the_end_of_its_session_loses_its_connection(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(Error) as caught, session(duration="1s") as running, atomic():
        renumber(receipt, "too slow")
        pid = backend()
        # Nothing is sent meanwhile, as while somebody has gone for a coffee.
        still_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        for _ in range(600):
            if written(still_there, pid) == [(0,)]:
                break
            time.sleep(0.05)
        renumber(receipt, "too late")
    assert running.over(caught.value)
    assert not api.is_trigger_error(caught.value)
    connections["default"].close()
    assert api.find_session(running.id).state is SessionState.EXPIRED
    assert written.changes(running.id) == []
    receipt.refresh_from_db()
    assert receipt.number == "wrong"
    assert is_protected(receipt)


# The application's role under "split" (28) --------------------------------------------------------


def test_sessions_work_for_a_role_that_owns_nothing(
    app_role: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    assert is_protected(receipt)
    with session() as running:
        renumber(receipt, "right")
        with atomic():
            renumber(receipt, "righter")
        assert api.extend_session(running.id, longer="5m").extensions == 1
    account = api.show_session(running.id)
    assert [(one.old, one.new) for one in account.changes] == [
        ({"id": receipt.pk, "number": "wrong"}, {"id": receipt.pk, "number": "right"}),
        ({"id": receipt.pk, "number": "right"}, {"id": receipt.pk, "number": "righter"}),
    ]
    assert account.report.clean
    assert account.session.role == app_role.settings_dict["USER"]
    assert account.session.state is SessionState.ENDED
    assert is_protected(receipt)


def test_a_role_that_owns_nothing_writes_no_table_of_ours_itself(
    app_role: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with session() as running:
        renumber(receipt, "right")
    tables = run("SELECT relname FROM pg_class WHERE relname ~ '^trigger_ops_' AND relkind = 'r'")
    assert len(tables) > 10
    for (table,) in tables:
        ((column,),) = run(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", table
        )
        for write in (
            "INSERT INTO {table} DEFAULT VALUES",
            "UPDATE {table} SET {column} = {column}",
            "DELETE FROM {table}",
            "TRUNCATE {table} CASCADE",
        ):
            with refused("42501"):  # for want of a right: the guard of evidence has a code
                run(write, table=table, column=column)
    assert [one.new for one in api.show_session(running.id).changes] == [
        {"id": receipt.pk, "number": "right"}
    ]
