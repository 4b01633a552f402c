"""What a report says of a session that was asked for, or recorded, otherwise than in order."""

from __future__ import annotations

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid
from tests.database.acts import (
    CUSTOMER,
    RECEIPT,
    a_receipt,
    close,
    do,
    enter,
    open_session,
    transaction,
)
from trigger_ops import api

SENT = '[{"template": "UPDATE past_receipt SET number = %s", "rows": 1}]'


def report(session: int) -> tuple[str, ...]:
    return tuple(api.session_report(session).findings)


def test_a_statement_that_is_forged_after_the_end_makes_no_session_clean(
    guarded: BaseDatabaseWrapper,
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with transaction(guarded):
        enter(guarded, session)
        do(guarded, "UPDATE past_receipt SET number = 'x'")
    close(guarded, session, "ended")
    (said,) = report(session)
    assert "without a statement on record: past Django's cursors" in said
    do(guarded, "SELECT trigger_ops_record(%s, %s)", session, SENT)
    assert report(session) == (said,)


def test_a_statement_that_was_put_on_record_after_the_end_is_told(
    guarded: BaseDatabaseWrapper,
) -> None:
    """In a transaction that had entered before, or by whoever owns the tables."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with transaction(guarded):
        enter(guarded, session)
        do(guarded, "UPDATE past_receipt SET number = 'x'")
        do(guarded, "SELECT trigger_ops_record(%s, %s)", session, SENT)
    close(guarded, session, "ended")
    assert report(session) == ()
    do(
        guarded,
        "INSERT INTO trigger_ops_sessionstatement (session_id, transaction, template, rows) "
        "SELECT session_id, transaction, template, rows FROM trigger_ops_sessionstatement",
    )
    assert "1 statement was put on record after the session's end." in report(session)


@pytest.mark.parametrize("times", [1, 2])
def test_a_table_that_was_emptied_is_told(guarded: BaseDatabaseWrapper, times: int) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    for _ in range(times):
        with transaction(guarded):
            enter(guarded, session)
            do(guarded, "TRUNCATE past_receipt")
            do(guarded, "SELECT trigger_ops_record(%s, %s)", session, SENT)
    close(guarded, session, "ended")
    assert report(session) == ("TRUNCATE of public.past_receipt: its rows are not on record.",)


def test_a_session_that_is_about_another_trigger_than_it_says_is_told(
    guarded: BaseDatabaseWrapper,
) -> None:
    """The database refuses it; a row that was loaded, or made without the guard, shows it."""
    do(guarded, "UPDATE trigger_ops_guard SET uris = '{}'")
    session = open_session(guarded, RECEIPT, triggers=[pgid(CUSTOMER)])
    close(guarded, session, "ended")
    (said,) = report(session)
    assert said == (
        f"The session was asked for as {RECEIPT}, and is about {pgid(CUSTOMER)}, which is "
        f"{CUSTOMER}."
    )


def test_a_row_with_a_number_below_all_others_is_listed(guarded: BaseDatabaseWrapper) -> None:
    """Whoever owns the table may write one."""
    session = open_session(guarded, RECEIPT)
    do(
        guarded,
        'INSERT INTO trigger_ops_change (session_id, number, transaction, schema, "table", op, '
        f"cause) VALUES ({session}, -2147483647, 1, 'public', 'past_receipt', 'DELETE', 'session')",
    )
    assert [row.op for row in api.show_session(session).changes] == ["DELETE"]
