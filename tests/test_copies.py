"""What a test may do to its copy of a database before another test gets that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from tests.copies import Copies
from tests.guard.conftest import guarded_template
from tests.weaknesses.conftest import default_at, migrated_database

__all__ = ["guarded_template", "migrated_database"]

RECEIPT = "INSERT INTO past_receipt (number) VALUES ('1')"

ROWS = {
    "nothing": "SELECT 1",
    "rows": RECEIPT,
    "a sequence, of what was rolled back": f"BEGIN; {RECEIPT}; ROLLBACK",
    "rows that were there": "UPDATE auth_permission SET name = upper(name)",
    "rows of a table that others refer to": "INSERT INTO past_customer (name, email)"
    " VALUES ('Ada', 'ada@old.example')",
    "DDL, rolled back": "BEGIN; CREATE TABLE more (); ROLLBACK",
}

MORE_THAN_ROWS = {
    "a table": "CREATE TABLE more ()",
    "a table less": 'DROP TABLE "Awkward Order Lines" CASCADE',
    "a trigger": "ALTER TABLE past_receipt DISABLE TRIGGER USER",
    "a function": "ALTER FUNCTION pg_catalog.now() COST 7",
    "a right": "GRANT SELECT ON past_receipt TO PUBLIC",
    "a comment": "COMMENT ON TABLE past_receipt IS 'x'",
    "a large object": "SELECT lo_create(0)",
}


def contents(name: str) -> dict[str, Any]:
    """Return all rows of a database, and where its sequences are."""
    with default_at(NAME=name) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found: dict[str, Any] = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT one::text FROM {table} one ORDER BY 1")
            found[table] = cursor.fetchall()
        cursor.execute(
            "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"
        )
        found["sequences"] = cursor.fetchall()
    return found


def use(copies: Copies, statement: str) -> tuple[int, str]:
    """Do something to a copy and give it back; return its number and the next copy's name."""
    name = copies.take()
    with default_at(NAME=name) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        number = oid(name)
    copies.give_back(name)
    return number, copies.take()


def oid(name: str) -> int:
    """Return the number of a database, which it keeps when it is renamed."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_database WHERE datname = %s", [name])
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("statement", ROWS.values(), ids=ROWS)
def test_rows_are_put_back(
    statement: str, copies: Callable[[str], Copies], guarded_template: str, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        expected = contents(guarded_template)
        number, name = use(copies(guarded_template), statement)
        try:
            assert oid(name) == number
            assert contents(name) == expected
        finally:
            copies(guarded_template).give_back(name)
            connections.close_all()


@pytest.mark.parametrize("statement", MORE_THAN_ROWS.values(), ids=MORE_THAN_ROWS)
def test_a_copy_with_changes_of_another_kind_is_not_used_again(
    statement: str, copies: Callable[[str], Copies], migrated_database: str, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        expected = contents(migrated_database)
        number, name = use(copies(migrated_database), statement)
        try:
            assert oid(name) != number
            assert contents(name) == expected
        finally:
            copies(migrated_database).give_back(name)
            connections.close_all()


@pytest.mark.parametrize("change", ["SET work_mem = '5MB'", "CONNECTION LIMIT 7"])
def test_nor_is_one_whose_database_was_changed(
    change: str, copies: Callable[[str], Copies], migrated_database: str, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        of = copies(migrated_database)
        first = of.take()
        number = oid(first)
        with connections["default"].cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {first} {change}")
        of.give_back(first)
        name = of.take()
        assert oid(name) != number
        of.give_back(name)
        connections.close_all()
