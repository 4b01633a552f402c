"""Rows of the ledger are added, and nothing else: whoever asks, and whatever is switched off."""

from __future__ import annotations

import contextlib
import unittest
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.core import serializers
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import load_backend
from django.test import TransactionTestCase

from tests.damage import run
from tests.ledger.conftest import through
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.ledger.tables import home
from trigger_ops.models import LedgerEntry

LEDGER = "trigger_ops_ledgerentry"
FUNCTIONS = "SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = %s ORDER BY 1"
UPSERT = (
    f"INSERT INTO {LEDGER} (id, run, kind) SELECT id, run, 'forged' FROM {LEDGER} "
    "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind"
)


def add_entry(**values: Any) -> LedgerEntry:
    return LedgerEntry.objects.create(run=uuid.uuid4(), kind="statement", **values)


@contextlib.contextmanager
def as_a_replica() -> Iterator[None]:
    run("SET session_replication_role = replica")
    try:
        yield
    finally:
        run("SET session_replication_role = origin")


@contextlib.contextmanager
def ignored_by_setting() -> Iterator[None]:
    with transaction.atomic():
        run("SELECT set_config('pgtrigger.ignore', '{{*}}', true)")
        yield


def refused(act: Callable[[], object]) -> str:
    """Demand that the guard refuses, and return what it says."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        act()
    assert sqlstate(caught.value) == "42501"
    message = str(caught.value).splitlines()[0]
    assert message.startswith("trigger_ops: ")
    return message


@pytest.mark.django_db
@pytest.mark.parametrize(
    "around",
    [contextlib.nullcontext, pgtrigger.ignore, ignored_by_setting, as_a_replica],
    ids=lambda around: around.__name__,
)
@pytest.mark.parametrize(
    ("word", "act"),
    [
        ("UPDATE", lambda: run(f"UPDATE {LEDGER} SET actor = 'nobody'")),
        ("UPDATE", lambda: run(f"UPDATE {LEDGER} SET actor = 'nobody' WHERE false")),
        ("UPDATE", lambda: run(UPSERT)),
        ("UPDATE", lambda: LedgerEntry.objects.update(actor="nobody")),
        ("UPDATE", lambda: LedgerEntry.objects.get().save()),
        ("DELETE", lambda: run(f"DELETE FROM {LEDGER}")),
        ("DELETE", lambda: run(f"DELETE FROM {LEDGER} WHERE false")),
        ("DELETE", lambda: LedgerEntry.objects.all().delete()),
    ],
    ids=[
        "update", "update of nothing", "upsert", "queryset update", "save",
        "delete", "delete of nothing", "queryset delete",
    ],
)  # as a table  # fmt: skip
def test_a_row_is_neither_changed_nor_deleted(
    word: str, act: Callable[[], object], around: Callable[[], Any]
) -> None:
    add_entry(actor="ada")
    with around():
        assert f"{word} on public.{LEDGER} is refused" in refused(act)
    assert LedgerEntry.objects.get().actor == "ada"


@pytest.mark.parametrize(
    "around",
    [contextlib.nullcontext, pgtrigger.ignore, ignored_by_setting, as_a_replica],
    ids=lambda around: around.__name__,
)
@pytest.mark.usefixtures("own_database")
def test_truncate_is_refused_where_rows_are(around: Callable[[], Any]) -> None:
    add_entry()
    with around():
        message = refused(lambda: run(f"TRUNCATE {LEDGER}"))
    assert f"TRUNCATE on public.{LEDGER} is refused" in message
    assert "a database whose name begins with test_" in message
    assert LedgerEntry.objects.count() == 1


@pytest.mark.usefixtures("own_database")
def test_an_empty_ledger_can_be_truncated_even_after_a_rollback() -> None:
    with transaction.atomic():
        add_entry()
        transaction.set_rollback(True)
    run(f"TRUNCATE {LEDGER}")
    assert not LedgerEntry.objects.exists()


def test_a_snapshot_from_before_the_rows_does_not_let_them_be_truncated(
    own_database: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert run(f"SELECT count(*) FROM {LEDGER}") == [(0,)]
    with through(second_connection()):
        add_entry()
    with pytest.raises(DatabaseError, match="trigger_ops: TRUNCATE"):
        run(f"TRUNCATE {LEDGER}")
    run("ROLLBACK")
    assert LedgerEntry.objects.count() == 1


# An adopter's own tests ------------------------------------------------------------------------


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)


def test_flush_lives_in_a_database_that_a_test_runner_made(
    database_of_a_test_runner: BaseDatabaseWrapper,
) -> None:
    add_entry()
    flush()
    assert not LedgerEntry.objects.exists()


@pytest.mark.usefixtures("own_database")
def test_flush_of_another_database_is_refused_and_the_rows_stay() -> None:
    flush()
    add_entry()
    with pytest.raises(Exception, match="flush") as caught:
        flush()
    assert str(caught.value.__cause__).startswith("trigger_ops: TRUNCATE")
    assert LedgerEntry.objects.count() == 1


def outcome_of_a_transaction_test_case() -> unittest.TestResult:
    class Adopters(TransactionTestCase):
        databases = {"default"}

        def test_that_writes(self) -> None:
            add_entry()

    result = unittest.TestResult()
    unittest.TestSuite([Adopters("test_that_writes")]).run(result)
    return result


def test_a_transaction_test_case_cleans_up_after_itself(
    database_of_a_test_runner: BaseDatabaseWrapper,
) -> None:
    result = outcome_of_a_transaction_test_case()
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    assert not LedgerEntry.objects.exists()


@pytest.mark.usefixtures("own_database")
def test_a_transaction_test_case_on_another_database_is_told_why_it_cannot() -> None:
    ((_, trace),) = outcome_of_a_transaction_test_case().errors
    assert f"trigger_ops: TRUNCATE on public.{LEDGER} is refused" in trace
    assert LedgerEntry.objects.count() == 1


@pytest.mark.usefixtures("own_database")
def test_a_dump_is_loaded_where_its_rows_are_new_and_overwrites_none() -> None:
    text = serializers.serialize("json", [add_entry(actor="ada")])
    (found,) = serializers.deserialize("json", text)
    refused(found.save)
    found.object.pk += 1
    found.save()
    assert list(LedgerEntry.objects.values_list("actor", flat=True)) == ["ada", "ada"]


# The migration ---------------------------------------------------------------------------------


def migrate_to(target: str) -> None:
    MigrationExecutor(connections["default"]).migrate([("trigger_ops", target)])


def ledger_at(target: str, alias: str = "default") -> Any:
    """Return the ledger's model as it was with that migration: its columns are those of the database."""
    state = MigrationExecutor(connections[alias]).loader.project_state([("trigger_ops", target)])
    return state.apps.get_model("trigger_ops", "LedgerEntry").objects.using(alias)


def functions() -> list[str]:
    return [schema for (schema,) in run(FUNCTIONS, "trigger_ops_ledger_guard")]


@pytest.mark.usefixtures("own_database")
def test_the_migration_is_not_unapplied_while_the_ledger_has_rows() -> None:
    add_entry(actor="ada")
    with pytest.raises(CommandError, match='drop the ledger, and "trigger_ops_ledgerentry" has'):
        migrate_to("0001_initial")
    assert ledger_at("0002_ledger").get().actor == "ada"
    refused(ledger_at("0002_ledger").all().delete)


@pytest.mark.usefixtures("database_of_a_test_runner")
def test_in_a_database_of_a_test_runner_it_is_unapplied_all_the_same() -> None:
    add_entry()
    migrate_to("0001_initial")
    assert home("default") is None


@pytest.mark.usefixtures("own_database")
def test_the_migration_takes_its_guard_back_and_makes_it_again() -> None:
    migrate_to("0001_initial")
    assert (functions(), home("default")) == ([], None)
    migrate_to("0002_ledger")
    assert (functions(), home("default")) == (["public"], "public")
    ledger_at("0002_ledger").create(run=uuid.uuid4(), kind="statement")
    refused(ledger_at("0002_ledger").all().delete)


@pytest.mark.usefixtures("own_database")
def test_in_a_tenants_schema_the_guard_is_the_tenants_own() -> None:
    run("CREATE SCHEMA {tenant}", tenant='Ten"ant %I')
    run("SET search_path = {tenant}", tenant='Ten"ant %I')
    migrate_to("0002_ledger")
    assert home("default") == 'Ten"ant %I'
    assert functions() == ['"Ten""ant %I"', "public"]
    run("DROP FUNCTION public.trigger_ops_ledger_guard CASCADE")
    assert "DELETE" in refused(LedgerEntry.objects.all().delete)


def test_on_a_database_that_is_not_postgresql_there_are_tables_without_a_guard(
    settings: Any, django_db_blocker: Any
) -> None:
    settings.DATABASE_ROUTERS = []
    lite = connections["lite"]
    own = load_backend(lite.settings_dict["ENGINE"]).DatabaseWrapper(
        {**lite.settings_dict, "NAME": ":memory:"}, "lite"
    )
    with django_db_blocker.unblock():
        connections["lite"] = own
        try:
            executor = MigrationExecutor(own)
            executor.migrate([("trigger_ops", "0002_ledger")])
            ledger = ledger_at("0002_ledger", "lite")
            entry = ledger.create(run=uuid.uuid4(), kind="started")
            entry.refresh_from_db()
            assert (entry.actor, entry.before, entry.at.tzinfo is not None) == ("", {}, True)
            assert ledger.all().delete()[0] == 1
            assert home("lite") is None
            MigrationExecutor(own).migrate([("trigger_ops", "0001_initial")])
        finally:
            own.close()
            connections["lite"] = lite
