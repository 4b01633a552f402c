"""The witness: every row that is written past a trigger, as it was and as it is, or no such row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import (
    CUSTOMER,
    INVOICE,
    MEASUREMENT,
    POSTING,
    RECEIPT,
    SOFT,
    STATEMENT,
    Connect,
    Row,
    a_receipt,
    copy_in,
    do,
    enter,
    ignoring,
    in_session,
    one,
    open_session,
    policy,
    receipts,
    refused,
    rows_on_record,
    stood_aside,
    transaction,
)
from trigger_ops.inspection.guarding import CONDITION

FSM = "tutorial.FSM:validate_status_transitions"
COMPOSER = "tutorial.StatementComposer:log_int_changes"
ANY_MOMENT = "2026-01-01T00:00:00+00:00"


class Case(NamedTuple):
    """What is there, what somebody does in a session, and which rows are on record then."""

    uri: str
    before: str
    statement: str
    rows: list[tuple[str, str, Any, Any]]


def fields(key: int, number: int) -> dict[str, Any]:
    return {"id": key, "int_field": number, "char_field": None, "dt_field": ANY_MOMENT}


#: Of the two sides of each: (table, operation, old, new).
BUILT_IN = {
    "Protect": Case(
        RECEIPT,
        "INSERT INTO past_receipt (id, number) VALUES (1, 'a'), (2, 'b')",
        "DELETE FROM past_receipt WHERE id = 1",
        [("past_receipt", "DELETE", {"id": 1, "number": "a"}, None)],
    ),
    "ReadOnly": Case(
        CUSTOMER,
        "INSERT INTO past_customer (id, name, email) VALUES (1, 'E. Falk', 'a@example.org')",
        "UPDATE past_customer SET email = 'b@example.org'",
        [
            (
                "past_customer",
                "UPDATE",
                {"id": 1, "name": "E. Falk", "email": "a@example.org"},
                {"id": 1, "name": "E. Falk", "email": "b@example.org"},
            )
        ],
    ),
    "FSM": Case(
        FSM,
        "INSERT INTO tutorial_fsm (id, status) VALUES (1, 'inactive')",
        "UPDATE tutorial_fsm SET status = 'unpublished'",
        [
            (
                "tutorial_fsm",
                "UPDATE",
                {"id": 1, "status": "inactive"},
                {"id": 1, "status": "unpublished"},
            )
        ],
    ),
    "SoftDelete, which is a hard delete then": Case(
        SOFT,
        "INSERT INTO tutorial_softdelete (id, is_active) VALUES (1, true)",
        "DELETE FROM tutorial_softdelete",
        [("tutorial_softdelete", "DELETE", {"id": 1, "is_active": True}, None)],
    ),
    "Protect of statements": Case(
        STATEMENT,
        "INSERT INTO tutorial_statementprotect (id, int_field, dt_field) "
        "SELECT n, n, '2026-01-01 00:00+00' FROM generate_series(1, 3) n",
        "UPDATE tutorial_statementprotect SET int_field = int_field * 10 WHERE id > 1",
        [
            ("tutorial_statementprotect", "UPDATE", fields(2, 2), fields(2, 20)),
            ("tutorial_statementprotect", "UPDATE", fields(3, 3), fields(3, 30)),
        ],
    ),
    "Composer of statements": Case(
        COMPOSER,
        "INSERT INTO tutorial_statementcomposer (id, int_field, dt_field) "
        "VALUES (1, 1, '2026-01-01 00:00+00')",
        "UPDATE tutorial_statementcomposer SET int_field = 7",
        [("tutorial_statementcomposer", "UPDATE", fields(1, 1), fields(1, 7))],
    ),
    "constraint trigger": Case(
        POSTING,
        "SELECT 1",
        "INSERT INTO awkward_posting (id, booking, amount) VALUES (1, 1, 5)",
        [("awkward_posting", "INSERT", None, {"id": 1, "booking": 1, "amount": 5.00})],
    ),
    "partition": Case(
        MEASUREMENT,
        "INSERT INTO awkward_measurement (id, taken_on, sensor, value) "
        "VALUES (1, '2024-05-01', 'roof', 1.5)",
        "DELETE FROM awkward_measurement",
        [
            (
                "awkward_measurement_2024",
                "DELETE",
                {"id": 1, "taken_on": "2024-05-01", "sensor": "roof", "value": 1.5},
                None,
            )
        ],
    ),
    "row that moves to another partition": Case(
        MEASUREMENT,
        "INSERT INTO awkward_measurement (id, taken_on, sensor, value) "
        "VALUES (1, '2024-05-01', 'roof', 1.5)",
        "UPDATE awkward_measurement SET taken_on = '2025-05-01'",
        [
            (
                "awkward_measurement_2024",
                "DELETE",
                {"id": 1, "taken_on": "2024-05-01", "sensor": "roof", "value": 1.5},
                None,
            ),
            (
                "awkward_measurement_2025_roof",
                "INSERT",
                None,
                {"id": 1, "taken_on": "2025-05-01", "sensor": "roof", "value": 1.5},
            ),
        ],
    ),
    "INSERT ON CONFLICT DO UPDATE": Case(
        RECEIPT,
        "INSERT INTO past_receipt (id, number) VALUES (1, 'a')",
        "INSERT INTO past_receipt (id, number) VALUES (1, 'b'), (2, 'c') "
        "ON CONFLICT (id) DO UPDATE SET number = excluded.number",
        [
            ("past_receipt", "UPDATE", {"id": 1, "number": "a"}, {"id": 1, "number": "b"}),
            ("past_receipt", "INSERT", None, {"id": 2, "number": "c"}),
        ],
    ),
    "MERGE": Case(
        RECEIPT,
        "INSERT INTO past_receipt (id, number) VALUES (1, 'a'), (2, 'b')",
        "MERGE INTO past_receipt r USING (VALUES (1, 'x'), (3, 'z')) v (id, number) "
        "ON r.id = v.id WHEN MATCHED THEN UPDATE SET number = v.number "
        "WHEN NOT MATCHED THEN INSERT (id, number) VALUES (v.id, v.number)",
        [
            ("past_receipt", "UPDATE", {"id": 1, "number": "a"}, {"id": 1, "number": "x"}),
            ("past_receipt", "INSERT", None, {"id": 3, "number": "z"}),
        ],
    ),
    "MERGE on a table whose statements are witnessed": Case(
        STATEMENT,
        "INSERT INTO tutorial_statementprotect (id, int_field, dt_field) "
        "SELECT n, n, '2026-01-01 00:00+00' FROM generate_series(1, 2) n",
        "MERGE INTO tutorial_statementprotect t USING (VALUES (1), (2), (3)) v (id) "
        "ON t.id = v.id WHEN MATCHED AND v.id = 1 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET int_field = 20 "
        "WHEN NOT MATCHED THEN INSERT (id, int_field, dt_field) "
        "VALUES (3, 3, '2026-01-01 00:00+00')",
        [
            ("tutorial_statementprotect", "DELETE", fields(1, 1), None),
            ("tutorial_statementprotect", "INSERT", None, fields(3, 3)),
            ("tutorial_statementprotect", "UPDATE", fields(2, 2), fields(2, 20)),
        ],
    ),
    "statement that touches no row": Case(
        STATEMENT, "SELECT 1", "UPDATE tutorial_statementprotect SET int_field = 1", []
    ),
}


@pytest.mark.parametrize("case", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_old_and_new_are_on_record_to_the_letter(
    guarded: BaseDatabaseWrapper, case: Case
) -> None:
    do(guarded, "SET TIME ZONE 'UTC'")
    do(guarded, case.before)
    if case.uri != POSTING and case.rows:
        with refused("P0001") if case.uri not in (SOFT, COMPOSER) else transaction(guarded):
            if case.uri in (SOFT, COMPOSER) or "moves" in str(case):
                pass
            do(guarded, case.statement) if case.uri not in (SOFT, COMPOSER) else None
    session = open_session(guarded, case.uri)
    with in_session(guarded, session):
        do(guarded, case.statement)
    found = rows_on_record(guarded)
    assert sorted(found, key=str) == sorted(
        (Row(session, table, op, old, new) for table, op, old, new in case.rows), key=str
    )
    numbers = do(guarded, "SELECT number FROM trigger_ops_change ORDER BY number")
    assert [number for (number,) in numbers] == list(range(1, len(found) + 1))
