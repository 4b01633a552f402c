from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql
from django.db.transaction import atomic

from demo_site.past.models import Customer, Receipt
from tests.sessions.conftest import (
    CLEAN,
    CUSTOMER,
    Written,
    is_protected,
    renumber,
    session,
    settings_now,
)
from trigger_ops.sessions.statements import beginning, rolls_back, runs_outside, template_of

TABLE = '"past_receipt"'


def execute(statement: Any, parameters: Any = None) -> Any:
    """Return (rows or None, rowcount, names of columns) of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [one[0] for one in cursor.description or []]
        return (cursor.fetchall() if names else None), cursor.rowcount, names


def many(statement: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.executemany(statement, parameters)
        return int(cursor.rowcount)


def change(**parts: Any) -> Callable[[Receipt], Any]:
    return lambda receipt: execute(
        parts["statement"].replace("PK", str(receipt.pk)), parts.get("parameters")
    )


SHAPES: dict[str, tuple[Callable[[Receipt], Any], Any]] = {
    "no parameters": (
        change(statement="UPDATE past_receipt SET number = 'a' WHERE id = PK"),
        (None, 1, []),
    ),
    "g8 literal percent, no parameters": (
        change(statement="UPDATE past_receipt SET number = '5%' WHERE number LIKE 'w%'"),
        (None, 1, []),
    ),
    "g8 literal percent, parameters": (
        change(
            statement="UPDATE past_receipt SET number = %s WHERE number LIKE 'w%%'",
            parameters=["a"],
        ),
        (None, 1, []),
    ),
    "g8 named parameters": (
        change(
            statement="UPDATE past_receipt SET number = %(number)s WHERE number LIKE 'w%%'",
            parameters={"number": "a"},
        ),
        (None, 1, []),
    ),
    "empty list of parameters": (
        change(statement="UPDATE past_receipt SET number = 'a%%' WHERE id = PK", parameters=[]),
        (None, 1, []),
    ),
    "returning": (
        change(statement="UPDATE past_receipt SET number = 'a' WHERE id = PK RETURNING number"),
        ([("a",)], 1, ["number"]),
    ),
    "quotes and backslashes": (
        change(
            statement="UPDATE past_receipt SET number = E'a\\\\''b' /* ' \\ \" */ "
            "WHERE id = PK RETURNING number"
        ),
        ([("a\\'b",)], 1, ["number"]),
    ),
    "comments before it": (
        change(statement="-- vacuum\n/* /* call */ */ UPDATE past_receipt SET number = 'a'"),
        (None, 1, []),
    ),
    "nothing matches": (
        change(statement="DELETE FROM past_receipt WHERE false RETURNING id"),
        ([], 0, ["id"]),
    ),
    "no ASCII": (
        change(statement="UPDATE past_receipt SET number = 'é™🙂' RETURNING number"),
        ([("é™🙂",)], 1, ["number"]),
    ),
    "composed": (
        lambda _: execute(
            sql.SQL("UPDATE {} SET number = {} RETURNING number").format(
                sql.Identifier("past_receipt"), sql.Literal("secret")
            )
        ),
        ([("secret",)], 1, ["number"]),
    ),
    "a CTE that writes": (
        change(
            statement="WITH gone AS (DELETE FROM past_receipt RETURNING number) "
            "SELECT number FROM gone"
        ),
        ([("wrong",)], 1, ["number"]),
    ),
}


@pytest.mark.parametrize("place", ["autocommit", "atomic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_g7_g8_g9_every_shape_of_statement_gives_what_it_gives(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written, shape: str, place: str
) -> None:
    act, expected = SHAPES[shape]
    with session() as running:
        if place == "atomic":
            with atomic():
                assert act(receipt) == expected
        else:
            assert act(receipt) == expected
    assert len(written.statements(running.id)) == 1
    assert len(written.changes(running.id)) == expected[1]
    assert "secret" not in written.statements(running.id)[0][0]
    if "w" in shape:
        assert settings_now() == CLEAN


@pytest.mark.parametrize("place", ["autocommit", "atomic"])
@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("UPDATE past_receipt SET number = %s WHERE id = %s", ["list"]),
        ("UPDATE past_receipt SET number = %(number)s WHERE id = %(id)s", ["dict"]),
    ],
    ids=["positional", "named"],
)
def test_g7_executemany(
    bound: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    statement: str,
    rows: list[str],
    place: str,
) -> None:
    numbers = ["a", "b", "c"]
    parameters: list[Any] = (
        [(one, receipt.pk) for one in numbers]
        if rows == ["list"]
        else [{"number": one, "id": receipt.pk} for one in numbers]
    )
    with session() as running:
        if place == "atomic":
            with atomic():
                many(statement, parameters)
        else:
            many(statement, parameters)
    assert [new for _, _, new in written.changes(running.id)] == numbers
    assert written.transactions(running.id) == 1
    assert [one for one, _, _ in written.statements(running.id)] == [statement]
    assert is_protected(receipt)


def test_g7_executemany_in_autocommit_is_all_or_nothing(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with session() as running, pytest.raises(DatabaseError):
        many(
            "UPDATE past_receipt SET number = %s WHERE id = %s",
            [("a", receipt.pk), ("x" * 99, receipt.pk)],
        )
    assert written.changes(running.id) == []
    assert connection.get_autocommit()
    receipt.refresh_from_db()
    assert receipt.number == "wrong"


def test_several_statements_in_one_text(guarded: BaseDatabaseWrapper, receipt: Receipt) -> None:
    text = f"SELECT 1 AS one; {{}} {TABLE}; SELECT 2 AS two"
    with connection.cursor() as cursor:
        cursor.execute(text.format("SELECT number FROM"))
        outside = results(cursor)
        with session():
            cursor.execute(text.format("SELECT number FROM"))
            assert results(cursor) == outside
            cursor.execute(f"SELECT 1; UPDATE {TABLE} SET number = 'a'; SELECT 2")
    receipt.refresh_from_db()
    assert receipt.number == "a"


def results(cursor: Any) -> list[Any]:
    """Return the rows of every result that the driver offers."""
    found = [cursor.fetchall() if cursor.description else None]
    while is_psycopg3 and cursor.nextset():
        found.append(cursor.fetchall() if cursor.description else None)
    return found


def copy_in(rows: str) -> None:
    """COPY into a table with the driver's own means, which no wrapper of Django's sees."""
    statement = "COPY past_customer (id, name, email) FROM STDIN"
    with connection.cursor() as cursor:
        if is_psycopg3:
            with cursor.copy(statement) as copy:
                copy.write(rows)
        else:
            cursor.copy_expert(statement, io.StringIO(rows))


PROTECT = """
CREATE FUNCTION no_copies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF public._pgtrigger_should_ignore('{pgid}') THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'pgtrigger: no copies'; END $$;
CREATE TRIGGER no_copies BEFORE INSERT ON past_customer FOR EACH ROW EXECUTE FUNCTION no_copies()
"""


@pytest.fixture
def no_copies(bound: BaseDatabaseWrapper) -> None:
    """Have a trigger refuse new customers unless the one in scope stands aside."""
    from tests.damage import pgid

    for one in PROTECT.format(pgid=pgid(CUSTOMER)).split(";\nCREATE TRIGGER"):
        execute(one if "FUNCTION no_copies() RETURNS" in one else f"CREATE TRIGGER{one}")


@pytest.mark.usefixtures("no_copies")
def test_g10_copy_is_in_the_session_inside_a_transaction(written: Written) -> None:
    with session(CUSTOMER) as first, atomic():
        copy_in("1\tAda\tada@x.example\n")
    with atomic(), session(CUSTOMER) as second:
        copy_in("2\tBob\tbob@x.example\n")
    with session(CUSTOMER) as third, atomic():
        with pytest.raises(DatabaseError), atomic():
            execute("SELECT nonsense")
        copy_in("3\tCyd\tcyd@x.example\n")
    for running in (first, second, third):
        assert [op for op, _, _ in written.changes(running.id)] == ["INSERT"]


@pytest.mark.usefixtures("no_copies")
def test_g10_copy_outside_a_transaction_stays_protected(written: Written) -> None:
    with session(CUSTOMER) as running:
        with pytest.raises(Exception, match="no copies"):
            copy_in("1\tAda\tada@x.example\n")
        assert not Customer.objects.exists()
    assert written.changes(running.id) == []


def test_g11_what_cannot_run_in_a_transaction_runs_in_a_session(
    bound: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    execute(
        "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; PERFORM 1; COMMIT; END $$"
    )
    with session():
        for statement in (
            "VACUUM past_receipt",
            "-- all of it\nVACUUM",
            "/* one /* nested */ */ VACUUM ANALYZE past_receipt",
            "CREATE INDEX CONCURRENTLY numbers ON past_receipt (number)",
            "/* again */ CREATE UNIQUE INDEX CONCURRENTLY unique_numbers ON past_receipt (number)",
            "REINDEX INDEX CONCURRENTLY numbers",
            "DROP INDEX CONCURRENTLY numbers",
            "CALL commits()",
            "DO $$ BEGIN COMMIT; END $$",
            "LISTEN somewhere",
            "SHOW statement_timeout",
        ):
            execute(statement)
        renumber(receipt)
    assert is_protected(receipt)


def test_callproc_is_in_the_session_inside_a_transaction_only(
    bound: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    execute(
        "CREATE FUNCTION renumber(text) RETURNS void LANGUAGE sql AS "
        "$$ UPDATE public.past_receipt SET number = $1 $$"
    )
    with session() as running:
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.callproc("renumber", ["early"])
        with atomic(), connection.cursor() as cursor:
            cursor.callproc("renumber", ["right"])
    assert written.changes(running.id) == [("UPDATE", "wrong", "right")]


@pytest.mark.parametrize("place", ["autocommit", "atomic"])
def test_iterator_and_named_cursors(
    bound: BaseDatabaseWrapper, receipt: Receipt, place: str
) -> None:
    Receipt.objects.bulk_create(Receipt(number=f"b{one}") for one in range(50))

    def act() -> None:
        for one in Receipt.objects.order_by("pk").iterator(chunk_size=7):
            renumber(one, f"i{one.pk}")

    with session():
        if place == "atomic":
            with atomic():
                act()
        else:
            act()
    assert Receipt.objects.filter(number__startswith="i").count() == 51
    assert is_protected(receipt)


def test_the_orm_gets_its_results(bound: BaseDatabaseWrapper, receipt: Receipt) -> None:
    with session():
        made = Receipt.objects.bulk_create([Receipt(number="a"), Receipt(number="b")])
        assert all(one.pk for one in made)
        assert Receipt.objects.filter(number="a").exists()
        assert Receipt.objects.count() == 3
        assert list(Receipt.objects.values_list("number", flat=True).order_by("pk"))[1:] == [
            "a",
            "b",
        ]
        made[0].number = "c"
        made[0].save()
        assert Receipt.objects.bulk_update([made[0], made[1]], ["number"]) == 2
        assert Receipt.objects.get_or_create(number="c")[1] is False
        assert made[1].delete() == (1, {"past.Receipt": 1})
        assert Receipt.objects.all().delete()[0] == 2


def test_a_cursor_goes_on_after_its_session(bound: BaseDatabaseWrapper, receipt: Receipt) -> None:
    with connection.cursor() as cursor:
        with session():
            cursor.execute(f"UPDATE {TABLE} SET number = 'a' RETURNING number")
        assert cursor.fetchall() == [("a",)]
        cursor.execute("SELECT 5")
        assert cursor.fetchone() == (5,)


@pytest.mark.parametrize(
    ("statement", "outside"),
    [
        ("", True),
        ("-- nothing", True),
        ("/* not closed", True),
        ("  vacuum", True),
        ("VACUUM;", True),
        ("vacuums", False),
        ("/* a /* b */ c */ call x()", True),
        ("COMMIT PREPARED 'x'", True),
        ("prepare\ttransaction 'x'", True),
        ("PREPARE x AS SELECT 1", False),
        ("create index on t (a)", False),
        ("create\nunique  index concurrently on t (a)", True),
        ("ALTER DATABASE x SET TABLESPACE y", True),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", True),
        ("ALTER TABLE a DETACH PARTITION b", False),
        ("SET statement_timeout = 0", False),
        ("EXPLAIN ANALYZE UPDATE t SET a = 1", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("INSERT INTO t VALUES ('vacuum')", False),
        ("copy t from '/file'", False),
    ],
)
def test_runs_outside(statement: str, outside: bool) -> None:
    assert runs_outside(beginning(statement)) is outside


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("ROLLBACK TO s", True),
        ("abort", True),
        ("SELECT 1;rollback to savepoint s", True),
        ("SELECT 'it''s'; ROLLBACK TO s", True),
        (r"SELECT E'it\'s'; ROLLBACK TO s", True),
        ("SELECT $$a$$; ROLLBACK TO s", True),
        ("/* /* */ */ ROLLBACK TO s", True),
        ("SELECT 1 -- one\n; ROLLBACK TO s", True),
        ("SELECT 1", False),
        ("UPDATE t SET note = 'ROLLBACK TO s'", False),
        (r"UPDATE t SET note = e'\' ROLLBACK'", False),
        ("UPDATE t SET note = 'it''s a ROLLBACK'", False),
        ("UPDATE t SET note = $$ ROLLBACK $$", False),
        ("UPDATE t SET note = $a1$ $$ ROLLBACK $a1$", False),
        ('SELECT "rollback" FROM t', False),
        ("SELECT 1 -- ROLLBACK", False),
        ("/* /* */ ROLLBACK */ SELECT 1", False),
        ("SELECT rollbacks FROM t", False),
    ],
)
def test_rolls_back(text: str, does: bool) -> None:
    assert rolls_back(text) is does


@pytest.mark.parametrize(
    ("statement", "template"),
    [
        ("  SELECT %s ", "SELECT %s"),
        (b"SELECT 1", "SELECT 1"),
        ("SELECT 'a\0b'", "SELECT 'ab'"),
        ("SELECT '\ud800'", "SELECT '?'"),
        ("x" * 20_000, "x" * 10_000 + "…"),
        (sql.SQL("SELECT {}, {}").format(sql.Identifier("a"), sql.Literal("b")), 'SELECT "a", %s'),
    ],
    ids=["blanks", "bytes", "NUL", "surrogate", "long", "composed"],
)
def test_template_of(db: None, statement: Any, template: str) -> None:
    connection.ensure_connection()
    assert template_of(statement, connection.connection) == template
