from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import InternalError, ProgrammingError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Customer, Receipt
from tests.sessions.conftest import (
    CLEAN,
    CUSTOMER,
    REASON,
    RECEIPT,
    Written,
    is_protected,
    renumber,
    session,
    settings_now,
)
from trigger_ops import api
from trigger_ops.sessions.statements import LONGEST_TEMPLATE


def raw(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def by_number() -> int:
    """Open a session that goes on after a block that uses it."""
    return api.open_session(RECEIPT, reason=REASON).id


def restored() -> bool:
    """Tell whether the connection is as Django made it: no wrapper, no method of ours."""
    ours = {"_commit", "_rollback", "_close", "set_autocommit"}
    return not connection.execute_wrappers and not ours & vars(connection).keys()


def autocommit(receipt: Receipt) -> None:
    with session():
        renumber(receipt)
        renumber(receipt)


def session_in_atomic(receipt: Receipt) -> None:
    with atomic():
        with session():
            renumber(receipt)
            renumber(receipt)
        assert is_protected(receipt)
        assert settings_now() == CLEAN


def atomic_in_session(receipt: Receipt) -> None:
    with session():
        with atomic():
            renumber(receipt)
            with atomic():
                renumber(receipt)
        renumber(receipt)


def request_within_a_session(receipt: Receipt) -> None:
    @atomic
    def view() -> None:
        renumber(receipt)

    session()(view)()


def session_within_a_request(receipt: Receipt) -> None:
    @atomic
    @session()
    def view() -> None:
        renumber(receipt)

    view()


def by_hand(receipt: Receipt) -> None:
    with session():
        raw("BEGIN")
        renumber(receipt)
        raw("COMMIT")
        raw("/* by hand */ begin")
        renumber(receipt)
        raw("-- not kept\nROLLBACK")
        renumber(receipt)


@pytest.mark.parametrize(
    "act",
    [
        autocommit,
        session_in_atomic,
        atomic_in_session,
        request_within_a_session,
        session_within_a_request,
        by_hand,
    ],
    ids=lambda act: act.__name__,
)
def test_triggers_stand_aside_inside_and_nowhere_else(
    bound: BaseDatabaseWrapper, receipt: Receipt, act: Callable[[Receipt], None]
) -> None:
    act(receipt)
    assert is_protected(receipt)
    assert settings_now() == CLEAN
    assert restored()


@pytest.mark.parametrize(
    ("statements", "entered"), [(1, 1), (5, 1)], ids=["one statement", "five statements"]
)
def test_a_transaction_is_entered_once(
    bound: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    statements: int,
    entered: int,
) -> None:
    with session() as running, atomic():
        for _ in range(statements):
            renumber(receipt)
    assert written.transactions(running.id) == entered
    assert [rows for _, rows, _ in written.statements(running.id)] == [1] * statements


def test_statements_of_a_transaction_that_is_rolled_back_are_not_kept(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        with atomic():
            renumber(receipt)
            transaction.set_rollback(True)
        renumber(receipt, "right")
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]
    assert len(written.statements(running.id)) == 1


def test_many_statements_of_one_transaction_are_all_kept(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running, atomic():
        for number in range(450):
            renumber(receipt, f"n{number}")
    assert len(written.statements(running.id)) == 450
    assert len(written.changes(running.id)) == 450


def test_g2_nothing_leaks_with_autocommit_off(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    connection.set_autocommit(False)
    try:
        with session() as running:
            renumber(receipt, "first")
            connection.commit()
            renumber(receipt, "second")
            connection.rollback()
            renumber(receipt, "third")
        assert is_protected(receipt)
        assert settings_now() == CLEAN
        connection.commit()
        assert is_protected(receipt)
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    assert [new for _, _, new in written.changes(running.id)] == ["first", "third"]
    assert written.transactions(running.id) == 2
    assert restored()


def test_autocommit_may_be_turned_off_and_on_inside(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with session():
        connection.set_autocommit(False)
        connection.set_autocommit(True)
        connection.set_autocommit(False)
        renumber(receipt)
        connection.commit()
        connection.set_autocommit(True)
        renumber(receipt)
    assert is_protected(receipt)
    assert restored()


def test_atomic_with_autocommit_off(bound: BaseDatabaseWrapper, receipt: Receipt) -> None:
    connection.set_autocommit(False)
    try:
        with session():
            with atomic():
                renumber(receipt)
            connection.commit()
            with atomic():
                renumber(receipt)
        assert is_protected(receipt)
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    assert is_protected(receipt)


def before(receipt: Receipt) -> None:
    sid = transaction.savepoint()
    with session():
        renumber(receipt)
        transaction.savepoint_rollback(sid)
        renumber(receipt)


def inside(receipt: Receipt) -> None:
    with session():
        renumber(receipt)
        sid = transaction.savepoint()
        renumber(receipt)
        transaction.savepoint_rollback(sid)
        renumber(receipt)


def after_the_block(receipt: Receipt) -> None:
    with session():
        renumber(receipt)
        sid = transaction.savepoint()
        renumber(receipt)
    transaction.savepoint_rollback(sid)


def twice_after_the_block(receipt: Receipt) -> None:
    with session():
        first = transaction.savepoint()
        renumber(receipt)
        second = transaction.savepoint()
    transaction.savepoint_rollback(second)
    assert is_protected(receipt)
    transaction.savepoint_rollback(first)


def failed_atomic(receipt: Receipt) -> None:
    with session():
        with pytest.raises(ProgrammingError), atomic():
            renumber(receipt)
            raw("SELECT nonsense")
        renumber(receipt)


def failed_atomic_round_the_session(receipt: Receipt) -> None:
    with pytest.raises(ProgrammingError), atomic(), session():
        renumber(receipt)
        raw("SELECT nonsense")


def failed_with_a_savepoint_taken_inside(receipt: Receipt) -> None:
    with session():
        sid = transaction.savepoint()
        with pytest.raises(ProgrammingError):
            raw("SELECT nonsense")
    transaction.savepoint_rollback(sid)


@pytest.mark.parametrize(
    "act",
    [
        before,
        inside,
        after_the_block,
        twice_after_the_block,
        failed_atomic,
        failed_atomic_round_the_session,
        failed_with_a_savepoint_taken_inside,
    ],
    ids=lambda act: act.__name__,
)
def test_g3_a_rollback_to_a_savepoint_neither_ends_a_session_nor_brings_one_back(
    bound: BaseDatabaseWrapper, receipt: Receipt, act: Callable[[Receipt], None]
) -> None:
    with atomic():
        act(receipt)
        assert is_protected(receipt)
        assert settings_now() == CLEAN
    assert is_protected(receipt)
    assert restored()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1; ROLLBACK TO SAVEPOINT s",
        "SELECT 'a;b' /* ; */; rollback work to s",
        "-- first\nSELECT 1; ROLLBACK TO s; SELECT 2",
        f"SELECT '{'x' * LONGEST_TEMPLATE}'; ROLLBACK TO SAVEPOINT s",
    ],
    ids=["second", "lower case", "in the midst", "beyond what is recorded"],
)
def test_g3_a_rollback_anywhere_in_a_text_does_not_bring_a_session_back(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, statement: str
) -> None:
    number = by_number()
    with atomic():
        with api.session(id=number):
            renumber(receipt, "inside")
            raw("SAVEPOINT s")
        raw(statement)
        assert settings_now() == CLEAN
        with pytest.raises((ProgrammingError, InternalError)) as caught, atomic():
            renumber(receipt, "outside")
    assert api.is_trigger_error(caught.value)
    assert written.changes(number) == [("UPDATE", "wrong", "inside")]
    assert is_protected(receipt)
    assert restored()


def test_g3_a_rollback_anywhere_in_a_text_does_not_end_a_session(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with atomic():
        raw("SAVEPOINT s")
        with session() as running:
            raw("SELECT 1; ROLLBACK TO SAVEPOINT s")
            renumber(receipt, "first")
            raw("ROLLBACK TO SAVEPOINT s; SELECT 1")
            renumber(receipt, "second")
        assert is_protected(receipt)
    assert written.changes(running.id) == [("UPDATE", "wrong", "second")]
    assert api.session_report(running.id).clean


def by_the_driver(*texts: str) -> None:
    """Run SQL where nobody sees it: on a cursor of the driver's own."""
    with connection.connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)


def test_g3_a_rollback_that_nobody_sees_does_not_bring_a_session_back(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    number = by_number()
    with atomic():
        with api.session(id=number):
            raw("SAVEPOINT s")
            renumber(receipt, "inside")
        for _ in range(2):
            by_the_driver("ROLLBACK TO SAVEPOINT s")
            with pytest.raises((ProgrammingError, InternalError)), atomic():
                renumber(receipt, "outside")
    assert written.changes(number) == []
    assert is_protected(receipt)
    assert restored()


def test_g3_nor_does_it_bring_back_an_inner_one(
    bound: BaseDatabaseWrapper, receipt: Receipt, customer: Customer, written: Written
) -> None:
    number = by_number()
    with atomic(), session(CUSTOMER) as outer:
        with api.session(id=number):
            raw("SAVEPOINT s")
        by_the_driver("ROLLBACK TO SAVEPOINT s")
        with pytest.raises((ProgrammingError, InternalError)), atomic():
            renumber(receipt, "outside")
        Customer.objects.update(email="ada@new.example")
    assert written.changes(number) == []
    assert len(written.changes(outer.id)) == 1


def test_what_the_driver_alone_sees_is_on_record_all_the_same(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    """The one way left: nothing of Django's stands between the two, and the row tells."""
    number = by_number()
    with atomic():
        with api.session(id=number):
            raw("SAVEPOINT s")
        by_the_driver("ROLLBACK TO SAVEPOINT s", "UPDATE past_receipt SET number = 'residue'")
    assert written.changes(number) == [("UPDATE", "wrong", "residue")]
    assert any(
        finding.endswith("without a statement on record: past Django's cursors.")
        for finding in api.session_report(number).findings
    )
    assert is_protected(receipt)


def test_a_transaction_that_a_text_begins_is_left_with_its_session(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    number = by_number()
    with api.session(id=number):
        raw("SELECT 1; BEGIN")
    with pytest.raises((ProgrammingError, InternalError)):
        renumber(receipt, "outside")
    raw("ROLLBACK")
    assert written.changes(number) == []
    assert restored()


def test_timeouts_are_lowered_inside_and_put_back(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with atomic():
        raw("SET LOCAL statement_timeout = '1h'")
        with session(duration="5m"):
            renumber(receipt)
            _, _, statement, idle = settings_now()
            assert statement not in ("0", "1h")
            assert idle != "0"
        assert settings_now() == ("", "", "1h", "0")


def test_a_timeout_that_the_block_sets_is_left(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    with atomic():
        with session():
            renumber(receipt)
            raw("SET LOCAL statement_timeout = '7s'")
        assert settings_now() == ("", "", "7s", "0")


def test_on_commit_runs_in_the_session_that_is_still_open(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running, atomic():
        transaction.on_commit(lambda: renumber(receipt, "on commit"))
        renumber(receipt, "right")
    assert [new for _, _, new in written.changes(running.id)] == ["right", "on commit"]


def test_on_commit_after_the_block_is_outside(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    seen: list[bool] = []
    with atomic(), session():
        transaction.on_commit(lambda: seen.append(is_protected(receipt)))
        renumber(receipt)
    assert seen == [True]


def test_the_connection_may_be_closed_inside(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        renumber(receipt, "first")
        connection.close()
        renumber(receipt, "second")
        with pytest.raises(ValueError, match="mine"), atomic():
            renumber(receipt)
            connection.close()
            raise ValueError("mine")
        renumber(receipt, "third")
    assert [new for _, _, new in written.changes(running.id)] == ["first", "second", "third"]
    assert is_protected(receipt)
    assert restored()


def test_a_session_whose_state_is_over_refuses_atomic_and_leaves_the_connection_usable(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ProgrammingError, match="is revoked"), session() as running:
        written("SELECT trigger_ops_close(%s, 'revoked', 'user:eve', '')", running.id)
        with atomic():
            raise AssertionError("atomic() began")
    assert connection.get_autocommit()
    assert not connection.in_atomic_block
    assert is_protected(receipt)
    assert restored()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_isolated_transaction_inside_a_session_is_entered(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, level: str
) -> None:
    with session() as running:
        raw(f"BEGIN ISOLATION LEVEL {level}")
        renumber(receipt, "right")
        raw("COMMIT")
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"])
def test_an_isolation_level_may_be_set_first(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, level: str
) -> None:
    with session() as running, atomic():
        raw(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == (level.lower(),)
        renumber(receipt, "right")
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]


def test_an_isolation_level_set_late_is_refused_as_ever(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(Exception, match="before any query"), session() as running, atomic():
        renumber(receipt, "right")
        raw("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert written.changes(running.id) == []


@pytest.mark.parametrize(
    "beginning", ["BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"]
)
def test_a_read_only_transaction_is_in_no_session(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, beginning: str
) -> None:
    with session() as running:
        raw(beginning)
        raw("SELECT 1")
        raw("COMMIT")
        with atomic():
            raw("SET TRANSACTION READ ONLY")
            raw("SELECT 1")
        renumber(receipt, "right")
    assert [template for template, *_ in written.statements(running.id)][-1].startswith("UPDATE")
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]


def test_triggers_can_be_inspected_in_a_session(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running:
        assert api.inspect(RECEIPT)[0].status == "INSTALLED"
        with atomic():
            renumber(receipt, "right")
            assert api.inspect(RECEIPT)[0].status == "INSTALLED"
            renumber(receipt, "righter")
    assert [new for _, _, new in written.changes(running.id)] == ["right", "righter"]
    assert settings_now() == CLEAN
