"""C006, W006 and C007: what `check` says of a guard, and what it does not say because of one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pgtrigger
import pytest
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import make_role, pgid, run
from tests.guard.conftest import guard
from tests.guard.parts import IGNORE, enter, put_gate, put_stock_body, put_witness
from tests.guard.test_acknowledge import guard as command
from trigger_ops import api
from trigger_ops.drift import Finding
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.guard import ddl
from trigger_ops.rendering.guard import as_text
from trigger_ops.sql.own_tables import OWN_TRIGGERS
from trigger_ops.states import ExitCode, Level, Verb

RECEIPT = "past.Receipt:append_only"
REASON = "INC-12: a wrong receipt, taken out by hand"
#: What concerns others' doings, and must not change because of what we put there ourselves.
UNMOVED = ("C002", "C003", "W002", "W009", "W010", "W012", "I002", "I004", "I007", "I010", "I014")


def found(*codes: str, schema: str | None = None, table: str | None = None) -> list[Finding]:
    """Return the findings of some IDs, about one schema and table where they are given."""
    return [
        one
        for one in api.check(databases=["default"]).findings
        if one.id.removeprefix("trigger_ops.") in codes
        and schema in (None, one.schema)
        and table in (None, one.table)
    ]


def of_the_gate() -> list[Finding]:
    return [one for one in found("C006") if IGNORE in one.message]


@pytest.fixture
def watched(own_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Let `default` have a gate, and a witness on one table."""
    put_gate()
    put_witness()
    return own_database


def delete_one() -> None:
    """Delete a receipt past its trigger, outside any session."""
    receipt = Receipt.objects.create(number="R-1")
    with pgtrigger.ignore(RECEIPT):
        assert Receipt.objects.filter(pk=receipt.pk).delete()[0] == 1


# Nothing more than there is to say ----------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_a_guard_brings_no_finding_about_others() -> None:
    before = [(one.id, one.uri, one.table, one.message) for one in found(*UNMOVED)]
    assert found("C006", "C007", "W006") == []
    put_gate()
    for table in ("past_receipt", "past_invoice", "past_customer"):
        put_witness(table)
    assert [(one.id, one.uri, one.table, one.message) for one in found(*UNMOVED)] == before
    assert of_the_gate() == found("C007") == found("W006", table="past_receipt") == []


@pytest.mark.usefixtures("watched")
def test_the_ddl_guard_brings_no_finding_either() -> None:
    before = [(one.id, one.message) for one in found(*UNMOVED, "C006")]
    switch_on_ddl_guard()
    assert [(one.id, one.message) for one in found(*UNMOVED, "C006")] == before


@pytest.mark.usefixtures("own_database")
def test_where_the_guard_is_off_a_wrong_ignore_function_stays_c002() -> None:
    gut_the_gate()
    assert [one.schema for one in found("C002")] == ["public"]
    assert found("C006") == []


@pytest.mark.usefixtures("own_database")
def test_a_gate_where_the_guard_is_off_is_a_wrong_ignore_function() -> None:
    put_gate()
    with transaction.atomic():
        run("DELETE FROM trigger_ops_guard")
        enter("DELETE FROM trigger_ops_guard")
    assert [one.schema for one in found("C002")] == ["public"]
    assert found("C006", "C007", "W006") == []


# C006 ---------------------------------------------------------------------------------------------


def gut_the_gate() -> None:
    run(
        f"CREATE OR REPLACE FUNCTION {IGNORE}(trigger_name name) RETURNS boolean LANGUAGE sql "
        "AS 'SELECT true'"
    )


def run_stock_sql() -> None:
    put_stock_body()


def let_it_run_as_its_owner() -> None:
    run(f"ALTER FUNCTION {IGNORE}(name) SECURITY DEFINER")


def rename_it() -> None:
    run(f"ALTER FUNCTION {IGNORE}(name) RENAME TO elsewhere")


@pytest.mark.parametrize(
    "damage", [gut_the_gate, run_stock_sql, let_it_run_as_its_owner, rename_it]
)
@pytest.mark.usefixtures("watched")
def test_a_gate_that_is_none_is_c006_and_not_c002(damage: object) -> None:
    assert callable(damage)
    damage()
    (one,) = of_the_gate()
    assert (one.level, one.schema, one.uri) == (Level.CRITICAL, "public", None)
    assert one.fix == "manage.py pgtrigger guard install"
    assert found("C002") == []
    status = api.guard_status("default")
    assert [gate.schema for gate in status.gates if gate.name == IGNORE and gate.fault] == [
        "public"
    ]
    assert status.amiss


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            (
                "CREATE OR REPLACE FUNCTION trigger_ops_gate(trigger_name name) RETURNS boolean "
                "LANGUAGE sql AS 'SELECT true'"
            ),
            "trigger_ops_gate has another body",
        ),
        ("ALTER FUNCTION trigger_ops_gate(name) SECURITY INVOKER", "trigger_ops_gate has other"),
        ("ALTER FUNCTION trigger_ops_gate(name) RESET search_path", "trigger_ops_gate has other"),
        (
            "ALTER FUNCTION trigger_ops_witness_row() RENAME TO elsewhere",
            "trigger_ops_witness_row is missing",
        ),
        (
            "ALTER FUNCTION trigger_ops_acknowledge(bigint[], text, text) RENAME TO elsewhere",
            "trigger_ops_acknowledge is missing",
        ),
    ],
)
@pytest.mark.usefixtures("watched")
def test_a_function_behind_the_gate_that_was_changed_is_c006(statement: str, says: str) -> None:
    assert not any(says in one.message for one in found("C006"))
    run(statement)
    (one,) = [one for one in found("C006") if says in one.message]
    assert (one.level, one.schema) == (Level.CRITICAL, "public")


def switch_on_ddl_guard() -> None:
    texts = ddl.statements("default", "public")
    ddl.carry_out(
        "default", "public", texts, verb=Verb.GUARD_INSTALL, actor="user:ada", reason="a test"
    )


@pytest.mark.usefixtures("watched")
def test_event_triggers_that_should_be_there_and_are_not_are_c006() -> None:
    switch_on_ddl_guard()
    run("DROP EVENT TRIGGER trigger_ops_drop_guard")
    (one,) = [one for one in found("C006") if "event trigger" in one.message]
    assert "trigger_ops_drop_guard is missing" in one.message
    assert one.fix == "manage.py pgtrigger guard install --ddl-guard"
    api.switch_ddl_guard("default", Verb.GUARD_INSTALL, actor="user:ada")
    assert not [one for one in found("C006") if "event trigger" in one.message]


@pytest.mark.usefixtures("guarded")
def test_our_own_triggers_are_looked_at_too() -> None:
    """What holds the rules of ledger, sessions and evidence."""
    live = run(
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger "
        "WHERE tgrelid::regclass::text ~ '^trigger_ops_' AND NOT tgisinternal"
    )
    assert sorted(live) == sorted((one.table, one.name) for one in OWN_TRIGGERS)
    assert len(live) == 18
    for statement in (
        "DROP TRIGGER {trigger} ON {table}",
        "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        "ALTER TABLE {table} ENABLE TRIGGER ALL",
    ):
        for table, trigger in live:
            with transaction.atomic():
                run(statement, table=table, trigger=trigger)
                (one,) = found("C006")
                status = api.guard_status("default")
                transaction.set_rollback(True)
            what = "is missing" if statement.startswith("DROP") else "is not ENABLE ALWAYS"
            assert f"{trigger} on {table} {what}" in one.message
            assert (one.level, one.fix) == (
                Level.CRITICAL,
                "manage.py pgtrigger guard install",
            )
            assert f"{trigger} on {table}" in [gate.name for gate in status.gates]
            assert status.amiss
    assert found("C006") == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            (
                "CREATE OR REPLACE TRIGGER trigger_ops_evidence_guard BEFORE TRUNCATE ON "
                "trigger_ops_change EXECUTE FUNCTION trigger_ops_evidence_guard(); ALTER TABLE "
                "trigger_ops_change ENABLE ALWAYS TRIGGER trigger_ops_evidence_guard"
            ),
            "trigger_ops_evidence_guard on trigger_ops_change is not what the migration makes it",
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER trigger_ops_review_rules BEFORE INSERT ON "
                "trigger_ops_review FOR EACH ROW WHEN (false) EXECUTE FUNCTION "
                "trigger_ops_review_rules(); ALTER TABLE trigger_ops_review ENABLE ALWAYS TRIGGER "
                "trigger_ops_review_rules"
            ),
            "trigger_ops_review_rules on trigger_ops_review is not what the migration makes it",
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER trigger_ops_ledger_guard BEFORE UPDATE OR DELETE OR "
                "TRUNCATE ON trigger_ops_ledgerentry "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            (
                "trigger_ops_ledger_guard on trigger_ops_ledgerentry executes "
                "pg_catalog.suppress_redundant_updates_trigger"
            ),
        ),
        (
            (
                "CREATE OR REPLACE FUNCTION trigger_ops_ledger_guard() RETURNS trigger LANGUAGE "
                "plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'"
            ),
            "trigger_ops_ledger_guard has another body",
        ),
    ],
)
@pytest.mark.usefixtures("guarded")
def test_a_trigger_of_ours_that_was_replaced_is_c006(statement: str, says: str) -> None:
    run(statement)
    (one,) = found("C006")
    assert says in one.message


STRANGERS = {
    "DROP RULE nothing ON public.trigger_ops_decision": (
        "CREATE RULE nothing AS ON INSERT TO trigger_ops_decision DO INSTEAD NOTHING",
        "trigger_ops_decision has the rule nothing",
    ),
    "DROP TRIGGER a ON public.trigger_ops_sessiontransaction": (
        (
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
            "CREATE TRIGGER a BEFORE INSERT ON trigger_ops_sessiontransaction FOR EACH ROW "
            "EXECUTE FUNCTION nothing()"
        ),
        "trigger_ops_sessiontransaction has the trigger a",
    ),
    "DROP POLICY p ON public.trigger_ops_change": (
        "CREATE POLICY p ON trigger_ops_change",
        "trigger_ops_change has the policy p",
    ),
    "ALTER TABLE public.trigger_ops_ledgerentry DISABLE ROW LEVEL SECURITY": (
        "ALTER TABLE trigger_ops_ledgerentry ENABLE ROW LEVEL SECURITY",
        "trigger_ops_ledgerentry has row security",
    ),
    "ALTER TABLE public.forged NO INHERIT public.trigger_ops_session": (
        "CREATE TABLE forged () INHERITS (trigger_ops_session)",
        "trigger_ops_session has a child public.forged",
    ),
    "ALTER SEQUENCE public.ids RENAME TO trigger_ops_change_id_seq": (
        "ALTER SEQUENCE trigger_ops_change_id_seq RENAME TO ids",
        "trigger_ops_change has its ids from public.ids",
    ),
    "DROP CAST (public.kind AS json)": (
        (
            "CREATE TYPE kind AS ENUM ('a'); CREATE FUNCTION as_json(kind) RETURNS json LANGUAGE sql "
            "AS 'SELECT NULL::json'; ALTER FUNCTION as_json(kind) OWNER TO pg_monitor; "
            "CREATE CAST (kind AS json) WITH FUNCTION as_json(kind)"
        ),
        "trigger_ops_change has public.as_json(public.kind) run as its owner, as a cast of recorded values",
    ),
}


@pytest.mark.parametrize("fix", STRANGERS)
@pytest.mark.usefixtures("guarded")
def test_what_is_on_our_tables_and_none_of_ours_is_c006(fix: str) -> None:
    statement, says = STRANGERS[fix]
    assert found("C006") == []
    run(statement)
    (one,) = found("C006")
    assert one.message.endswith(f": {says}.")
    assert (one.level, one.fix) == (Level.CRITICAL, fix)
    status = api.guard_status("default")
    assert status.amiss
    assert says.partition(" ")[2] in as_text(status, colour=False)
    run(fix)
    assert found("C006") == []


@pytest.mark.usefixtures("guarded")
def test_a_cast_to_json_of_a_superusers_is_none() -> None:
    run(
        "CREATE TYPE kind AS ENUM ('a'); CREATE FUNCTION as_json(kind) RETURNS json LANGUAGE sql "
        "AS 'SELECT NULL::json'; CREATE CAST (kind AS json) WITH FUNCTION as_json(kind)"
    )
    assert found("C006") == []


@pytest.mark.usefixtures("guarded")
def test_a_gate_and_a_stranger_are_told_beside_each_other() -> None:
    for statement, _ in STRANGERS.values():
        run(statement)
    run("ALTER TABLE trigger_ops_change DISABLE TRIGGER ALL")
    both = found("C006")
    assert [one.fix for one in both if "guard install" in one.fix] == [
        "manage.py pgtrigger guard install"
    ]
    (strange,) = [one for one in both if "none of its" in one.message]
    for fix, (_, says) in STRANGERS.items():
        assert fix in strange.fix
        assert says in strange.message


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE trigger_ops_guard SET policy = 'open'", "by default open and not record"),
        (
            "DELETE FROM trigger_ops_policy",
            "past.Receipt:append_only record and not four_eyes (2)",
        ),
        (
            "UPDATE trigger_ops_policy SET approvals = 1",
            "past.Receipt:append_only four_eyes (1) and not four_eyes (2)",
        ),
        (
            (
                "INSERT INTO trigger_ops_policy (trigger, uri, mode) "
                "VALUES ('pgtrigger_theirs', 'a.B:c', 'session')"
            ),
            "a.B:c session and not record",
        ),
        (
            "UPDATE trigger_ops_guard SET longest = '10 years', most_rows = NULL",
            (
                "for sessions longest 3650d and not 4h; for sessions most_rows without a limit "
                "and not 10,000"
            ),
        ),
    ],
)
def test_rows_of_the_guard_that_say_other_than_the_settings_are_c006(
    guarded: BaseDatabaseWrapper, settings: Any, statement: str, says: str
) -> None:
    settings.TRIGGER_OPS = {"POLICIES": {RECEIPT: "four_eyes"}, "APPROVALS": 2}
    guard()
    assert found("C006") == []
    run(statement)
    (one,) = found("C006")
    assert one.message == f"The guard's rows say other than the settings: {says}."
    assert (one.level, one.fix) == (Level.CRITICAL, "manage.py pgtrigger guard install")
    status = api.guard_status("default")
    assert (status.differences, status.amiss) == ((one.message,), True)
    assert says in as_text(status, colour=False)
    guard()
    assert found("C006") == []
    assert guarded


# W006 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness",
            "trigger_ops_witness is not ENABLE ALWAYS",
        ),
        (
            "ALTER TABLE past_receipt ENABLE TRIGGER ALL",
            "trigger_ops_witness_truncate is not ENABLE ALWAYS",
        ),
        ("DROP TRIGGER trigger_ops_witness ON past_receipt", "trigger_ops_witness is missing"),
        (
            (
                "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE ON "
                "past_receipt FOR EACH ROW WHEN (false) "
                "EXECUTE FUNCTION trigger_ops_witness_row('alone', '{{}}'); "
                "ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER trigger_ops_witness"
            ),
            "trigger_ops_witness has another condition",
        ),
    ],
)
@pytest.mark.usefixtures("watched")
def test_a_witness_that_lacks_something_is_w006(statement: str, says: str) -> None:
    assert found("W006", table="past_receipt") == []
    run(statement)
    (one,) = found("W006", table="past_receipt")
    assert (one.level, one.schema, one.uri) == (Level.WARNING, "public", None)
    assert says in one.message
    assert one.fix == "manage.py pgtrigger guard install"
    assert api.guard_status("default").amiss


@pytest.mark.usefixtures("watched")
def test_there_is_one_w006_for_each_table_that_lacks_witnesses() -> None:
    tables = [(one.schema, one.table) for one in found("W006")]
    assert len(tables) == len(set(tables))
    assert ("public", "past_invoice") in tables
    assert ("public", "past_receipt") not in tables


# C007 ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("watched")
def test_what_went_past_a_trigger_is_c007_until_it_is_acknowledged() -> None:
    delete_one()
    delete_one()
    (one,) = found("C007")
    assert (one.level, one.schema, one.uri) == (Level.CRITICAL, None, None)
    role = run("SELECT session_user::text")[0][0]
    assert "in 2 transactions: 2 rows of public.past_receipt changed" in one.message
    assert f'past {pgid(RECEIPT)}, by role "{role}", 20' in one.message
    assert one.fix == "manage.py pgtrigger guard acknowledge --reason …"
    numbers = [past.transaction for past in api.unattributed("default")]
    api.acknowledge("default", numbers[:1], actor="user:ada", reason=REASON)
    (one,) = found("C007")
    assert "in 1 transaction: 1 row of public.past_receipt changed" in one.message
    api.acknowledge("default", numbers, actor="user:ada", reason=REASON)
    assert found("C007") == []


@pytest.mark.usefixtures("watched")
def test_a_trigger_that_stood_aside_unseen_is_c007_too() -> None:
    run("DROP TRIGGER trigger_ops_witness ON past_receipt")
    delete_one()
    (one,) = found("C007")
    assert f"no row on record, past {pgid(RECEIPT)}" in one.message


@pytest.mark.usefixtures("watched")
def test_what_was_rolled_back_is_nobodys_business() -> None:
    with transaction.atomic():
        delete_one()
        transaction.set_rollback(True)
    assert found("C007") == []


# Where it may not be read -------------------------------------------------------------------------


@pytest.fixture
def outsider(watched: BaseDatabaseWrapper) -> Iterator[str]:
    """Let `default` work as a role that may read none of our tables."""
    role = make_role("outsider")
    run("SET ROLE {role}", role=role)
    yield role
    run("RESET ROLE")
    run("DROP ROLE {role}", role=role)


def test_whoever_may_not_read_our_tables_is_told_of_the_gate_all_the_same(
    outsider: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trigger_ops"):
        assert found("C002") == []
    assert "the guard of default was not read in full" in caplog.text
    assert of_the_gate() == found("C007") == []
    run("RESET ROLE")
    gut_the_gate()
    run("SET ROLE {role}", role=outsider)
    assert len(of_the_gate()) == 1


def test_nor_that_the_guard_is_off_where_somebody_took_its_functions_away(outsider: str) -> None:
    run("RESET ROLE")
    put_stock_body()
    run("DROP FUNCTION trigger_ops_gate(name)")
    run("SET ROLE {role}", role=outsider)
    code, out, err = command("status")
    assert (code, "is off" in out, "run GRANT SELECT ON" in err) == (3, False, True)


def test_whoever_may_not_read_our_tables_is_told_no_policy_that_he_cannot_know(
    outsider: str,
) -> None:
    with pytest.raises(DatabaseUnreadable, match="GRANT SELECT ON"):
        api.guard_status("default")
    code, out, err = command("status")
    assert (code, "detected" in out, "enforced" in out) == (ExitCode.INCOMPLETE, False, False)
    assert "may not read what trigger_ops keeps" in err
    assert f'TO "{outsider}"' in err
    code, out, _ = command("status", "--format", "json")
    document = json.loads(out)
    assert (code, document["complete"], document["exit_code"]) == (3, False, 3)
