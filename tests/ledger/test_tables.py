"""Where our tables are: the search_path says it, and nothing that stands in front of them."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from tests.damage import run
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.ledger.entries import read_entries
from trigger_ops.ledger.tables import home
from trigger_ops.models import LedgerEntry, RunLease, TriggerLease

TABLES = [model._meta.db_table for model in (LedgerEntry, TriggerLease, RunLease)]

pytestmark = pytest.mark.django_db


def copy_tables(schema: str, *, without: str = "") -> None:
    run("CREATE SCHEMA {schema}", schema=schema)
    for table in set(TABLES) - {without}:
        run(f"CREATE TABLE {{schema}}.{table} (LIKE public.{table})", schema=schema)


def test_tables_live_where_migrate_made_them() -> None:
    assert home("default") == "public"


def test_the_first_schema_of_the_search_path_that_has_them_wins() -> None:
    copy_tables("tenant one")
    assert home("default") == "public"
    run('SET LOCAL search_path = "tenant one", public')
    assert home("default") == "tenant one"


@pytest.mark.parametrize("missing", TABLES)
def test_a_schema_without_one_of_them_is_passed_over(missing: str) -> None:
    copy_tables("tenant", without=missing)
    run("SET LOCAL search_path = tenant, public")
    assert home("default") == "public"
    run("SET LOCAL search_path = tenant")
    assert home("default") is None


@pytest.mark.parametrize("missing", TABLES)
def test_nothing_is_there_before_all_have_been_made(missing: str) -> None:
    run(f"DROP TABLE {missing}")
    assert home("default") is None


def test_a_view_is_none_of_our_tables() -> None:
    run("ALTER TABLE trigger_ops_runlease RENAME TO moved")
    run("CREATE VIEW trigger_ops_runlease AS SELECT * FROM moved")
    assert home("default") is None


@pytest.mark.parametrize("path", ["public", "pg_temp, public"])
def test_temporary_tables_of_the_same_names_are_not_taken_for_ours(path: str) -> None:
    for table in TABLES:
        run(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table})")
    run(f"SET LOCAL search_path = {path}")
    assert home("default") == "public"


def test_asking_leaves_the_callers_transaction_as_it_was() -> None:
    run("SET LOCAL lock_timeout = '7s'")
    before = run("SELECT current_setting('lock_timeout'), pg_current_xact_id_if_assigned()")
    assert home("default") == "public"
    after = run("SELECT current_setting('lock_timeout'), pg_current_xact_id_if_assigned()")
    assert after == before


def test_in_a_broken_transaction_one_sentence_says_so() -> None:
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            run("SELECT 1 / 0")
        with pytest.raises(DatabaseUnreadable, match="default"):
            home("default")
        transaction.set_rollback(True)
    assert home("default") == "public"


@pytest.mark.django_db(databases=["default", "lite"])
def test_a_database_that_is_not_postgresql_has_none() -> None:
    assert home("lite") is None


def test_what_cannot_be_read_is_one_sentence_and_leaves_the_transaction_usable() -> None:
    with pytest.raises(DatabaseUnreadable, match="nowhere"):
        read_entries("default", "nowhere")
    assert run("SELECT 1") == [(1,)]
