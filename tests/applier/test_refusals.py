"""What a refusal means: for one trigger, for its table, or for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    VERSIONED,
    drop,
    install,
    ledger,
    outcomes,
    statuses,
)
from tests.damage import gut, make_role, pgid, run
from trigger_ops.applier.refusals import Meaning, meaning_of, sentence_of
from trigger_ops.exceptions import Refused
from trigger_ops.states import ExitCode, Result

MEANINGS = [
    ("55P03", "canceling statement due to lock timeout", Meaning.AGAIN),
    ("40P01", "deadlock detected", Meaning.AGAIN),
    ("XX000", "tuple concurrently updated", Meaning.AGAIN),
    ("XX000", "tuple concurrently deleted", Meaning.AGAIN),
    ("XX000", "unexpected", Meaning.FAILED),
    ("23505", "duplicate key in pg_proc_proname_args_nsp_index", Meaning.AGAIN),
    ("23505", "duplicate key in shop_order_pkey", Meaning.FAILED),
    ("42601", "syntax error", Meaning.FAILED),
    ("42501", "must be owner", Meaning.FAILED),
    ("25006", "read-only transaction", Meaning.STOP),
    ("40001", "could not serialize access", Meaning.STOP),
    ("53100", "disk full", Meaning.STOP),
    ("57014", "canceling statement due to user request", Meaning.STOP),
    ("57P01", "terminating connection", Meaning.LOST),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "message", "meaning"), MEANINGS)
def test_each_sqlstate_has_its_meaning(code: str, message: str, meaning: Meaning) -> None:
    raising = (
        f"DO $$ BEGIN RAISE EXCEPTION USING errcode = '{code}', message = '{message}'; END $$"
    )
    with pytest.raises(DatabaseError) as caught:
        run(raising)
    assert meaning_of(caught.value, connection) is meaning
    assert message in sentence_of(caught.value, role="ada")


def raise_on(table: str, trigger: str = "") -> None:
    """Refuse one table's triggers, or one of them."""
    like = f"{trigger}%{table}" if trigger else table
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE "
            f"'%{like}%') THEN RAISE EXCEPTION 'not here'; END IF; END $$"
        )
        cursor.execute(
            "CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') "
            "EXECUTE FUNCTION meddle()"
        )


def test_one_trigger_that_fails_leaves_the_others_of_its_table_and_of_other_tables_done(
    own_database: BaseDatabaseWrapper,
) -> None:
    for uri in VERSIONED:
        drop(uri, "tutorial_versioned")
    drop(PAYROLL, "past_payroll")
    raise_on("tutorial_versioned", pgid(VERSIONED[0]))
    report = install(*VERSIONED, PAYROLL)
    assert outcomes(report) == {
        VERSIONED[0]: Result.FAILED,
        VERSIONED[1]: Result.CREATED,
        PAYROLL: Result.CREATED,
    }
    assert "not here" in report.failed[0].reason
    assert report.exit_code is ExitCode.PARTIAL
    assert {table for kind, table, _ in ledger() if kind == "statement"} == {
        "past_payroll",
        "tutorial_versioned",
    }
    assert ledger()[-1] == ("finished", "", "failed")
    run("DROP EVENT TRIGGER meddle")
    assert install(*VERSIONED).exit_code is ExitCode.CLEAN


def test_only_failures_are_a_refusal(own_database: BaseDatabaseWrapper) -> None:
    drop(INVOICE, "past_invoice")
    raise_on("past_invoice")
    report = install(INVOICE)
    assert outcomes(report) == {INVOICE: Result.FAILED}
    assert report.exit_code is ExitCode.REFUSED


def broken_body() -> None:
    run("DROP FUNCTION {name}() CASCADE", name=pgid(INVOICE))
    run("CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT 1'", name=pgid(INVOICE))


def test_a_function_that_cannot_be_replaced_fails_for_its_trigger_alone(
    own_database: BaseDatabaseWrapper,
) -> None:
    broken_body()
    drop(PAYROLL, "past_payroll")
    report = install(INVOICE, PAYROLL)
    assert outcomes(report) == {INVOICE: Result.FAILED, PAYROLL: Result.CREATED}
    assert "return type" in report.failed[0].reason
    assert report.exit_code is ExitCode.PARTIAL


@pytest.fixture
def owner(own_database: BaseDatabaseWrapper) -> Iterator[str]:
    """Act as a role that owns two tables with their functions, and may write our tables."""
    role = make_role("owner")
    for table, uri in (("past_invoice", INVOICE), ("past_payroll", PAYROLL)):
        run("ALTER TABLE {table} OWNER TO {role}", table=table, role=role)
        run("ALTER FUNCTION {name}() OWNER TO {role}", name=pgid(uri), role=role)
    run("GRANT CREATE ON SCHEMA public TO {role}", role=role)
    run("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    run("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}", role=role)
    yield role
    run("RESET ROLE")
    run("DROP OWNED BY {role} CASCADE", role=role)
    run("DROP ROLE {role}", role=role)


def test_a_function_of_another_role_is_refused_before_anything_is_done(owner: str) -> None:
    gut(pgid(INVOICE))
    drop(PAYROLL, "past_payroll")
    run("ALTER FUNCTION {name}() OWNER TO CURRENT_USER", name=pgid(INVOICE))
    run("SET ROLE {role}", role=owner)
    with pytest.raises(Refused, match="OWNER TO"):
        install(INVOICE, PAYROLL)
    run("RESET ROLE")
    assert ledger() == []
    assert statuses(PAYROLL) == {PAYROLL: "UNINSTALLED"}


def no_insert(role: str) -> None:
    run("REVOKE INSERT ON trigger_ops_ledgerentry FROM {role}", role=role)


def no_announcement(role: str) -> None:
    run("REVOKE ALL ON trigger_ops_runlease FROM {role}", role=role)


@pytest.mark.parametrize("revoke", [no_insert, no_announcement])
def test_a_role_that_may_not_record_changes_nothing(
    owner: str, revoke: Callable[[str], None]
) -> None:
    drop(PAYROLL, "past_payroll")
    revoke(owner)
    run("SET ROLE {role}", role=owner)
    report = install(PAYROLL)
    assert report.exit_code is ExitCode.REFUSED
    assert f'role "{owner}"' in report.stopped
    run("RESET ROLE")
    assert statuses(PAYROLL) == {PAYROLL: "UNINSTALLED"}


def test_without_our_tables_the_work_is_done_with_one_warning(
    own_database: BaseDatabaseWrapper,
) -> None:
    run("DROP TABLE trigger_ops_ledgerentry, trigger_ops_triggerlease, trigger_ops_runlease")
    drop(PAYROLL, "past_payroll")
    report = install(PAYROLL)
    assert outcomes(report) == {PAYROLL: Result.CREATED}
    assert report.exit_code is ExitCode.CLEAN
    (warning,) = report.warnings
    assert "migrate trigger_ops" in warning
