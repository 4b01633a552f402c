"""The witness: every row that is written past a trigger, as it was and as it is, or no such row."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid
from tests.database.acts import (
    CUSTOMER,
    INVOICE,
    MEASUREMENT,
    POSTING,
    RECEIPT,
    SOFT,
    STATEMENT,
    TERMS,
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
    """What is there, what somebody does in a session, and which rows are on record then.

    A row is (table, operation, old, new). ``enforced``: without a session the trigger refuses.
    """

    uri: str
    before: str
    statement: str
    rows: list[tuple[str, str, Any, Any]]
    enforced: bool = True


def fields(key: int, number: int) -> dict[str, Any]:
    return {"id": key, "int_field": number, "char_field": None, "dt_field": ANY_MOMENT}


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
        enforced=False,
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
        enforced=False,
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
        STATEMENT,
        "SELECT 1",
        "UPDATE tutorial_statementprotect SET int_field = 1",
        [],
        enforced=False,
    ),
}


@pytest.mark.parametrize("case", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_old_and_new_are_on_record_to_the_letter(guarded: BaseDatabaseWrapper, case: Case) -> None:
    do(guarded, "SET TIME ZONE 'UTC'")
    do(guarded, case.before)
    if case.enforced:
        with refused("P0001"):
            do(guarded, case.statement)
    session = open_session(guarded, case.uri)
    with in_session(guarded, session):
        do(guarded, case.statement)
    found = rows_on_record(guarded)
    assert sorted(found, key=str) == sorted(
        (Row(session, table, op, old, new) for table, op, old, new in case.rows), key=str
    )
    numbers = do(guarded, "SELECT number FROM trigger_ops_change ORDER BY number")
    assert [number for (number,) in numbers] == list(range(1, len(found) + 1))


def test_a_cascade_is_witnessed_where_it_arrives(guarded: BaseDatabaseWrapper) -> None:
    do(guarded, "CREATE TABLE owner (id int PRIMARY KEY); INSERT INTO owner VALUES (1)")
    do(
        guarded,
        "ALTER TABLE past_receipt ADD COLUMN owner int REFERENCES owner ON DELETE CASCADE; "
        "INSERT INTO past_receipt (id, number, owner) VALUES (1, 'a', 1)",
    )
    with refused("P0001"):
        do(guarded, "DELETE FROM owner")
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "DELETE FROM owner")
    old = {"id": 1, "number": "a", "owner": 1}
    assert rows_on_record(guarded) == [Row(session, "past_receipt", "DELETE", old, None)]


def test_copy_is_witnessed(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, STATEMENT)
    with in_session(guarded, session):
        copy_in(guarded, "COPY past_receipt (id, number) FROM STDIN", "1\ta\n2\tb\n")
        copy_in(
            guarded,
            "COPY tutorial_statementprotect (id, int_field, dt_field) FROM STDIN",
            "1\t1\t2026-01-01 00:00+00\n",
        )
    assert [(row.table, row.op, row.new["id"]) for row in rows_on_record(guarded)] == [
        ("past_receipt", "INSERT", 1),
        ("past_receipt", "INSERT", 2),
        ("tutorial_statementprotect", "INSERT", 1),
    ]


# Truncate (acceptance 11) -------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["past_receipt", "owner CASCADE", "awkward_measurement_2024"])
def test_truncate_is_on_record_wherever_it_arrives(
    guarded: BaseDatabaseWrapper, table: str
) -> None:
    do(
        guarded,
        "CREATE TABLE owner (id int PRIMARY KEY); "
        "ALTER TABLE past_receipt ADD COLUMN owner int REFERENCES owner; "
        "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, 30)",
    )
    do(guarded, "ANALYZE past_receipt")
    # The copied database has pages of what tests took back.
    do(guarded, "VACUUM awkward_measurement_2024")
    do(guarded, f"TRUNCATE {table}")
    watched = "awkward_measurement_2024" if "measurement" in table else "past_receipt"
    rows = {"rows_estimated": 30 if watched == "past_receipt" else 0}
    assert rows_on_record(guarded) == [Row(None, watched, "TRUNCATE", rows, None, "truncate")]


FILL = "INSERT INTO past_receipt (number) SELECT repeat('r', 12) FROM generate_series(1, {})"


@pytest.mark.parametrize(
    ("before", "estimated"),
    [
        (["VACUUM past_receipt"], 0),
        ([FILL.format(50)], None),
        ([FILL.format(50), "ANALYZE past_receipt"], 50),
        ([FILL.format(50), "VACUUM past_receipt"], 50),
        (["VACUUM ANALYZE past_receipt", FILL.format(50)], None),
        ([FILL.format(6000), "ANALYZE past_receipt", FILL.format(6000)], 12_000),
        ([FILL.format(50), "ANALYZE past_receipt", "TRUNCATE past_receipt"], 0),
    ],
    ids=["empty", "new", "analyzed", "vacuumed", "was empty then", "grew since", "truncated"],
)
def test_how_many_rows_a_truncated_table_had_is_an_estimate_or_unknown(
    guarded: BaseDatabaseWrapper, before: list[str], estimated: int | None
) -> None:
    for statement in (*before, "TRUNCATE past_receipt"):
        do(guarded, statement)
    row = rows_on_record(guarded)[-1]
    found = row.old["rows_estimated"]
    assert found == (estimated if estimated is None else pytest.approx(estimated, rel=0.02))


def test_nobody_guesses_how_many_rows_partitions_had(guarded: BaseDatabaseWrapper) -> None:
    do(
        guarded,
        "INSERT INTO awkward_measurement (id, taken_on, sensor, value) "
        "VALUES (1, '2024-05-01', 'roof', 1)",
    )
    do(guarded, "TRUNCATE awkward_measurement")
    estimates = {row.table: row.old["rows_estimated"] for row in rows_on_record(guarded)}
    assert estimates["awkward_measurement"] is None
    assert estimates["awkward_measurement_2024"] is None


def test_truncate_in_a_session_is_the_sessions(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "TRUNCATE past_receipt")
    assert [(row.session, row.op, row.cause) for row in rows_on_record(guarded)] == [
        (session, "TRUNCATE", "session")
    ]


# Tables that are called otherwise ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "table", "change"),
    [
        (RECEIPT, "past_receipt", "UPDATE {} SET number = 'x'"),
        (STATEMENT, "tutorial_statementprotect", "UPDATE {} SET int_field = int_field + 1"),
        (MEASUREMENT, "awkward_measurement", "DELETE FROM {} WHERE id = (SELECT min(id) FROM {})"),
    ],
    ids=["row", "statement", "partitioned"],
)
@pytest.mark.parametrize("where", ["renamed", "elsewhere"])
def test_a_table_that_stays_renamed_keeps_its_gate_and_its_witness(
    guarded: BaseDatabaseWrapper, uri: str, table: str, change: str, where: str
) -> None:
    do(
        guarded,
        "INSERT INTO past_receipt (number) VALUES ('a'), ('b'); "
        "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now()), (2, now()); "
        "INSERT INTO awkward_measurement (id, taken_on, sensor, value) "
        "VALUES (8, '2024-05-01', 'roof', 1), (9, '2024-05-01', 'roof', 1)",
    )
    session = open_session(guarded, uri)
    with in_session(guarded, session):  # plans are made under the old name
        do(guarded, change.format(table, table))
    before = len(rows_on_record(guarded))
    if where == "renamed":
        do(guarded, f"ALTER TABLE {table} RENAME TO another")
    else:
        do(guarded, f"CREATE SCHEMA other; ALTER TABLE {table} SET SCHEMA other")
    place, name = ("another", "another") if where == "renamed" else (f"other.{table}", table)
    statement = change.format(place, place)
    with refused("P0001"):
        do(guarded, statement)
    with in_session(guarded, session):
        do(guarded, statement)
    rows = rows_on_record(guarded)[before:]
    assert rows
    parts = {"awkward_measurement_2024"} if uri == MEASUREMENT else {name}
    assert {(row.session, row.table) for row in rows} == {(session, part) for part in parts}
    do(
        guarded,
        f"INSERT INTO {place} SELECT * FROM jsonb_populate_record(NULL::{place}, %s)",
        json.dumps({**rows[0].old, "id": 77}),
    )
    with transaction(guarded):
        do(guarded, ignoring(uri))
        do(guarded, statement)
    assert rows_on_record(guarded)[-1].cause == "ignore"
    policy(guarded, "session")
    do(
        guarded,
        f"INSERT INTO {place} SELECT * FROM jsonb_populate_record(NULL::{place}, %s)",
        json.dumps({**rows[0].old, "id": 78}),
    )
    with refused("TO001"), transaction(guarded):
        do(guarded, ignoring(uri))
        do(guarded, statement)
    do(guarded, f"TRUNCATE {place}")
    assert rows_on_record(guarded)[-1].op == "TRUNCATE"


# Transactions (acceptance 15) ---------------------------------------------------------------------


def test_what_is_rolled_back_leaves_no_row(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    do(guarded, "BEGIN")
    enter(guarded, session)
    do(guarded, "UPDATE past_receipt SET number = 'x'")
    do(guarded, "ROLLBACK")
    assert rows_on_record(guarded) == stood_aside(guarded) == []
    kinds = do(guarded, "SELECT kind FROM trigger_ops_sessionevent ORDER BY id")
    assert kinds == [("requested",), ("activated",)]


def test_a_savepoint_takes_its_rows_along_and_numbers_go_on(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "UPDATE past_receipt SET number = 'first'")
        do(guarded, "SAVEPOINT s; UPDATE past_receipt SET number = 'lost'; ROLLBACK TO s")
        do(guarded, "UPDATE past_receipt SET number = 'second'")
    assert [row.new["number"] for row in rows_on_record(guarded)] == ["first", "second"]
    numbers = do(guarded, "SELECT number FROM trigger_ops_change ORDER BY id")
    assert numbers == [(1,), (2,)]


def test_a_setting_is_gone_with_its_transaction(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    with in_session(guarded, open_session(guarded, RECEIPT)):
        do(guarded, "UPDATE past_receipt SET number = 'x'")
    assert one(guarded, "SELECT current_setting('trigger_ops.session', true)") == ""
    with refused("P0001"):
        do(guarded, "UPDATE past_receipt SET number = 'y'")


# How many rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "statement"),
    [
        (RECEIPT, "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, {})"),
        (
            STATEMENT,
            (
                "INSERT INTO tutorial_statementprotect (int_field, dt_field) "
                "SELECT n, now() FROM generate_series(1, {}) n"
            ),
        ),
    ],
    ids=["row", "statement"],
)
def test_a_session_writes_as_many_rows_as_it_may_and_no_more(
    guarded: BaseDatabaseWrapper, uri: str, statement: str
) -> None:
    session = open_session(guarded, uri, most_rows=10)
    with in_session(guarded, session):
        do(guarded, statement.format(6))
    with refused("TO007"), in_session(guarded, session):
        do(guarded, statement.format(5))
    with in_session(guarded, session):
        do(guarded, statement.format(3))
        do(guarded, statement.format(1))
    with refused("TO007"), in_session(guarded, session):
        do(guarded, statement.format(1))
    numbers = do(guarded, "SELECT number FROM trigger_ops_change ORDER BY number")
    assert [number for (number,) in numbers] == list(range(1, 11))


FORGED = ["0", "-5000", "<this>", "<this>,1", "2147483647", "9" * 30, "", "many", "1; --"]


def says(connection: BaseDatabaseWrapper, forged: str) -> None:
    """Set trigger_ops.row, where "<this>" is the number of the transaction: a row is before."""
    statement = "SELECT set_config('trigger_ops.row', replace(%s, '<this>', pg_current_xact_id()::text), true)"
    do(connection, statement, forged)


@pytest.mark.parametrize("forged", FORGED)
def test_saying_that_there_is_a_row_before_changes_no_number(
    guarded: BaseDatabaseWrapper, forged: str
) -> None:
    session = open_session(guarded, RECEIPT, most_rows=10)

    def writes(rows: int) -> None:
        says(guarded, forged)
        do(
            guarded,
            f"INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, {rows})",
        )

    with in_session(guarded, session):
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('r')")
        writes(1)
        do(guarded, "SAVEPOINT before")
        writes(2)
        do(guarded, "ROLLBACK TO SAVEPOINT before")
        writes(4)
    with refused("TO007"), in_session(guarded, session):
        writes(2)
        writes(3)
    numbers = do(guarded, "SELECT number FROM trigger_ops_change ORDER BY number")
    assert [number for (number,) in numbers] == list(range(1, 7))
    assert len(receipts(guarded)) == 6


@pytest.mark.parametrize("forgets", [False, True])
def test_whoever_says_so_on_a_connection_without_one_writes_nothing(
    guarded: BaseDatabaseWrapper, second_connection: Connect, forgets: bool
) -> None:
    session, other = open_session(guarded, RECEIPT), second_connection()
    write = "INSERT INTO past_receipt (number) VALUES ('r')"

    def writes() -> None:
        if forgets:
            do(other, write)
            do(other, "DISCARD SEQUENCES")
        else:
            says(other, "<this>")
        do(other, write)

    with pytest.raises(DatabaseError, match="currval"), in_session(other, session):
        writes()
    assert receipts(guarded) == []
    assert rows_on_record(guarded) == []
    with in_session(other, session):
        do(other, write)
    assert do(guarded, "SELECT number FROM trigger_ops_change") == [(1,)]


def test_to_draw_ids_changes_no_number(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        for _ in range(3):
            do(guarded, "INSERT INTO past_receipt (number) VALUES ('r')")
            do(guarded, "SELECT nextval('trigger_ops_change_id_seq')")
    assert do(guarded, "SELECT number FROM trigger_ops_change ORDER BY id") == [(1,), (2,), (3,)]


def test_the_limit_is_looked_up_for_each_256th_row(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    """What others wrote in the session meanwhile counts from then on."""
    session, other = open_session(guarded, RECEIPT, most_rows=700), second_connection()
    write = "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, {})".format
    with in_session(guarded, session):
        do(guarded, write(10))
        with in_session(other, session):
            do(other, write(300))
        do(guarded, write(250))
    kept = [
        do(
            guarded,
            "SELECT number, up_to FROM trigger_ops_change WHERE transaction = %s ORDER BY id",
            one,
        )
        for (one,) in do(
            guarded, "SELECT transaction FROM trigger_ops_change GROUP BY 1 ORDER BY min(id)"
        )
    ]
    to_256 = [(n, 256) for n in range(1, 257)]
    assert kept == [
        to_256 + [(n, 556) for n in range(301, 305)],
        to_256 + [(n, 512) for n in range(257, 301)],
    ]
    with in_session(guarded, session):
        do(guarded, write(396))
    with refused("TO007"), in_session(guarded, session):
        do(guarded, write(1))


def test_rows_are_numbered_through_savepoints_and_beside_other_sessions(
    guarded: BaseDatabaseWrapper,
) -> None:
    first, second = open_session(guarded, RECEIPT), open_session(guarded, RECEIPT)
    write = "INSERT INTO past_receipt (number) SELECT 'r' FROM generate_series(1, {})".format

    def number(session: int) -> None:
        do(guarded, "SELECT set_config('trigger_ops.session', %s, true)", str(session))

    with in_session(guarded, second, first):
        number(first)
        do(guarded, write(100))
        do(guarded, "SAVEPOINT before")
        do(guarded, write(300))
        do(guarded, "ROLLBACK TO SAVEPOINT before")
        do(guarded, write(10))
        number(second)
        do(guarded, write(70))
        number(first)
        do(guarded, write(30))
    with in_session(guarded, first):
        do(guarded, write(65))
    rows = do(guarded, "SELECT session_id, number FROM trigger_ops_change ORDER BY 1, 2")
    assert rows == [(first, n) for n in range(1, 206)] + [(second, n) for n in range(1, 71)]


def test_a_row_is_never_allowed_by_one_of_another_transaction(
    guarded: BaseDatabaseWrapper,
) -> None:
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('in a session')")
    with transaction(guarded):
        do(guarded, "SELECT set_config('trigger_ops.session', %s, true)", str(session))
        says(guarded, "<this>")
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('in none')")
    rows = do(guarded, "SELECT session_id, number, new ->> 'number' FROM trigger_ops_change")
    assert rows == [(session, 1, "in a session")]


def test_a_row_is_never_allowed_by_one_from_before_a_restore(guarded: BaseDatabaseWrapper) -> None:
    """In a cluster that was restored, an older transaction had the same number."""
    session = open_session(guarded, RECEIPT)
    with transaction(guarded):
        do(
            guarded,
            'INSERT INTO trigger_ops_change (session_id, number, transaction, schema, "table", op, '
            "cause, at, up_to) VALUES (%s, 1, pg_current_xact_id()::text::bigint, 'public', "
            "'past_receipt', 'INSERT', 'session', now() - interval '1 day', 10)",
            session,
        )
        do(guarded, "SELECT set_config('trigger_ops.session', %s, true)", str(session))
        says(guarded, "<this>")
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('in none')")
    assert do(guarded, "SELECT number, new FROM trigger_ops_change") == [(1, None)]


# Hostile tables -----------------------------------------------------------------------------------

COLUMNS = (
    "this bigint, whose bigint, why text, first bigint, written bigint, shift bigint, mask jsonb, "
    "olds int, news int, style text[], role text, application text, address text, "
    "old int, new int, place int, image int, trigger_ops_o int, trigger_ops_n int, "
    'trigger_ops_old int, "table" int, "qu""ote\'s" int, "per%cent" int, "{brace}" int, "%s" int'
)


def watch(
    connection: BaseDatabaseWrapper,
    table: str,
    *,
    whole: bool,
    rows: bool = True,
    mask: str = "{}",
) -> None:
    """Put witnesses on a table by hand; a partition has that of rows from its parent."""
    how = "both" if whole else "alone"
    witness_of_rows = [
        (
            f"CREATE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH "
            f"ROW {CONDITION} EXECUTE FUNCTION trigger_ops_witness_row('{how}', '{mask}')"
        ),
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER trigger_ops_witness",
        (
            f"CREATE TRIGGER trigger_ops_witness_replica AFTER INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION trigger_ops_witness_row('{how}', '{mask}', 'replica')"
        ),
        f"ALTER TABLE {table} ENABLE REPLICA TRIGGER trigger_ops_witness_replica",
    ]
    statements = witness_of_rows if rows else []
    news, olds = "NEW TABLE AS trigger_ops_new", "OLD TABLE AS trigger_ops_old"
    for event, tables in {"INSERT": news, "UPDATE": f"{olds} {news}", "DELETE": olds}.items():
        name = f"trigger_ops_witness_{event.lower()}"
        if whole:
            statements += [
                (
                    f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {tables} FOR EACH "
                    f"STATEMENT EXECUTE FUNCTION trigger_ops_witness_rows('rows', '{mask}')"
                ),
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
            ]
    for statement in statements:
        do(connection, statement)


@pytest.fixture(params=[False, True], ids=["row", "statement"])
def watched(request: pytest.FixtureRequest, guarded: BaseDatabaseWrapper) -> Callable[..., int]:
    """Return a function that makes a watched table ``t`` and opens a session."""

    def make(columns: str, **options: Any) -> int:
        do(guarded, f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
        watch(guarded, "t", whole=request.param, **options)
        return open_session(guarded, RECEIPT)

    return make


def both_images(connection: BaseDatabaseWrapper) -> list[tuple[Any, Any]]:
    return [(row.old, row.new) for row in rows_on_record(connection)]


def test_columns_may_be_called_like_anything_of_ours(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    session = watched(COLUMNS)
    with in_session(guarded, session):
        do(guarded, "INSERT INTO t (id, role, first, place, image) VALUES (1, 'x', 7, 8, 9)")
        do(guarded, "UPDATE t SET trigger_ops_n = 5")
        do(guarded, "DELETE FROM t")
    (_, new), (old, changed), (gone, _) = both_images(guarded)
    assert (new["role"], new["first"], new["place"], new["image"]) == ("x", 7, 8, 9)
    assert (old["trigger_ops_n"], changed["trigger_ops_n"]) == (None, 5)
    assert gone == changed
    assert {"qu\"ote's", "per%cent", "{brace}", "%s"} <= gone.keys()


def test_values_of_all_kinds_can_be_put_back_from_the_record(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    do(guarded, "CREATE DOMAIN small AS int CHECK (value < 100)")
    do(guarded, "CREATE TYPE pair AS (a float8, b timestamptz)")
    do(guarded, "CREATE TYPE mood AS ENUM ('fine')")
    session = watched(
        "b bytea, i interval, s small, p pair, m mood, f float8, r tstzrange, d date, n numeric, "
        "a float8[], j jsonb, u uuid, g int GENERATED ALWAYS AS (7) STORED, h inet, x int[]"
    )
    # What loses digits, and what cannot be told apart.
    do(guarded, "SET extra_float_digits = -15")
    do(guarded, "SET DateStyle = 'SQL, DMY'")
    do(guarded, "SET IntervalStyle = 'sql_standard'")
    do(guarded, "SET bytea_output = 'escape'")
    do(guarded, "SET TIME ZONE 'Asia/Kolkata'")
    with in_session(guarded, session):
        do(
            guarded,
            "INSERT INTO t VALUES (1, '\\x00ff27', '-1 day 02:03:04', 99, (0.1234567890123456, "
            "'2024-02-03 04:05:06.789'), 'fine', 'NaN', '[2024-03-04, 2024-05-06)', '2024-03-04', "
            "12345678901234567890.123456789, '{0.30000000000000004, Infinity}', '{\"k\": null}', "
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', DEFAULT, '::1', '{{1,2},{3,4}}')",
        )
        for setting in ("extra_float_digits", "DateStyle", "IntervalStyle"):
            assert one(guarded, f"SHOW {setting}") in ("-15", "SQL, DMY", "sql_standard")
    do(guarded, "RESET ALL")
    same = one(
        guarded,
        "SELECT restored = t AND to_jsonb(restored) = to_jsonb(t) FROM trigger_ops_change, t, "
        "LATERAL jsonb_populate_record(NULL::t, new) restored",
    )
    assert same is True


def test_json_is_recorded_as_jsonb_has_it(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    """What that does not take fails, rather than be changed unrecorded; keys are there once."""
    session = watched("raw json")
    zero = r'{"a": "\u0000"}'
    do(guarded, "INSERT INTO t VALUES (1, %s)", zero)
    with refused("22P05"), in_session(guarded, session):
        do(guarded, "INSERT INTO t VALUES (2, %s)", zero)
    with refused("22P05"), in_session(guarded, session):
        do(guarded, "UPDATE t SET raw = '{}'")
    with in_session(guarded, session):
        do(guarded, "INSERT INTO t VALUES (3, %s)", '{"a": 1, "a": 2}')
    assert both_images(guarded) == [(None, {"id": 3, "raw": {"a": 2}})]
    assert do(guarded, "SELECT id, raw::text FROM t ORDER BY id") == [
        (1, zero),
        (3, '{"a": 1, "a": 2}'),
    ]


def test_a_table_that_changed_in_the_same_connection_is_recorded_as_it_is(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    session = watched("a int")
    with in_session(guarded, session):
        do(guarded, "INSERT INTO t VALUES (1, 1)")
    do(guarded, "ALTER TABLE t ADD COLUMN b text DEFAULT 'x', ALTER COLUMN a TYPE text")
    with in_session(guarded, session):
        do(guarded, "UPDATE t SET a = 'two'")
    do(guarded, "ALTER TABLE t DROP COLUMN a")
    with in_session(guarded, session):
        do(guarded, "DELETE FROM t")
    assert both_images(guarded) == [
        (None, {"id": 1, "a": 1}),
        ({"id": 1, "a": "1", "b": "x"}, {"id": 1, "a": "two", "b": "x"}),
        ({"id": 1, "b": "x"}, None),
    ]


def test_columns_are_masked(guarded: BaseDatabaseWrapper, watched: Callable[..., int]) -> None:
    session = watched("password text, a int", mask='{"password":"***"}')
    with in_session(guarded, session):
        do(guarded, "INSERT INTO t VALUES (1, 'secret', 1)")
        do(guarded, "UPDATE t SET password = 'other'")
        do(guarded, "DELETE FROM t")
    image = {"id": 1, "password": "***", "a": 1}
    assert both_images(guarded) == [(None, image), (image, image), (image, None)]


def test_many_rows_are_paired_as_they_were_changed(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    session = watched("a int")
    do(guarded, "INSERT INTO t SELECT n, n FROM generate_series(1, 1000) n")
    with in_session(guarded, session):
        # Against the order of the table, and with keys that move onto each other.
        do(guarded, "CREATE INDEX ON t (a DESC)")
        do(guarded, "UPDATE t SET id = id + 5000, a = -a WHERE a > 0")
    images = both_images(guarded)
    assert len(images) == 1000
    assert all(new == {"id": old["id"] + 5000, "a": -old["a"]} for old, new in images)


def test_a_row_lost_between_partitions_spoils_no_pair(guarded: BaseDatabaseWrapper) -> None:
    do(
        guarded,
        "CREATE TABLE t (id int, a int) PARTITION BY LIST (a); "
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); "
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); "
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER lose BEFORE INSERT ON t2 FOR EACH ROW EXECUTE FUNCTION lose(); "
        "INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)",
    )
    watch(guarded, "t", whole=True)
    for partition in ("t1", "t2"):
        watch(guarded, partition, whole=True, rows=False)
    with in_session(guarded, open_session(guarded, RECEIPT)):
        do(guarded, "UPDATE t SET a = 2")
    alone = [(old, None) for old in ({"id": n, "a": 1} for n in (1, 2, 3))]
    assert both_images(guarded) == [*alone, *((None, {"id": n, "a": 2}) for n in (2, 3))]


def test_names_on_the_search_path_do_not_reach_the_record(
    guarded: BaseDatabaseWrapper, watched: Callable[..., int]
) -> None:
    session = watched("a int")
    do(
        guarded,
        "CREATE SCHEMA evil; "
        "CREATE FUNCTION evil.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS "
        "$$ SELECT '\"hidden\"'::jsonb $$; "
        "CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS "
        "$$ SELECT ''::text $$; "
        "CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; "
        "CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); "
        "CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); "
        "CREATE TEMP TABLE trigger_ops_change (LIKE public.trigger_ops_change)",
    )
    do(guarded, "SET search_path = evil, pg_temp, public, pg_catalog")
    with in_session(guarded, session):
        do(guarded, "INSERT INTO public.t VALUES (1, 1)")
    do(guarded, "RESET search_path; DROP TABLE pg_temp.trigger_ops_change")
    assert both_images(guarded) == [(None, {"id": 1, "a": 1})]


# Without evidence no change -----------------------------------------------------------------------


@contextlib.contextmanager
def kept_by_another(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Be in a transaction in which all of ours belongs to a role that is no superuser.

    A role is of the whole server: this one is gone with the transaction.
    """
    with transaction(connection):
        do(connection, "CREATE ROLE keeper")
        for (table,) in do(
            connection,
            "SELECT oid::regclass::text FROM pg_class "
            "WHERE relkind = 'r' AND starts_with(relname, 'trigger_ops_')",
        ):
            do(connection, f"ALTER TABLE {table} OWNER TO keeper")
        for (function,) in do(
            connection,
            "SELECT oid::regprocedure::text FROM pg_proc WHERE starts_with(proname, 'trigger_ops_')",
        ):
            do(connection, f"ALTER FUNCTION {function} OWNER TO keeper")
        yield
        do(
            connection,
            "REASSIGN OWNED BY keeper TO CURRENT_USER; DROP OWNED BY keeper; DROP ROLE keeper",
        )


CHANGE, DECISION = "trigger_ops_change", "trigger_ops_decision"
NOTHING = (
    "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$; "
    "CREATE TRIGGER a BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION nothing()"
)
HIDDEN = (
    "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY; "
    "CREATE POLICY p ON {0} FOR INSERT WITH CHECK (true)"
)
BROKEN = {
    "table is gone": (f"DROP TABLE {CHANGE}", "42P01"),
    "INSERT was revoked": (f"REVOKE INSERT ON {CHANGE} FROM keeper", "42501"),
    "a rule swallows it": (
        f"CREATE RULE nothing AS ON INSERT TO {CHANGE} DO INSTEAD NOTHING",
        "TO013",
    ),
    "a trigger swallows it": (NOTHING.format("RETURN NULL;", CHANGE), "TO013"),
    "a policy refuses it": (HIDDEN.format(CHANGE).replace("(true)", "(false)"), "42501"),
    "a trigger raises": (NOTHING.format("RAISE disk_full;", CHANGE), "53100"),
    "decisions are gone": (f"DROP TABLE {DECISION}", "42P01"),
    "a rule swallows the decision": (
        f"CREATE RULE nothing AS ON INSERT TO {DECISION} DO INSTEAD NOTHING",
        "TO013",
    ),
    "a rule sends the decision elsewhere": (
        (
            f"CREATE TABLE elsewhere (LIKE {DECISION}); GRANT ALL ON elsewhere TO keeper; CREATE RULE "
            f"away AS ON INSERT TO {DECISION} DO INSTEAD INSERT INTO elsewhere SELECT NEW.*"
        ),
        "TO013",
    ),
    "a trigger swallows the decision": (NOTHING.format("RETURN NULL;", DECISION), "TO013"),
    "a trigger makes the decision another's": (
        NOTHING.format("NEW.trigger := 'other'; RETURN NEW;", DECISION),
        "TO013",
    ),
    "a trigger makes the decision an old one": (
        NOTHING.format("NEW.at := '-infinity'; RETURN NEW;", DECISION),
        "TO013",
    ),
    "a policy hides the decision": (HIDDEN.format(DECISION), "TO013"),
    "a policy refuses the decision": (
        HIDDEN.format(DECISION).replace("(true)", "(false)"),
        "42501",
    ),
}


@pytest.mark.parametrize("uri", [RECEIPT, STATEMENT], ids=["row", "statement"])
@pytest.mark.parametrize("how", ["session", "ignore"])
@pytest.mark.parametrize(("damage", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_recorded_does_not_happen(
    guarded: BaseDatabaseWrapper, uri: str, how: str, damage: str, code: str
) -> None:
    table, column = {
        RECEIPT: ("past_receipt", "number"),
        STATEMENT: ("tutorial_statementprotect", "int_field"),
    }[uri]
    a_receipt(guarded)
    do(
        guarded,
        "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now())",
    )
    session = open_session(guarded, uri)
    with kept_by_another(guarded):
        do(guarded, damage)
        do(guarded, "SAVEPOINT s")
        before = do(guarded, f"SELECT {column} FROM {table}")
        with refused(code):
            enter(guarded, session) if how == "session" else do(guarded, ignoring(uri))
            do(guarded, f"UPDATE {table} SET {column} = '5'")
        do(guarded, "ROLLBACK TO s")
        assert do(guarded, f"SELECT {column} FROM {table}") == before


SWALLOWED = ("a rule", "a trigger", "a policy")


def damage_of(how: str, table: str) -> str:
    """Return what lets no row be added to a table, without an error as far as that can be."""
    if how == "a rule":
        return f"CREATE RULE nothing AS ON INSERT TO {table} DO INSTEAD NOTHING"
    if how == "a trigger":
        return NOTHING.format("RETURN NULL;", table)
    return HIDDEN.format(table).replace("(true)", "(false)")


@pytest.mark.parametrize("how", SWALLOWED)
def test_a_session_that_nobody_could_be_seen_to_enter_is_not_entered(
    guarded: BaseDatabaseWrapper, how: str
) -> None:
    """Nor where something was written before, so that it is looked for in another way."""
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT)
    table = "trigger_ops_sessiontransaction"
    with kept_by_another(guarded):
        do(guarded, damage_of(how, table))
        for first in (
            "SELECT 1",
            "INSERT INTO past_customer (name, email) VALUES ('E', 'e@e.org')",
        ):
            do(guarded, "SAVEPOINT s")
            do(guarded, first)
            with refused("42501" if how == "a policy" else "TO013"):
                enter(guarded, session)
            do(guarded, "ROLLBACK TO s")


def test_a_rule_that_was_taken_back_hides_no_decision(guarded: BaseDatabaseWrapper) -> None:
    """The plan that was made while it was there may be kept by the connection."""
    a_receipt(guarded)
    rule = f"CREATE RULE nothing AS ON INSERT TO {DECISION} DO INSTEAD NOTHING"
    for _ in range(8):
        with transaction(guarded):
            do(guarded, ignoring(RECEIPT))
            do(guarded, "UPDATE past_receipt SET number = number || 'x'")
    with refused("TO013"), transaction(guarded):
        do(guarded, rule)
        do(guarded, ignoring(RECEIPT))
        do(guarded, "UPDATE past_receipt SET number = 'unseen'")
    before, number = len(rows_on_record(guarded)), receipts(guarded)
    with contextlib.suppress(DatabaseError), transaction(guarded):
        do(guarded, ignoring(RECEIPT))
        do(guarded, "UPDATE past_receipt SET number = 'seen'")
    changed = receipts(guarded) != number
    assert len(stood_aside(guarded)) == len(rows_on_record(guarded)) == before + changed


VERBS = {
    "open": ("session", "SELECT trigger_ops_open('{terms}')"),
    "open, the event": ("sessionevent", "SELECT trigger_ops_open('{terms}')"),
    "review": ("review", "SELECT trigger_ops_review({pending}, 'user:bob', '', 'approve', '')"),
    "review, the event": (
        "sessionevent",
        "SELECT trigger_ops_review({pending}, 'user:bob', '', 'deny', '')",
    ),
    "extend": ("sessionevent", "SELECT trigger_ops_extend({active}, 'user:ada', '1 minute')"),
    "close": ("sessionevent", "SELECT trigger_ops_close({active}, 'revoked', 'user:bob', 'x')"),
    "tell": ("sessionevent", "SELECT trigger_ops_tell(NULL, 'refused', 'user:eve', '{{}}')"),
    "acknowledge": (
        "acknowledgement",
        "SELECT trigger_ops_acknowledge(ARRAY[1], 'user:bob', 'known')",
    ),
    "record": (
        "sessionstatement",
        'SELECT trigger_ops_record({active}, \'[{{"template": "x", "error": "42501"}}]\')',
    ),
    "policies": ("guardchange", "DELETE FROM trigger_ops_guard"),
}


@pytest.mark.parametrize("how", ["a rule", "a trigger"])
@pytest.mark.parametrize(("table", "statement"), VERBS.values(), ids=VERBS.keys())
def test_what_is_not_on_record_is_not_done(
    guarded: BaseDatabaseWrapper, table: str, statement: str, how: str
) -> None:
    asked = {**TERMS, "uris": [RECEIPT], "triggers": [pgid(RECEIPT)]}
    numbers = {
        "pending": open_session(guarded, RECEIPT, needs=1),
        "active": open_session(guarded, RECEIPT),
        "terms": json.dumps(asked),
    }
    do(guarded, damage_of(how, f"trigger_ops_{table}"))
    # PostgreSQL itself refuses to return what a rule lets nobody write.
    with refused("0A000" if (table, how) == ("session", "a rule") else "TO013"):
        do(guarded, statement.format(**numbers))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("CREATE RULE nothing AS ON UPDATE TO trigger_ops_session DO INSTEAD NOTHING", "0A000"),
        (damage_of("a trigger", "trigger_ops_session").replace("INSERT", "UPDATE"), "TO013"),
    ],
    ids=["a rule", "a trigger"],
)
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT trigger_ops_close({}, 'revoked', 'user:bob', 'x')",
        "SELECT trigger_ops_extend({}, 'user:ada', '1 minute')",
    ],
    ids=["close", "extend"],
)
def test_a_session_that_does_not_end_is_not_said_to_have_ended(
    guarded: BaseDatabaseWrapper, damage: str, code: str, statement: str
) -> None:
    session = open_session(guarded, RECEIPT)
    do(guarded, damage)
    # What returns a row is refused by PostgreSQL itself.
    with refused(code if "extend" in statement else "TO013"):
        do(guarded, statement.format(session))


# Who wrote (acceptance 8) -------------------------------------------------------------------------


@pytest.mark.parametrize("uri", [RECEIPT, STATEMENT], ids=["row", "statement"])
def test_the_replica_role_is_witnessed(guarded: BaseDatabaseWrapper, uri: str) -> None:
    policy(guarded, "session")
    table, column = {
        RECEIPT: ("past_receipt", "number"),
        STATEMENT: ("tutorial_statementprotect", "char_field"),
    }[uri]
    a_receipt(guarded)
    do(
        guarded,
        "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now())",
    )
    do(guarded, "SET session_replication_role = replica")
    do(guarded, f"UPDATE {table} SET {column} = 'x'")
    do(guarded, "RESET session_replication_role")
    (row,) = rows_on_record(guarded)
    assert (row.session, row.table, row.new[column], row.cause) == (None, table, "x", "replica")


BACK = "set_config('session_replication_role', 'origin', false)"


@pytest.mark.parametrize("ignored", [None, INVOICE, RECEIPT], ids=["none", "another", "its own"])
def test_a_replica_that_is_none_when_its_statement_ends_is_witnessed(
    guarded: BaseDatabaseWrapper, ignored: str | None
) -> None:
    a_receipt(guarded)
    with transaction(guarded):
        if ignored:
            do(guarded, ignoring(ignored))
        do(guarded, "SET session_replication_role = replica")
        do(guarded, f"UPDATE past_receipt SET number = 'x' RETURNING {BACK}")
    (row,) = rows_on_record(guarded)
    assert (row.session, row.cause) == (None, "replica")


def test_a_trigger_that_decides_late_fires_where_the_replica_is_none_by_then(
    guarded: BaseDatabaseWrapper,
) -> None:
    do(
        guarded,
        "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now())",
    )
    do(guarded, "SET session_replication_role = replica")
    with refused("P0001"):
        do(guarded, f"UPDATE tutorial_statementprotect SET int_field = 5 RETURNING {BACK}")
    do(guarded, "SET session_replication_role = origin")
    # And one that is a replica's by then does not.
    late = "UPDATE tutorial_statementprotect SET int_field = 6 RETURNING {}"
    do(guarded, late.format(BACK.replace("'origin'", "'replica'")))
    (row,) = rows_on_record(guarded)
    assert (row.session, row.new["int_field"], row.cause) == (None, 6, "replica")


@pytest.mark.parametrize("entered", [True, False])
def test_a_row_that_is_written_as_a_replica_is_on_record_once(
    guarded: BaseDatabaseWrapper, *, entered: bool
) -> None:
    a_receipt(guarded)
    session = open_session(guarded, RECEIPT, STATEMENT)
    with transaction(guarded):
        enter(guarded, session) if entered else do(guarded, ignoring(RECEIPT, STATEMENT))
        do(guarded, "SET LOCAL session_replication_role = replica")
        do(guarded, "UPDATE past_receipt SET number = 'x'")
        do(
            guarded,
            "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now())",
        )
    whose, why = (session, "session") if entered else (None, "replica")
    assert [(row.session, row.cause) for row in rows_on_record(guarded)] == [(whose, why)] * 2


def test_an_ordinary_write_of_a_watched_table_leaves_nothing(guarded: BaseDatabaseWrapper) -> None:
    key = a_receipt(guarded)
    with transaction(guarded):
        do(guarded, ignoring(INVOICE))
        do(guarded, "INSERT INTO past_receipt (number) VALUES ('other')")
    assert key
    assert rows_on_record(guarded) == stood_aside(guarded) == []


def test_the_role_that_logged_in_is_on_record(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    a_receipt(guarded)
    other = second_connection(OPTIONS={"application_name": "night job"})
    with transaction(other):
        do(other, "CREATE ROLE somebody; GRANT ALL ON past_receipt TO somebody; SET ROLE somebody")
        do(other, ignoring(RECEIPT))
        do(other, "UPDATE past_receipt SET number = 'x'")
        do(other, "RESET ROLE; DROP OWNED BY somebody; DROP ROLE somebody")
    who = do(guarded, "SELECT role = session_user, application, address FROM trigger_ops_change")
    assert who == [(True, "night job", "127.0.0.1")]


def test_a_cast_to_json_runs_as_the_owner_of_what_is_recorded(
    guarded: BaseDatabaseWrapper,
) -> None:
    """The auditor's guide says so."""
    watcher = one(
        guarded,
        "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'trigger_ops_change'::regclass",
    )
    do(guarded, "CREATE TYPE kind AS ENUM ('a')")
    do(
        guarded,
        "CREATE FUNCTION as_json(kind) RETURNS json LANGUAGE sql AS 'SELECT to_json(current_user)'",
    )
    do(guarded, "CREATE CAST (kind AS json) WITH FUNCTION as_json(kind)")
    do(guarded, "CREATE TABLE hostile (kind kind)")
    watch(guarded, "hostile", whole=False)
    do(guarded, "GRANT ALL ON hostile TO pg_monitor")
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        do(guarded, "SET LOCAL ROLE pg_monitor")
        do(guarded, "INSERT INTO hostile VALUES ('a')")
    assert do(guarded, "SELECT new ->> 'kind' FROM trigger_ops_change") == [(watcher,)]
