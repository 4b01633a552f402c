"""Inside a caller's transaction: one savepoint a table, nothing ended, nothing left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pgtrigger
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    POSTING,
    at_work,
    carry_out,
    drop,
    install,
    ledger,
    outcomes,
    statuses,
)
from tests.damage import make_role, pgid, run
from trigger_ops.applier.tables import SETTINGS
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.states import ExitCode, Result, Verb

GONE = {INVOICE: "UNINSTALLED", PAYROLL: "UNINSTALLED"}
THERE = {INVOICE: "INSTALLED", PAYROLL: "INSTALLED"}


class Undo(Exception):
    """Has a block rolled back."""


@contextmanager
def in_atomic() -> Iterator[None]:
    with transaction.atomic():
        yield


@contextmanager
def in_nested_atomic() -> Iterator[None]:
    with transaction.atomic(), transaction.atomic():
        yield


@contextmanager
def in_atomic_without_savepoint() -> Iterator[None]:
    with transaction.atomic(), transaction.atomic(savepoint=False):
        yield


@contextmanager
def with_autocommit_off() -> Iterator[None]:
    transaction.set_autocommit(False)
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        transaction.set_autocommit(True)


WAYS = [in_atomic, in_nested_atomic, in_atomic_without_savepoint, with_autocommit_off]


def remove_both() -> None:
    drop(INVOICE, "past_invoice")
    drop(PAYROLL, "past_payroll")


def transaction_number() -> Any:
    return run("SELECT pg_current_xact_id()")[0][0]


@pytest.mark.parametrize("way", WAYS)
def test_the_callers_rollback_takes_everything_back(
    own_database: BaseDatabaseWrapper, way: Callable[[], Any]
) -> None:
    remove_both()
    with contextlib.suppress(Undo), way():
        before = transaction_number()
        report = install(INVOICE, PAYROLL)
        assert outcomes(report) == {INVOICE: Result.CREATED, PAYROLL: Result.CREATED}
        assert statuses(INVOICE, PAYROLL) == THERE
        assert len(ledger()) > 2
        assert at_work() == 0
        assert transaction_number() == before
        raise Undo
    assert statuses(INVOICE, PAYROLL) == GONE
    assert ledger() == []


@pytest.mark.parametrize("way", WAYS)
def test_the_callers_commit_keeps_everything(
    own_database: BaseDatabaseWrapper, way: Callable[[], Any]
) -> None:
    remove_both()
    with way():
        run("CREATE TABLE mine (id int)")
        install(INVOICE, PAYROLL)
        run("INSERT INTO mine VALUES (1)")
    assert connection.get_autocommit()
    assert not connection.in_atomic_block
    assert statuses(INVOICE, PAYROLL) == THERE
    assert run("SELECT count(*) FROM mine") == [(1,)]
    assert ledger()[-1] == ("finished", "", "done")


@pytest.mark.parametrize("way", WAYS)
def test_settings_are_as_they_were(
    own_database: BaseDatabaseWrapper, way: Callable[[], Any]
) -> None:
    remove_both()
    values = {
        "lock_timeout": "1234ms",
        "search_path": '"$user", public, pg_catalog',
        "TimeZone": "Asia/Tokyo",
        "DateStyle": "SQL, DMY",
        "quote_all_identifiers": "on",
        "statement_timeout": "59s",
    }
    names = sorted({*SETTINGS, *values})

    def settings() -> list[Any]:
        return [run(f"SHOW {name}")[0][0] for name in names]

    outside = settings()
    with way():
        for name, value in values.items():
            run(f"SELECT set_config('{name}', %s, true)", value)
        before = settings()
        assert before != outside
        install(INVOICE, PAYROLL)
        assert settings() == before
        drop(INVOICE, "past_invoice")
        run("ALTER FUNCTION {name}() RENAME TO elsewhere", name=pgid(INVOICE))
        install(INVOICE)
        assert settings() == before
    assert settings() == outside


def test_each_table_is_one_savepoint(own_database: BaseDatabaseWrapper) -> None:
    remove_both()
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        install(INVOICE, PAYROLL)
    text = [query["sql"] for query in captured.captured_queries]
    for table in ("past_invoice", "past_payroll"):
        (at,) = [
            number
            for number, one in enumerate(text)
            if f'ON "public"."{table}"' in one and "CREATE TRIGGER" in one
        ]
        opened = max(n for n, one in enumerate(text[:at]) if one.startswith("SAVEPOINT"))
        name = text[opened].split()[1]
        assert f"RELEASE SAVEPOINT {name}" in text[at + 1 :]
    assert not any(one.strip(" ;").upper() in ("COMMIT", "ROLLBACK") for one in text[:-1])


@pytest.mark.parametrize("way", WAYS)
def test_a_table_that_fails_leaves_the_transaction_usable(
    own_database: BaseDatabaseWrapper, way: Callable[[], Any]
) -> None:
    remove_both()
    event_trigger_that_raises("past_invoice")
    with way():
        report = install(INVOICE, PAYROLL)
        assert outcomes(report) == {INVOICE: Result.FAILED, PAYROLL: Result.CREATED}
        assert report.exit_code is ExitCode.PARTIAL
        assert run("SELECT 1") == [(1,)]
    assert statuses(INVOICE, PAYROLL) == {INVOICE: "UNINSTALLED", PAYROLL: "INSTALLED"}


def event_trigger_that_raises(table: str) -> None:
    run(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() "
        f"WHERE object_identity LIKE '%%{table}%%') "
        "THEN RAISE EXCEPTION 'not on this table'; END IF; END $$".replace("%%", "%")
    )
    run(
        "CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') "
        "EXECUTE FUNCTION meddle()"
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_ledger_that_cannot_be_written_leaves_the_transaction_usable(
    own_database: BaseDatabaseWrapper, way: Callable[[], Any]
) -> None:
    remove_both()
    role = make_role("no_ledger")
    for name in ("past_invoice", "past_payroll"):
        run("ALTER TABLE {table} OWNER TO {role}", table=name, role=role)
    for uri in (INVOICE, PAYROLL):
        run("ALTER FUNCTION {name}() OWNER TO {role}", name=pgid(uri), role=role)
    run("GRANT CREATE ON SCHEMA public TO {role}", role=role)
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    with way():
        run("SET LOCAL ROLE {role}", role=role)
        report = install(INVOICE, PAYROLL)
        assert "The ledger cannot be written, so nothing was changed" in report.stopped
        assert report.exit_code is ExitCode.REFUSED
        assert {one.result for one in report.results} == {Result.SKIPPED}
        assert run("SELECT 1") == [(1,)]
        run("RESET ROLE")
    assert statuses(INVOICE, PAYROLL) == GONE
    run("REASSIGN OWNED BY {role} TO CURRENT_USER", role=role)
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)


def test_a_transaction_that_has_failed_gets_a_sentence(own_database: BaseDatabaseWrapper) -> None:
    remove_both()
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TriggerOpsError, match="failed already"):
            install(INVOICE)
    assert ledger() == []


def test_deferred_events_get_a_sentence_that_names_set_constraints(
    own_database: BaseDatabaseWrapper,
) -> None:
    run("COMMENT ON TRIGGER {name} ON awkward_posting IS NULL", name=pgid(POSTING))
    with transaction.atomic():
        run("INSERT INTO awkward_posting (booking, amount) VALUES (1, 5), (1, -5)")
        report = carry_out(Verb.DISABLE, POSTING)
        assert "SET CONSTRAINTS ALL IMMEDIATE" in report.failed[0].reason
        assert report.exit_code is ExitCode.REFUSED
        run("SET CONSTRAINTS ALL IMMEDIATE")
        assert outcomes(carry_out(Verb.DISABLE, POSTING)) == {POSTING: Result.SWITCHED}
    assert run("SELECT count(*) FROM awkward_posting") == [(2,)]


def test_ignore_and_schema_of_the_library_change_nothing(
    own_database: BaseDatabaseWrapper,
) -> None:
    remove_both()
    run("CREATE SCHEMA elsewhere")
    with pgtrigger.ignore(), pgtrigger.schema("elsewhere", "public"):
        call_command("pgtrigger", "install", INVOICE, PAYROLL, verbosity=0)
    assert statuses(INVOICE, PAYROLL) == THERE
    assert run("SELECT count(*) FROM pg_proc WHERE pronamespace = 'elsewhere'::regnamespace") == [
        (0,)
    ]
    run("INSERT INTO past_invoice (number, total) VALUES ('1', 1)")
    with pytest.raises(DatabaseError, match="Cannot delete"):
        run("DELETE FROM past_invoice")
