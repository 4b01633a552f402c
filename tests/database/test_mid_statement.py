"""Settings that are other ones when the witness looks than when a trigger stood aside.

Anybody can change a setting in mid-statement: a trigger on a table of one's own fires between
those of another table's rows and of its statement.
"""

from __future__ import annotations

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import (
    CUSTOMER,
    RECEIPT,
    Row,
    do,
    enter,
    in_session,
    one,
    open_session,
    policy,
    refused,
    rows_on_record,
    stood_aside,
    transaction,
)
from tests.database.test_witness import watch

ASKING = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF public._pgtrigger_should_ignore(TG_NAME) THEN RETURN NEW; END IF; "
    "RAISE EXCEPTION 'no'; END $$; "
    "CREATE TRIGGER {name} {when} UPDATE ON {table} FOR EACH {level} EXECUTE FUNCTION {name}()"
)
SWITCH = (
    "CREATE TEMP TABLE mine (value text); "
    "CREATE FUNCTION pg_temp.switch() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN PERFORM set_config('{setting}', NEW.value, true); RETURN NULL; END $$; "
    "CREATE TRIGGER z AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.switch()"
)
"""A table of one's own: what is written there is set when its AFTER trigger fires."""

BEFORE_STATEMENT, BEFORE_ROW = ("BEFORE", "STATEMENT"), ("BEFORE", "ROW")
AFTER_ROW, AFTER_STATEMENT = ("AFTER", "ROW"), ("AFTER", "STATEMENT")

ATTACKS = {
    "before the rows": (
        BEFORE_STATEMENT,
        "UPDATE t SET a = 7 FROM (SELECT set_config('{setting}', '', true)) s",
    ),
    "behind the rows": (
        BEFORE_ROW,
        (
            "WITH a AS (UPDATE t SET a = 7 RETURNING id) "
            "INSERT INTO mine SELECT '' FROM a WHERE id = 3"
        ),
    ),
    "set and reset behind the rows": (
        AFTER_ROW,
        (
            "WITH on_ AS (INSERT INTO mine VALUES ('{value}') RETURNING 1), a AS (UPDATE t SET a = 7 "
            "FROM on_ RETURNING id) INSERT INTO mine SELECT '' FROM a WHERE id = 3"
        ),
    ),
}


def a_table(connection: BaseDatabaseWrapper, table: str = "t", *asking: tuple[str, str]) -> None:
    """Make a watched table of three rows with triggers that ask, called after what they are."""
    do(connection, f"CREATE TABLE {table} (id int PRIMARY KEY, a int)")
    do(connection, f"INSERT INTO {table} SELECT n, 0 FROM generate_series(1, 3) n")
    watch(connection, table, whole=True)
    for when, level in asking:
        put(connection, table, when, level)


def put(connection: BaseDatabaseWrapper, table: str, when: str, level: str) -> str:
    name = f"pgtrigger_{table}_{when}_{level}".lower()
    do(connection, ASKING.format(name=name, table=table, when=when, level=level))
    return name


def session_of(connection: BaseDatabaseWrapper, *triggers: str, **terms: int) -> int:
    uris = [f"made.Here:{name}" for name in triggers]
    return open_session(connection, uris=uris, triggers=list(triggers), **terms)


def ignore(connection: BaseDatabaseWrapper, *triggers: str) -> None:
    do(
        connection,
        f"SELECT set_config('pgtrigger.ignore', '{{{','.join(triggers)}}}', true)",
    )


def changed(connection: BaseDatabaseWrapper, table: str = "t") -> int:
    return int(one(connection, f"SELECT count(*) FROM {table} WHERE a <> 0"))


def all_seven(session: int | None, cause: str) -> list[Row]:
    return [
        Row(session, "t", "UPDATE", {"id": n, "a": 0}, {"id": n, "a": 7}, cause) for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(("asking", "attack"), ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("harmless", [False, True], ids=["at once", "something harmless first"])
def test_what_is_reset_before_the_statement_ends_was_ignored(
    guarded: BaseDatabaseWrapper, asking: tuple[str, str], attack: str, *, harmless: bool
) -> None:
    a_table(guarded, "t", asking)
    name = f"pgtrigger_t_{'_'.join(asking)}".lower()
    setting = "pgtrigger.ignore"
    do(guarded, SWITCH.format(setting=setting))
    with transaction(guarded):
        ignore(guarded, name)
        if harmless:
            do(guarded, "UPDATE t SET a = 0 WHERE id = 3")
        do(guarded, attack.format(setting=setting, value=f"{{{name}}}"))
    assert changed(guarded) == 3
    assert rows_on_record(guarded)[harmless:] == all_seven(None, "ignore")
    assert stood_aside(guarded) == [(name, None)]


@pytest.mark.parametrize(("asking", "attack"), ATTACKS.values(), ids=ATTACKS.keys())
def test_rows_of_a_session_count_whatever_is_reset_in_mid_statement(
    guarded: BaseDatabaseWrapper, asking: tuple[str, str], attack: str
) -> None:
    a_table(guarded, "t", asking)
    name = f"pgtrigger_t_{'_'.join(asking)}".lower()
    setting = "trigger_ops.session"
    do(guarded, SWITCH.format(setting=setting))
    policy(guarded, "session")
    few, many = (session_of(guarded, name, most_rows=most) for most in (3, 4))
    with refused("TO007"), in_session(guarded, few):
        do(guarded, "UPDATE t SET a = 0 WHERE id = 3")
        do(guarded, attack.format(setting=setting, value=few))
    assert changed(guarded) == 0
    with in_session(guarded, many):
        do(guarded, "UPDATE t SET a = 0 WHERE id = 3")
        do(guarded, attack.format(setting=setting, value=many))
    assert changed(guarded) == 3
    assert rows_on_record(guarded)[1:] == all_seven(many, "session")


def test_ordinary_work_beside_it_leaves_nothing(guarded: BaseDatabaseWrapper) -> None:
    a_table(guarded, "t", AFTER_ROW)
    a_table(guarded, "other")
    name = "pgtrigger_t_after_row"
    with transaction(guarded):
        ignore(guarded, name)
        do(guarded, "UPDATE t SET a = 1 WHERE id = 1")
        do(guarded, "SET LOCAL pgtrigger.ignore = ''")
        do(guarded, "UPDATE other SET a = 1")
    assert [row.table for row in rows_on_record(guarded)] == ["t"]
    with refused("P0001"):
        do(guarded, "UPDATE t SET a = 2")
    do(guarded, "DELETE FROM t WHERE id = 2")
    with transaction(guarded):
        do(guarded, "SAVEPOINT s")
        ignore(guarded, name)
        do(guarded, "UPDATE t SET a = 1 WHERE id = 1")
        do(guarded, "ROLLBACK TO s")
        do(guarded, "DELETE FROM t WHERE id = 3")
    assert len(rows_on_record(guarded)) == 1
    policy(guarded, "open")
    with transaction(guarded):
        ignore(guarded, name)
        do(guarded, "UPDATE t SET a = 1 WHERE id = 1")
        do(guarded, "SET LOCAL pgtrigger.ignore = ''")
        do(guarded, "DELETE FROM t")
    assert len(rows_on_record(guarded)) == 1


def test_what_a_transaction_writes_after_a_trigger_stood_aside_is_on_record_too(
    guarded: BaseDatabaseWrapper,
) -> None:
    """Nobody can tell it from a setting that was reset; the auditor's guide says so."""
    a_table(guarded, "t", AFTER_ROW)
    with transaction(guarded):
        ignore(guarded, "pgtrigger_t_after_row")
        do(guarded, "UPDATE t SET a = 7")
        do(guarded, "SET LOCAL pgtrigger.ignore = ''")
        do(guarded, "DELETE FROM t WHERE id = 1")
    assert [(row.op, row.cause) for row in rows_on_record(guarded)] == [
        *[("UPDATE", "ignore")] * 3,
        ("DELETE", "ignore"),
    ]


# Tables above and below ---------------------------------------------------------------------------


@pytest.mark.parametrize("aim", ["p", "ONLY t", "t", "grandparent"])
@pytest.mark.parametrize("how", ["ignore", "session"])
def test_a_statement_on_a_table_above_is_on_record_where_its_rows_are(
    guarded: BaseDatabaseWrapper, aim: str, how: str
) -> None:
    do(guarded, "CREATE TABLE grandparent (id int, a int)")
    do(guarded, "CREATE TABLE p () INHERITS (grandparent)")
    a_table(guarded, "t", BEFORE_ROW, AFTER_STATEMENT)
    do(guarded, "ALTER TABLE t INHERIT p")
    names = ("pgtrigger_t_before_row", "pgtrigger_t_after_statement")
    session = session_of(guarded, *names, most_rows=3)
    with transaction(guarded):
        if how == "session":
            enter(guarded, session)
        else:
            ignore(guarded, *names)
        do(guarded, f"UPDATE {aim} SET a = 7")
    assert changed(guarded) == 3
    assert rows_on_record(guarded) == all_seven(session if how == "session" else None, how)


def test_what_is_set_late_on_a_table_below_is_on_record_once(guarded: BaseDatabaseWrapper) -> None:
    do(guarded, "CREATE TABLE p (id int, a int)")
    a_table(guarded, "t", AFTER_STATEMENT)
    do(guarded, "ALTER TABLE t INHERIT p")
    late = "set_config('pgtrigger.ignore', '{pgtrigger_t_after_statement}', true)"
    do(guarded, f"UPDATE t SET a = 7 RETURNING {late}")
    assert rows_on_record(guarded) == all_seven(None, "ignore")
    session = session_of(guarded, "pgtrigger_t_after_statement", most_rows=3)
    with refused("TO007"), in_session(guarded, session):
        do(guarded, "UPDATE t SET a = 0")
        do(guarded, "SET LOCAL trigger_ops.session = ''")
        do(
            guarded,
            f"UPDATE t SET a = 8 RETURNING set_config('trigger_ops.session', '{session}', true)",
        )
    with in_session(guarded, session):
        do(guarded, "INSERT INTO t VALUES (4, 4)")
        do(guarded, "DELETE FROM t WHERE id = 4")
    assert rows_on_record(guarded)[3:] == [
        Row(session, "t", "INSERT", None, {"id": 4, "a": 4}),
        Row(session, "t", "DELETE", {"id": 4, "a": 4}, None),
    ]
    numbers = "SELECT number FROM trigger_ops_change WHERE session_id IS NOT NULL ORDER BY id"
    assert do(guarded, numbers) == [(1,), (2,)]


@pytest.mark.parametrize("aim", ["p", "t"])
def test_a_trigger_of_one_partition_alone(guarded: BaseDatabaseWrapper, aim: str) -> None:
    """Only the partition is watched, by itself."""
    do(guarded, "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)")
    a_table(guarded, "t", BEFORE_ROW, AFTER_STATEMENT)
    do(guarded, "ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (0) TO (100)")
    with transaction(guarded):
        ignore(guarded, "pgtrigger_t_before_row", "pgtrigger_t_after_statement")
        do(guarded, f"UPDATE {aim} SET a = 7")
    assert rows_on_record(guarded) == all_seven(None, "ignore")


@pytest.mark.parametrize("aim", ["p", "t"])
def test_a_trigger_of_a_partition_beside_those_of_the_whole(
    guarded: BaseDatabaseWrapper, aim: str
) -> None:
    do(guarded, "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)")
    do(guarded, "CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (100)")
    do(guarded, "INSERT INTO p SELECT n, 0 FROM generate_series(1, 3) n")
    watch(guarded, "p", whole=True)
    watch(guarded, "t", whole=True, rows=False)
    name = put(guarded, "t", *BEFORE_ROW)
    with transaction(guarded):
        ignore(guarded, name)
        do(guarded, f"UPDATE {aim} SET a = 7")
    expected = [row._replace(table=aim) for row in all_seven(None, "ignore")]
    assert rows_on_record(guarded) == expected


# Two sessions in one transaction ------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True], ids=["row", "statement"])
@pytest.mark.parametrize("enters", ["both", "in turn"])
def test_rows_count_for_the_session_that_let_them_through(
    guarded: BaseDatabaseWrapper, enters: str, *, whole: bool
) -> None:
    do(guarded, "CREATE TABLE t (id int PRIMARY KEY, a int)")
    do(guarded, "INSERT INTO t SELECT n, 0 FROM generate_series(1, 3) n")
    watch(guarded, "t", whole=whole)
    name = put(guarded, "t", *BEFORE_ROW)
    do(guarded, SWITCH.format(setting="trigger_ops.session"))
    policy(guarded, "session")
    approved, other = session_of(guarded, name, most_rows=2), open_session(guarded, CUSTOMER)
    attack = f"WITH own AS (INSERT INTO mine VALUES ('{other}') RETURNING 1) UPDATE t SET a = 7 FROM own"

    def attacks(rows: str) -> None:
        if enters == "both":
            enter(guarded, approved, other)
        else:
            enter(guarded, other)
            do(guarded, "INSERT INTO t VALUES (9, 9)")  # what comes next is taken for its like
            enter(guarded, approved)
        do(guarded, f"SELECT set_config('trigger_ops.session', '{approved}', true)")
        do(guarded, f"{attack} WHERE {rows}")

    with refused("TO007"), transaction(guarded):
        attacks("id < 9")
    assert changed(guarded) == 0
    with transaction(guarded):
        attacks("id < 3")
    found = [row for row in rows_on_record(guarded) if row.op == "UPDATE"]
    assert found == all_seven(approved, "session")[:2]


def test_a_row_that_no_trigger_let_through_is_that_sessions_which_is_asked(
    guarded: BaseDatabaseWrapper,
) -> None:
    first, second = open_session(guarded, RECEIPT), open_session(guarded, CUSTOMER)
    with in_session(guarded, first, second):
        for session in (first, second, first):
            do(guarded, f"SELECT set_config('trigger_ops.session', '{session}', true)")
            do(guarded, "INSERT INTO past_receipt (number) VALUES ('n')")
    assert [row.session for row in rows_on_record(guarded)] == [first, second, first]
