"""E: triggers that look like pgtrigger's. Ours are told from anybody else's by more than a name."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pgtrigger
import pytest
from django.db import connection
from pgtrigger import registry

from tests import damage
from tests.damage import pgid, run, within
from tests.weaknesses.expectations import (
    assert_clean,
    check,
    only,
    repair_and_check,
    the,
    trigger_of,
)
from trigger_ops import api
from trigger_ops.states import Level, Status

pytestmark = pytest.mark.django_db

CONTRACT = "past.Contract:protect_deletes"
LEDGER = "awkward.LedgerEntry:append_only"


def put_by_hand(trigger: str, *, table: str = "past_contract") -> None:
    """Create a trigger as a database administrator might."""
    run(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NULL; END $$",
        function=within("public", "dba_function"),
    )
    run(
        "CREATE TRIGGER {trigger} AFTER UPDATE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        trigger=trigger,
        table=table,
        function=within("public", "dba_function"),
    )


def put_orphan(name: str, table: str, *, schema: str = "public") -> None:
    """Install a trigger as pgtrigger does, under a name that no code declares."""
    text = damage.install_sql(CONTRACT)
    start = text.index("CREATE OR REPLACE FUNCTION pgtrigger_")
    text = text[start:].replace(pgid(CONTRACT), name)
    text = re.sub(r'"past_contract"|\bpast_contract\b', f'"{schema}"."{table}"', text)
    text = text.replace(f"FUNCTION {name}", f'FUNCTION "{schema}"."{name}"').replace(
        f"PROCEDURE {name}", f'PROCEDURE "{schema}"."{name}"'
    )
    with connection.cursor() as cursor:
        cursor.execute(text)


@pytest.mark.parametrize(
    "name", ["pgtriggers2audit", "pgtrigger_dba_audit", "pgtrigger_Audit", "pgtrigger_x_12345"]
)
def test_e2_and_e3_a_hand_made_trigger_is_foreign_whatever_its_name(name: str) -> None:
    """Stock would prune the first two, and log in vain that it prunes the third."""
    put_by_hand(name)
    assert "PRUNE" in damage.stock("ls")
    report = check()
    assert_clean(report)
    (inspected,) = [one for one in report.databases[0].triggers if one.trigger == name]
    assert inspected.status is Status.FOREIGN
    finding = the(report, "I002")
    assert (finding.level, finding.uri, finding.status) == (Level.INFO, None, Status.FOREIGN)
    assert (finding.table, finding.trigger) == ("past_contract", name)
    damage.repair(finding)
    assert run("SELECT 1 FROM pg_trigger WHERE tgname = %s", name) == []


def test_e2_a_hand_made_trigger_on_a_table_of_nobody_is_listed_and_no_finding() -> None:
    run("CREATE TABLE dba_table (id int)")
    put_by_hand("pgtrigger_dba_audit", table="dba_table")
    report = check()
    assert_clean(report)
    assert trigger_of(report, "dba_table:pgtrigger_dba_audit").status is Status.FOREIGN
    assert "trigger_ops.I002" not in {one.id for one in report.findings}


def test_e4_a_table_named_with_its_schema_is_one_trigger_on_any_search_path() -> None:
    run("SET LOCAL search_path = public, ledger")
    listed = damage.stock("ls")
    assert "PRUNE" in listed
    report = check()
    assert_clean(report)
    inspected = [one for one in report.databases[0].triggers if one.trigger == pgid(LEDGER)]
    assert [(one.uri, one.status) for one in inspected] == [(LEDGER, Status.INSTALLED)]


def test_e5_an_orphan_outside_the_search_path_is_seen() -> None:
    name = "pgtrigger_protect_signed_0a1b2"
    run("CREATE SCHEMA sch")
    run("CREATE TABLE sch.past_contract (id int)")
    put_orphan(name, "past_contract", schema="sch")
    assert name not in damage.stock("ls")
    report = check()
    finding = only(report, "W002", f"sch.past_contract:{name}")
    assert (finding.level, finding.status, finding.schema) == (Level.WARNING, Status.PRUNE, "sch")
    listing = api.survey()
    assert f"sch.past_contract:{name}" in {one.uri for one in listing.triggers}
    repair_and_check(finding)


def test_an_orphan_on_the_search_path_is_what_stock_calls_prune() -> None:
    name = "pgtrigger_protect_signed_0a1b2"
    put_orphan(name, "past_contract")
    assert f"past_contract:{name}" in damage.stock("ls")
    finding = only(check(), "W002", f"past_contract:{name}")
    assert finding.facets == ()
    repair_and_check(finding)


@pytest.fixture
def contract_undeclared() -> Iterator[str]:
    """Take a trigger out of the code; return the name that the migrations still know it by."""
    name = pgid(CONTRACT)
    ((model, trigger),) = pgtrigger.registered(CONTRACT)
    registry.delete(CONTRACT)
    yield name
    registry.set(CONTRACT, model=model, trigger=trigger)


def test_an_orphan_function_is_named_with_the_statement_that_drops_it(
    contract_undeclared: str,
) -> None:
    run("DROP TRIGGER {trigger} ON past_contract", trigger=contract_undeclared)
    finding = only(check(), "W002", None)
    assert contract_undeclared in finding.message
    repair_and_check(finding)
    assert run("SELECT 1 FROM pg_proc WHERE proname = %s", contract_undeclared) == []


def test_a_function_that_the_code_still_wants_is_no_orphan() -> None:
    run("DROP TRIGGER {trigger} ON past_contract", trigger=pgid(CONTRACT))
    repair_and_check(only(check(), "E001", CONTRACT))


def test_e7_a_renamed_model_leaves_two_generations_on_one_table() -> None:
    name = "pgtrigger_protect_deletes_d8eea"
    put_orphan(name, "past_contract")
    report = check()
    finding = only(report, "W005", f"past_contract:{name}")
    assert (finding.level, finding.status) == (Level.WARNING, Status.PRUNE)
    assert CONTRACT in finding.message
    repair_and_check(finding)
    assert trigger_of(check(), CONTRACT).status is Status.INSTALLED
