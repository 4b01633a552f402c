"""The gate: a session that lives and names the trigger, else the trigger's policy."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid
from tests.database.acts import (
    CUSTOMER,
    INVOICE,
    RECEIPT,
    Connect,
    Row,
    a_receipt,
    close,
    do,
    enter,
    ignoring,
    in_session,
    named,
    one,
    open_session,
    policy,
    receipts,
    refused,
    rows_on_record,
    stood_aside,
    transaction,
)
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.sql.functions import expected_functions

UPDATE = "UPDATE past_receipt SET number = 'changed'"
TRIGGER = pgid(RECEIPT)


HOSTILE = "o'br\"ien; $body -- %s"


def test_functions_are_made_in_a_schema_of_any_name(guarded: BaseDatabaseWrapper) -> None:
    do(guarded, named("CREATE SCHEMA {home}", home=HOSTILE))
    tables = r"SELECT relname FROM pg_class WHERE relname LIKE 'trigger\_ops\_%' AND relkind = 'r'"
    for (table,) in do(guarded, tables):
        do(guarded, named("CREATE TABLE {home}.{table} (LIKE {table})", home=HOSTILE, table=table))
    wanted = [
        each
        for file in ("sessions", "guard")
        for each in expected_functions(file, home=HOSTILE, schema=HOSTILE)
    ]
    for each in wanted:
        do(guarded, each.statement)
    there = (
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = quote_ident(%s)::regnamespace"
    )
    assert sorted(do(guarded, there, HOSTILE)) == sorted((each.name, each.body) for each in wanted)


# Policies (acceptance 1 and 2) --------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["its own", "the default"])
@pytest.mark.parametrize(
    ("mode", "code", "recorded"),
    [
        ("open", None, False),
        ("record", None, True),
        ("session", "TO001", False),
        ("four_eyes", "TO001", False),
    ],
)
def test_a_policy_says_what_ignoring_outside_a_session_does(
    guarded: BaseDatabaseWrapper, mode: str, code: str | None, *, named: bool, recorded: bool
) -> None:
    key = a_receipt(guarded)
    policy(guarded, mode, *([RECEIPT] if named else []))
    if code:
        with refused(code), transaction(guarded):
            do(guarded, ignoring(RECEIPT))
            do(guarded, UPDATE)
    else:
        with transaction(guarded):
            do(guarded, ignoring(RECEIPT))
            do(guarded, UPDATE)
    old, new = {"id": key, "number": "r1"}, {"id": key, "number": "changed"}
    assert receipts(guarded) == ["r1" if code else "changed"]
    assert rows_on_record(guarded) == (
        [Row(None, "past_receipt", "UPDATE", old, new, "ignore")] if recorded else []
    )
    assert stood_aside(guarded) == ([(TRIGGER, None)] if recorded else [])


def test_settings_of_the_connection_are_judged_like_any_other(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    a_receipt(guarded)
    other = second_connection(
        OPTIONS={"options": f"-c pgtrigger.ignore={{{TRIGGER}}}", "application_name": "psql"}
    )
    do(other, UPDATE)
    (who,) = do(guarded, "SELECT role = session_user, application FROM trigger_ops_change")
    assert who == (True, "psql")
    policy(guarded, "session")
    with refused("TO001"):
        do(other, UPDATE)


VALUES = [
    "",
    "{}",
    f"{{{TRIGGER}}}",
    f"{{other,{TRIGGER}}}",
    f"{{other, {TRIGGER} }}",
    f'{{"{TRIGGER}"}}',
    f'{{"other","{TRIGGER}"}}',
    f"{{{{{TRIGGER}}}}}",
    f"{{{TRIGGER}_more}}",
    f"{{more_{TRIGGER}}}",
    f"{{{TRIGGER[:5]} {TRIGGER[5:]}}}",
    f'{{"{TRIGGER},other"}}',
    f"{{NULL,{TRIGGER}}}",
    "{NULL}",
    TRIGGER,
    f"{{{TRIGGER}",
    f"{TRIGGER}}}",
    f"{{{TRIGGER}}}}}",
    f"{{other,{{{TRIGGER}}}",
    f'{{"{TRIGGER}}}',
    f"[1:1]={{{TRIGGER}}}",
    f",{TRIGGER},",
    "garbage",
    "'; DROP TABLE past_receipt; --",
    "{" + "x" * 40_000 + "}",
]


def test_the_gate_reads_the_setting_as_pgtrigger_does(guarded: BaseDatabaseWrapper) -> None:
    policy(guarded, "open")
    do(
        guarded,
        "CREATE FUNCTION stock(trigger_name name) RETURNS boolean LANGUAGE plpgsql "
        f"AS $${stock_ignore_body()}$$",
    )
    found = {}
    for value in VALUES:
        do(guarded, "SELECT set_config('pgtrigger.ignore', %s, false)", value)
        asked = (
            f"SELECT coalesce(stock('{TRIGGER}'), false), _pgtrigger_should_ignore('{TRIGGER}')"
        )
        (found[value[:80]],) = do(guarded, asked)
    assert [value for value, (stock, ours) in found.items() if stock is not ours] == []
    assert {stock for stock, _ in found.values()} == {True, False}


GARBAGE = ["abc", "0", "-1", "1,2", "1e3", "99999999999999999999", "{1}", "1;2", " 1", "1'", "%s"]


def test_garbage_for_a_session_lets_nothing_through_and_breaks_nothing(
    guarded: BaseDatabaseWrapper,
) -> None:
    a_receipt(guarded)
    open_session(guarded, RECEIPT)
    for value in GARBAGE:
        do(guarded, "SELECT set_config('trigger_ops.session', %s, false)", value)
        do(guarded, "SELECT set_config('trigger_ops.rows', %s, false)", value)
        do(guarded, "INSERT INTO past_invoice (number, total) VALUES ('i1', 1)")
        with refused("P0001"):
            do(guarded, UPDATE)
    assert receipts(guarded) == ["r1"]
    assert rows_on_record(guarded) == stood_aside(guarded) == []


# Sessions -----------------------------------------------------------------------------------------


def test_a_session_lets_its_own_triggers_stand_aside_and_no_others(
    guarded: BaseDatabaseWrapper,
) -> None:
    a_receipt(guarded)
    do(guarded, "INSERT INTO past_invoice (number, total) VALUES ('i1', 1)")
    session = open_session(guarded, RECEIPT, CUSTOMER)
    with in_session(guarded, session):
        do(guarded, UPDATE)
    with refused("P0001"), in_session(guarded, session):
        do(guarded, "DELETE FROM past_invoice")
    assert receipts(guarded) == ["changed"]
    assert stood_aside(guarded) == [(TRIGGER, session)]


def test_under_record_what_is_ignored_beside_the_session_is_told_apart(
    guarded: BaseDatabaseWrapper,
) -> None:
    do(guarded, "INSERT INTO past_invoice (number, total) VALUES ('i1', 1)")
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, ignoring(INVOICE))
        do(guarded, "DELETE FROM past_invoice")
    assert stood_aside(guarded) == [(pgid(INVOICE), None)]


@pytest.mark.parametrize("wanted", ["ended", "revoked", "abandoned", "expired"])
def test_between_two_statements_an_end_stops_the_second(
    guarded: BaseDatabaseWrapper, second_connection: Connect, wanted: str
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with refused("TO002"), in_session(guarded, session):
        do(guarded, UPDATE)
        assert close(second_connection(), session, wanted) == wanted
        do(guarded, UPDATE)
    assert receipts(guarded) == ["r1"]
    assert rows_on_record(guarded) == stood_aside(guarded) == []


def test_a_session_that_expires_stops_a_statement_in_its_midst(
    guarded: BaseDatabaseWrapper,
) -> None:
    do(guarded, "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, 500)")
    session = open_session(guarded, RECEIPT, lasts="600 milliseconds")
    with refused("TO002"), in_session(guarded, session):
        # Whoever asks for more time gets it, and the gate refuses all the same.
        do(guarded, "SET LOCAL statement_timeout = 0")
        do(guarded, "UPDATE past_receipt SET number = 'x' || coalesce(pg_sleep(0.01)::text, '')")
    assert set(receipts(guarded)) == {"r"}


ROWS = 100_000
ASKED = "past_invoice_id_seq"
"""A sequence counts the rows that a statement has come to: no rollback takes that back."""


def come_to(connection: BaseDatabaseWrapper) -> int:
    return int(one(connection, f"SELECT last_value FROM {ASKED}"))


def test_a_revoke_stops_a_large_update_at_once(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    """It comes to next to no row more, where it had nearly all of them before it.

    How long that takes is measured by the benchmarks (docs/benchmarks.md).
    """
    do(guarded, f"INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, {ROWS})")
    session = open_session(guarded, RECEIPT, most_rows=1_000_000)
    other, at_revoke = second_connection(), list[int]()
    other.inc_thread_sharing()

    def revoke() -> None:
        while come_to(other) < 100:
            time.sleep(0.001)
        close(other, session)
        at_revoke.append(come_to(other))

    thread = threading.Thread(target=revoke)
    thread.start()
    with refused("TO002"), in_session(guarded, session):
        do(guarded, f"UPDATE past_receipt SET number = nextval('{ASKED}')::text")
    thread.join(timeout=60)
    # Of the row that it is at when the revoke is committed it may have asked before.
    assert come_to(guarded) - at_revoke[0] <= 2
    assert at_revoke[0] < ROWS / 2
    assert set(receipts(guarded)) == {"r"}
    assert rows_on_record(guarded) == []


def test_of_two_sessions_that_name_a_trigger_a_live_one_is_enough(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    a_receipt(guarded)
    outer, inner = open_session(guarded, RECEIPT), open_session(guarded, RECEIPT)
    with refused("TO005"), in_session(guarded, inner, outer):
        do(guarded, UPDATE)
        close(second_connection(), inner)
        do(guarded, UPDATE)  # for the outer one; COMMIT refuses what the inner one did
        assert stood_aside(guarded) == [(TRIGGER, inner), (TRIGGER, outer)]
    assert receipts(guarded) == ["r1"]


def test_the_innermost_session_that_names_a_trigger_is_on_record(
    guarded: BaseDatabaseWrapper,
) -> None:
    a_receipt(guarded)
    outer, inner = open_session(guarded, RECEIPT, CUSTOMER), open_session(guarded, RECEIPT)
    with in_session(guarded, inner, outer):
        do(guarded, UPDATE)
    assert [row.session for row in rows_on_record(guarded)] == [inner]
    assert stood_aside(guarded) == [(TRIGGER, inner)]


# Transactions -------------------------------------------------------------------------------------


def test_another_transactions_session_is_none(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session), refused("P0001"):
        other = second_connection()
        do(other, "SELECT set_config('trigger_ops.session', %s, false)", str(session))
        do(other, UPDATE)


def test_a_row_of_an_older_cluster_with_the_same_number_is_none(
    guarded: BaseDatabaseWrapper,
) -> None:
    """As after pg_restore into a new cluster, which counts transactions from the beginning."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    this = "pg_current_xact_id()::text::bigint"
    with refused("P0001"), transaction(guarded):
        do(
            guarded,
            "INSERT INTO trigger_ops_sessiontransaction (session_id, transaction, pid, role, "
            f"application, address, at) VALUES (%s, {this}, 1, 'x', '', '', now() - '1 day'::interval)",
            session,
        )
        do(
            guarded,
            "INSERT INTO trigger_ops_decision (transaction, trigger, session_id, role, at) "
            f"VALUES ({this}, %s, %s, 'x', now() - '1 day'::interval)",
            *(TRIGGER, session),
        )
        do(guarded, "SELECT set_config('trigger_ops.session', %s, true)", str(session))
        do(guarded, UPDATE)
    assert receipts(guarded) == ["r1"]


def test_a_rollback_to_a_savepoint_leaves_a_session_that_was_entered_after_it(
    guarded: BaseDatabaseWrapper,
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with transaction(guarded):
        do(guarded, "SAVEPOINT s")
        enter(guarded, session)
        do(guarded, UPDATE)
        do(guarded, "ROLLBACK TO s")
        do(guarded, "SAVEPOINT t")
        with refused("P0001"):
            do(guarded, UPDATE)
        do(guarded, "ROLLBACK TO t")
    assert receipts(guarded) == ["r1"]
    assert rows_on_record(guarded) == stood_aside(guarded) == []


def test_no_more_than_needed_is_asked_when_nothing_is_ignored(
    guarded: BaseDatabaseWrapper,
) -> None:
    """The gate is inlined into the trigger's own function: nothing of ours is called."""
    do(guarded, "INSERT INTO past_invoice (number, total) VALUES ('i1', 1)")
    do(guarded, "SET track_functions = 'all'")
    with pytest.raises(DatabaseError):
        do(guarded, "DELETE FROM past_invoice")
    do(guarded, "SELECT pg_stat_force_next_flush()")
    called = do(
        guarded,
        "SELECT funcname FROM pg_stat_user_functions WHERE funcname ~ 'trigger_ops|should_ignore'",
    )
    assert called == []


# Policies that are raised while a session lasts ----------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["its own", "the default"])
@pytest.mark.parametrize(
    ("needs", "mode", "approvals", "code"),
    [
        (0, "four_eyes", 1, "TO015"),
        (0, "four_eyes", 0, "TO015"),
        (1, "four_eyes", 2, "TO015"),
        (1, "four_eyes", 1, None),
        (2, "four_eyes", 1, None),
        (0, "session", 1, None),
        (0, "open", 1, None),
    ],
)
def test_a_session_that_began_under_a_lower_policy_lets_nothing_stand_aside(
    guarded: BaseDatabaseWrapper,
    needs: int,
    mode: str,
    approvals: int,
    code: str | None,
    *,
    named: bool,
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, needs=needs)
    for reviewer in ("user:bob", "user:cy")[:needs]:
        do(guarded, "SELECT trigger_ops_review(%s, %s, '', 'approve', '')", session, reviewer)
    with in_session(guarded, session):
        do(guarded, "UPDATE past_receipt SET number = 'before'")
    policy(guarded, mode, *([RECEIPT] if named else []), approvals=approvals)
    if code:
        with refused(code), in_session(guarded, session):
            do(guarded, UPDATE)
        assert receipts(guarded) == ["before"]
    else:
        with in_session(guarded, session):
            do(guarded, UPDATE)
        assert receipts(guarded) == ["changed"]


def test_a_policy_of_another_trigger_concerns_nobody_else(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, CUSTOMER)
    policy(guarded, "four_eyes", CUSTOMER)
    with in_session(guarded, session):
        do(guarded, UPDATE)
    assert receipts(guarded) == ["changed"]


def test_a_transaction_in_which_it_stood_aside_already_goes_on(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    """As what was decided for one row of it is for the others."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "UPDATE past_receipt SET number = 'first'")
        policy(second_connection(), "four_eyes")
        do(guarded, UPDATE)
    with refused("TO015"), in_session(guarded, session):
        do(guarded, UPDATE)
