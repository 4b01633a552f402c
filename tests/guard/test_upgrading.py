"""A database of the version before, with the guard on, is migrated: nothing is amiss afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import make_role, pgid, run
from tests.guard.test_findings import found
from trigger_ops import api
from trigger_ops.guard import ddl
from trigger_ops.sql.own_tables import set_ddl_guard_aside
from trigger_ops.states import Verb

RECEIPT = "past.Receipt:append_only"

#: What the version before had, as far as it was other: a function of it, one more signature, the
#: tables' columns, and one trigger less on each of two tables.
BEFORE = """\
DROP TABLE trigger_ops_guardchange;
DROP TRIGGER trigger_ops_guard_log ON trigger_ops_guard;
DROP TRIGGER trigger_ops_guard_log ON trigger_ops_policy;
DROP FUNCTION trigger_ops_guard_log(), trigger_ops_is_same(text, text), trigger_ops_decide(bigint, name, bigint, integer),
    trigger_ops_is_applied(), trigger_ops_allowance(bigint, bigint);
CREATE FUNCTION trigger_ops_allowance(this bigint, session bigint, more bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE OR REPLACE FUNCTION trigger_ops_gate(trigger_name name) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN false; END';
ALTER FUNCTION trigger_ops_gate(name) RESET enable_seqscan;
DROP INDEX trigger_ops_change_number_of, trigger_ops_ledger_of;
CREATE INDEX trigger_ops_change_session ON trigger_ops_change (session_id, transaction);
ALTER TABLE trigger_ops_change DROP COLUMN up_to, ADD CONSTRAINT trigger_ops_change_number CHECK (number >= 0);
ALTER TABLE trigger_ops_sessionstatement ADD COLUMN digest varchar(64) NOT NULL;
ALTER TABLE trigger_ops_sessiontransaction DROP COLUMN template, ADD COLUMN rows_before bigint NOT NULL DEFAULT 0;
ALTER TABLE trigger_ops_ledgerentry DROP COLUMN transaction;
DELETE FROM django_migrations WHERE app = 'trigger_ops' AND name = '0007_evidence'"""


def go_back() -> None:
    run(BEFORE.replace("{", "{{").replace("}", "}}"))


@pytest.fixture
def former(guarded: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a guarded database of the version before."""
    go_back()
    return guarded


@pytest.mark.usefixtures("former")
def test_the_guard_is_as_it_should_be_after_migrate() -> None:
    call_command("migrate", verbosity=0)
    assert found("C006", "C007", "W006") == []
    assert not api.guard_status("default").amiss
    assert run("SELECT count(*) FROM trigger_ops_ledgerentry WHERE transaction IS NULL")[0][0] > 0
    assert run("SELECT to_regprocedure('trigger_ops_allowance(bigint, bigint, bigint)')") == [
        (None,)
    ]
    receipt = Receipt.objects.create(number="R-1")
    with api.session(RECEIPT, reason="the number was typed wrong"):
        Receipt.objects.filter(pk=receipt.pk).update(number="R-2")
    assert run("SELECT cause FROM trigger_ops_change") == [("session",)]


@pytest.mark.usefixtures("former")
def test_the_functions_work_before_the_guard_is_brought_up_to_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What runs while `migrate` goes on, or where its end never comes."""
    monkeypatch.setattr("trigger_ops.api.restore_guard", lambda _: 0)
    call_command("migrate", "trigger_ops", "0007", verbosity=0)
    Receipt.objects.create(number="R-1")
    run("SELECT set_config('pgtrigger.ignore', %s, false)", f"{{{pgid(RECEIPT)}}}")
    Receipt.objects.update(number="R-2")
    run("RESET pgtrigger.ignore")
    assert run("SELECT count(*) FROM trigger_ops_decision") == [(1,)]
    assert run("SELECT cause FROM trigger_ops_change") == [("ignore",)]
    private = (
        "SELECT proname FROM pg_proc WHERE starts_with(proname, 'trigger_ops_') "
        "AND has_function_privilege('public', oid, 'EXECUTE') ORDER BY 1"
    )
    assert run(private) == [("trigger_ops_enter",), ("trigger_ops_gate",)]


@pytest.mark.usefixtures("former")
def test_a_sequence_that_somebody_else_owns_is_not_taken_for_that_of_changes() -> None:
    run(
        "ALTER SEQUENCE trigger_ops_change_id_seq RENAME TO trigger_ops_change_id_seq1; "
        "CREATE SEQUENCE trigger_ops_change_id_seq"
    )
    with pytest.raises(CommandError, match="rename that one, give its name to the one of"):
        call_command("migrate", verbosity=0)
    run(
        "ALTER SEQUENCE trigger_ops_change_id_seq RENAME TO theirs; "
        "ALTER SEQUENCE trigger_ops_change_id_seq1 RENAME TO trigger_ops_change_id_seq"
    )
    call_command("migrate", verbosity=0)
    assert found("C006", "C007", "W006") == []


# Under the DDL guard ------------------------------------------------------------------------------


@pytest.fixture
def watched(guarded: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be such a database whose DDL guard was put on by that version."""
    api.switch_ddl_guard("default", Verb.GUARD_INSTALL, actor="user:ada")
    for name in ddl.EVENTS:
        run("ALTER EVENT TRIGGER {name} DISABLE", name=name)
    go_back()
    run(
        "CREATE OR REPLACE FUNCTION trigger_ops_ddl_guard.own_functions() RETURNS jsonb LANGUAGE sql "
        "IMMUTABLE AS $$ SELECT jsonb_object_agg(format('%%s(%%s)', proname, "
        "oidvectortypes(proargtypes)), trigger_ops_ddl_guard.digest(oid)) FROM pg_proc "
        "WHERE starts_with(proname, 'trigger_ops_') $$"
    )
    run("SELECT trigger_ops_ddl_guard.learn()")
    for name in ddl.EVENTS:
        run("ALTER EVENT TRIGGER {name} ENABLE ALWAYS", name=name)
    return guarded


@pytest.mark.usefixtures("watched")
def test_a_superuser_migrates_under_the_ddl_guard() -> None:
    call_command("migrate", verbosity=0)
    assert ddl.fault("default", "public") == ""
    assert found("C006", "C007", "W006") == []
    run("ALTER TABLE trigger_ops_change ADD COLUMN more integer")
    with pytest.raises(Exception, match=r"columns of public\.trigger_ops_sessiontransaction"):
        run("ALTER TABLE trigger_ops_sessiontransaction ALTER template DROP DEFAULT")


def test_others_are_told_that_it_takes_a_superuser(watched: BaseDatabaseWrapper) -> None:
    role = make_role("migrator")
    run("GRANT {role} TO CURRENT_USER", role=role)
    try:
        run("SET ROLE {role}", role=role)
        with (
            pytest.raises(CommandError, match="run it as a superuser"),
            watched.schema_editor() as editor,
        ):
            set_ddl_guard_aside(editor, aside=True)
    finally:
        run("RESET ROLE")
        run("DROP ROLE {role}", role=role)
