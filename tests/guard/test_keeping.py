"""The gate follows whatever installs triggers, in the same transaction; nobody sees it gone."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pgtrigger.core
import pgtrigger.migrations
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connections, migrations, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import load_backend
from django.test.utils import CaptureQueriesContext
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from demo_site.past.models import Receipt
from tests.damage import pgid, run, within
from tests.guard.parts import BODY, body, gate_body, put_gate, put_stock_body
from tests.weaknesses.conftest import default_at
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.guard.keeping import keep_gates
from trigger_ops.inspection.ignoring import stock_ignore_body

RECEIPT = "past.Receipt:append_only"
#: Without a percent sign, which pgtrigger cannot install while it sets something.
SOFT_DELETE = "tutorial.SoftDelete:soft_delete"

Connect = Callable[..., BaseDatabaseWrapper]


@pytest.fixture
def gated(own_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Let `default` be a database with the gate and the row that says so; without witnesses."""
    put_gate()
    return own_database


# Migrations ---------------------------------------------------------------------------------------


def add_trigger(name: str = "extra") -> pgtrigger.migrations.AddTrigger:
    """Return what makemigrations writes for one more trigger."""
    compiled = pgtrigger.Protect(name=name, operation=pgtrigger.Delete).compile(Receipt)
    return pgtrigger.migrations.AddTrigger(model_name="receipt", trigger=compiled)


def migrate(*steps: list[Any], atomic: bool = True) -> None:
    """Apply migrations of one more app version, without any signal after them."""
    executor = MigrationExecutor(connections["default"])
    graph, before = executor.loader.graph, ("past", "0002_freeze_prices")
    for number, operations in enumerate(steps, 3):
        key = ("past", f"{number:04}_tested")
        one = migrations.Migration(key[1], "past")
        one.operations, one.dependencies, one.atomic = operations, [before], atomic
        graph.add_node(key, one)
        graph.add_dependency(one, key, before)
        before = key
    executor.migrate([before])


class Watcher:
    """Reads the gate's body on a connection of its own, again and again."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.looks = 0
        self._over = threading.Event()
        self._more = threading.Condition()

    def wait_for(self, looks: int) -> None:
        """Return when it has looked so many times more."""
        with self._more:
            wanted = self.looks + looks
            assert self._more.wait_for(lambda: self.looks >= wanted, timeout=60)

    def watch(self, name: str) -> None:
        with default_at(NAME=name) as connection, connection.cursor() as cursor:
            while not self._over.is_set():
                cursor.execute(BODY, ["public"])
                with self._more:
                    self.seen.add(cursor.fetchone()[0])
                    self.looks += 1
                    self._more.notify_all()

    def stop(self) -> None:
        self._over.set()


@pytest.fixture
def watcher(gated: BaseDatabaseWrapper) -> Iterator[Watcher]:
    one = Watcher()
    thread = threading.Thread(target=one.watch, args=[gated.settings_dict["NAME"]])
    thread.start()
    one.wait_for(1)
    yield one
    one.stop()
    thread.join(timeout=60)
    assert not thread.is_alive()


@pytest.mark.parametrize("atomic", [True, False])
def test_no_migration_lets_anybody_see_the_stock_function(
    watcher: Watcher, *, atomic: bool
) -> None:
    slow = migrations.RunPython(lambda *_: watcher.wait_for(50))
    migrate([add_trigger()], [slow], [add_trigger("more"), slow], atomic=atomic)
    assert body() == gate_body()
    assert watcher.seen == {gate_body()}
    assert watcher.looks > 100


def fail(*_: Any) -> None:
    raise LookupError("a later migration fails")


@pytest.mark.parametrize("atomic", [True, False])
def test_a_later_migration_that_raises_does_not_leave_the_stock_function(
    gated: BaseDatabaseWrapper, *, atomic: bool
) -> None:
    with pytest.raises(LookupError):
        migrate([add_trigger()], [migrations.RunPython(fail)], atomic=atomic)
    assert body() == gate_body()
    assert len(run("SELECT 1 FROM pg_trigger WHERE tgname ~ '^pgtrigger_extra_'")) == 1


def test_a_migration_taken_back_and_forth_keeps_the_gate(gated: BaseDatabaseWrapper) -> None:
    executor = MigrationExecutor(gated)
    executor.migrate([("past", "0001_initial")])
    assert body() == gate_body()
    executor = MigrationExecutor(gated)
    executor.migrate([("past", "0002_freeze_prices")])
    assert body() == gate_body()


def test_tables_made_without_migrations_keep_the_gate(gated: BaseDatabaseWrapper) -> None:
    run("DROP TABLE past_receipt")
    with gated.schema_editor() as editor:
        editor.create_model(Receipt)
    assert body() == gate_body()
    assert len(run("SELECT 1 FROM pg_trigger WHERE tgname = %s", pgid(RECEIPT))) == 1


# Other ways to install -----------------------------------------------------------------------------


def install_by_code() -> None:
    pgtrigger.install(RECEIPT)


def install_all_by_code() -> None:
    pgtrigger.install()


def install_by_stock_command() -> None:
    call_command(StockCommand(), "install", RECEIPT)


def install_by_trigger() -> None:
    ((model, trigger),) = pgtrigger.registered(RECEIPT)
    trigger.install(model)


def uninstall_for_a_while() -> None:
    ((model, trigger),) = pgtrigger.registered(RECEIPT)
    with trigger.uninstall(model):
        pass


def install_in_a_transaction() -> None:
    with transaction.atomic():
        pgtrigger.install(RECEIPT)
        assert body() == gate_body()


def install_while_ignoring() -> None:
    with pgtrigger.ignore(RECEIPT), transaction.atomic():
        pgtrigger.install(SOFT_DELETE)


@pytest.mark.parametrize(
    "install",
    [
        install_by_code,
        install_all_by_code,
        install_by_stock_command,
        install_by_trigger,
        uninstall_for_a_while,
        install_in_a_transaction,
        install_while_ignoring,
    ],
)
def test_whatever_installs_is_followed_by_the_gate(
    watcher: Watcher, install: Callable[[], None]
) -> None:
    install()
    assert body() == gate_body()
    assert watcher.seen == {gate_body()}


def test_a_stock_function_that_was_there_before_is_mended_by_the_next_install(
    gated: BaseDatabaseWrapper,
) -> None:
    put_stock_body()
    pgtrigger.install(RECEIPT)
    assert body() == gate_body()


def test_an_install_that_is_rolled_back_leaves_the_gate(gated: BaseDatabaseWrapper) -> None:
    with transaction.atomic():
        pgtrigger.install(RECEIPT)
        transaction.set_rollback(True)
    assert body() == gate_body()


def test_in_another_schema_the_gate_follows_and_a_strangers_function_stays(
    gated: BaseDatabaseWrapper, settings: Any
) -> None:
    settings.PGTRIGGER_SCHEMA = None
    for schema in ("tenant", 'odd"name; --'):
        run("CREATE SCHEMA {schema}", schema=schema)
        put_stock_body(schema)
        run(
            "CREATE TABLE {table} (LIKE public.tutorial_softdelete INCLUDING ALL)",
            table=within(schema, "tutorial_softdelete"),
        )
    with pgtrigger.schema("tenant"):
        pgtrigger.install(SOFT_DELETE)
    assert body("tenant") == gate_body()
    assert body('odd"name; --') == stock_ignore_body()
    with pgtrigger.schema('"odd""name; --"'):
        pgtrigger.install(SOFT_DELETE)
    assert body('odd"name; --') == gate_body()
    assert body() == gate_body()


INSTALLERS, ROUNDS = 4, 15


def test_many_who_install_at_once_never_lose_the_gate(watcher: Watcher) -> None:
    name = connections["default"].settings_dict["NAME"]
    odd: list[Exception] = []

    def install_often() -> None:
        with default_at(NAME=name):
            for _ in range(ROUNDS):
                try:
                    pgtrigger.install(RECEIPT)
                except DatabaseError as error:
                    # What stock pgtrigger runs into by itself.
                    if sqlstate(error) not in ("XX000", "40P01", "23505"):
                        odd.append(error)

    threads = [threading.Thread(target=install_often) for _ in range(INSTALLERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=120)
    assert odd == []
    assert body() == gate_body()
    assert watcher.seen == {gate_body()}


# What does not change -----------------------------------------------------------------------------


def statements(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connections["default"]) as captured:
        act()
    return [one["sql"] for one in captured.captured_queries]


@contextlib.contextmanager
def without_us(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let pgtrigger be as it is without us."""
    with monkeypatch.context() as patch:
        for place, name in (
            (pgtrigger.migrations, "_add_trigger"),
            (pgtrigger.core.Trigger, "install"),
        ):
            patch.setattr(place, name, getattr(place, name).__wrapped__)
        yield


@pytest.mark.parametrize(
    "act",
    [install_by_code, transaction.atomic(install_by_code)],
    ids=["by itself", "in a transaction"],
)
@pytest.mark.usefixtures("own_database")
def test_where_the_guard_is_off_there_is_one_query_more(
    act: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    act()
    with without_us(monkeypatch):
        stock = statements(act)
    ours = statements(act)
    assert body() == stock_ignore_body()
    assert len(ours) == len(stock) + 1
    assert len([one for one in ours if "current_schemas" in one]) == 1


def test_a_guard_that_is_off_although_its_functions_are_left_stays_off(
    gated: BaseDatabaseWrapper,
) -> None:
    run("DELETE FROM trigger_ops_guard")
    pgtrigger.install(RECEIPT)
    assert body() == stock_ignore_body()


def test_sqlmigrate_prints_what_it_printed(
    gated: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def printed() -> str:
        out = io.StringIO()
        call_command("sqlmigrate", "past", "0002", stdout=out)
        return out.getvalue()

    ours = printed()
    with without_us(monkeypatch):
        assert printed() == ours
    assert "trigger_ops" not in ours


def test_an_error_of_the_installation_is_its_own(gated: BaseDatabaseWrapper) -> None:
    run("DROP TABLE past_receipt")
    with pytest.raises(DatabaseError, match="past_receipt"):
        pgtrigger.install(RECEIPT)
    assert body() == gate_body()
    with transaction.atomic():
        with pytest.raises(DatabaseError, match="past_receipt"):
            pgtrigger.install(RECEIPT)
        assert run("SELECT 1") == [(1,)]


def test_a_transaction_that_has_failed_is_told_so_by_the_installation(
    gated: BaseDatabaseWrapper,
) -> None:
    def install_too_late() -> None:
        with transaction.atomic():
            with contextlib.suppress(DatabaseError):
                run("SELECT 1 / 0")
            pgtrigger.install(RECEIPT)

    with pytest.raises(DatabaseError, match="current transaction is aborted"):
        install_too_late()
    assert body() == gate_body()


def test_a_gate_that_cannot_come_back_is_said_and_ends_nothing(
    gated: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    run("CREATE SCHEMA elsewhere")
    run("ALTER FUNCTION trigger_ops_gate(name) RENAME TO renamed")
    run("CREATE FUNCTION trigger_ops_gate() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    with caplog.at_level(logging.WARNING, "trigger_ops"):
        migrate([add_trigger()])
    (record,) = caplog.records
    assert "trigger_ops_gate" in record.getMessage()
    assert "manage.py pgtrigger guard install -d default" in record.getMessage()
    assert len(run("SELECT 1 FROM pg_trigger WHERE tgname ~ '^pgtrigger_extra_'")) == 1


def test_the_wrapping_is_done_once() -> None:
    before = pgtrigger.migrations._add_trigger, pgtrigger.core.Trigger.install
    keep_gates()
    apps.get_app_config("trigger_ops").ready()
    assert (pgtrigger.migrations._add_trigger, pgtrigger.core.Trigger.install) == before
    assert not hasattr(before[0].__wrapped__, "__wrapped__")


def test_a_database_that_is_not_postgresql_is_left_alone(django_db_blocker: Any) -> None:
    ((model, trigger),) = pgtrigger.registered(RECEIPT)
    lite = connections["lite"]
    own = load_backend(lite.settings_dict["ENGINE"]).DatabaseWrapper(
        {**lite.settings_dict, "NAME": ":memory:"}, "lite"
    )
    connections["lite"] = own
    try:
        with django_db_blocker.unblock(), CaptureQueriesContext(own) as captured:
            trigger.install(model, database="lite")  # its router allows no model there
    finally:
        own.close()
        connections["lite"] = lite
    assert not [one for one in captured.captured_queries if "pg_catalog" in one["sql"]]
