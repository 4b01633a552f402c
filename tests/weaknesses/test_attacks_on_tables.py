"""Ways round a check that reads triggers alone: rules, parents, children, other triggers."""

from __future__ import annotations

import pytest

from demo_site.past.models import Invoice
from demo_site.tutorial.models import StatementProtect
from tests import damage
from tests.damage import pgid, run, stock_line
from tests.weaknesses.acts import delete_an_invoice
from tests.weaknesses.expectations import (
    INVOICE,
    MEASUREMENT,
    assert_clean,
    assert_refused,
    bad,
    check,
    facets,
    only,
    repair_and_check,
    the,
    tried,
    trigger_of,
)
from trigger_ops.states import Level

in_transaction = pytest.mark.django_db

STATEMENT = "tutorial.StatementProtect:protect"


@in_transaction
def test_a_table_marked_as_having_no_triggers() -> None:
    run("UPDATE pg_class SET relhastriggers = false WHERE oid = 'past_invoice'::regclass")
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C008", INVOICE)
    assert finding.level is Level.CRITICAL
    repair_and_check(finding)


@in_transaction
def test_a_partition_marked_as_having_no_triggers() -> None:
    live = trigger_of(check(), MEASUREMENT).installed
    assert live is not None
    leaf = live.clones[-1].table
    run("UPDATE pg_class SET relhastriggers = false WHERE relname = %s", leaf)
    assert stock_line(MEASUREMENT) == "INSTALLED ENABLED"
    finding = only(check(), "C008", MEASUREMENT)
    assert leaf in finding.message
    repair_and_check(finding)


@in_transaction
def test_a_clone_that_was_taken_out_of_the_catalog() -> None:
    (leaf, _) = run(
        "DELETE FROM pg_trigger WHERE tgparentid <> 0 AND tgrelid = (SELECT max(tgrelid) "
        "FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgparentid <> 0 "
        "AND tgname = %s AND c.relkind = 'r') RETURNING tgrelid::regclass::text, tgname",
        pgid(MEASUREMENT),
    )[0]
    finding = only(check(), "E003", MEASUREMENT)
    assert leaf in finding.message


@in_transaction
def test_a_clone_that_executes_something_else() -> None:
    damage.gut("noop")
    run(
        "UPDATE pg_trigger SET tgfoid = 'noop'::regproc WHERE tgparentid <> 0 AND tgname = %s",
        pgid(MEASUREMENT),
    )
    finding = only(check(), "C005", MEASUREMENT)
    assert finding.facets == facets("function")
    repair_and_check(finding)


@in_transaction
def test_a_clone_with_other_events() -> None:
    run(
        "UPDATE pg_trigger SET tgtype = 7 WHERE tgparentid <> 0 AND tgname = %s",
        pgid(MEASUREMENT),
    )
    finding = only(check(), "C004", MEASUREMENT)
    assert finding.facets == facets("events")
    repair_and_check(finding)


@in_transaction
def test_a_rule_that_diverts_writes() -> None:
    run("CREATE RULE divert AS ON DELETE TO past_invoice DO INSTEAD NOTHING")
    finding = only(check(), "W010", INVOICE)
    assert finding.level is Level.WARNING
    repair_and_check(finding)


@in_transaction
def test_an_inheriting_table_takes_rows_that_no_trigger_guards() -> None:
    run("CREATE TABLE more_invoices () INHERITS (past_invoice)")
    run("INSERT INTO more_invoices (id, number, total) VALUES (900, '2026-900', 1)")
    with tried():
        assert Invoice.objects.filter(number="2026-900").delete()[0] == 1
    finding = only(check(), "W009", INVOICE)
    assert "public.more_invoices" in finding.message
    repair_and_check(finding)


@in_transaction
def test_an_inherited_table_takes_the_writes_past_a_statement_trigger() -> None:
    """A statement trigger fires for the table that the statement names, and for no other."""
    row = StatementProtect.objects.create(int_field=1)
    assert_refused(lambda: StatementProtect.objects.filter(pk=row.pk).update(int_field=2))
    run("CREATE TABLE above (int_field int)")
    run("ALTER TABLE {table} INHERIT above", table=StatementProtect._meta.db_table)
    with tried():
        run("UPDATE above SET int_field = 2")
        row.refresh_from_db()
        assert row.int_field == 2
    finding = only(check(), "W009", STATEMENT)
    assert "public.above" in finding.message
    repair_and_check(finding)


def put_meddler(table: str, trigger: str) -> None:
    run(
        "CREATE OR REPLACE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('pgtrigger.ignore', %s, false); RETURN COALESCE(NEW, OLD); END $$",
        f"{{{pgid(INVOICE)}}}",
    )
    run(
        "CREATE TRIGGER {trigger} BEFORE INSERT OR DELETE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION public.meddle()",
        trigger=trigger,
        table=table,
    )


@in_transaction
@pytest.mark.parametrize("table", ["past_invoice", "past_receipt", "auth_group", "elsewhere"])
def test_a_foreign_trigger_that_switches_others_off(table: str) -> None:
    """It need not sit on the table: what it sets stays for the session."""
    run("CREATE TABLE elsewhere (id int, name text)")
    put_meddler(table, "aaa")
    if table in ("past_invoice", "elsewhere"):
        with tried():
            run("INSERT INTO elsewhere VALUES (1)")
            delete_an_invoice()
    finding = only(check(), "C003", None)
    assert (finding.table, finding.trigger) == (table, "aaa")
    repair_and_check(finding)


@in_transaction
def test_a_foreign_trigger_on_a_partition_is_seen() -> None:
    damage.gut("noop")
    live = trigger_of(check(), MEASUREMENT).installed
    assert live is not None
    leaf = live.clones[-1].table
    run(
        "CREATE TRIGGER aaa BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION noop()",
        table=leaf,
    )
    finding = the(check(), "I002")
    assert (finding.table, finding.trigger) == (leaf, "aaa")


@in_transaction
def test_a_foreign_trigger_hidden_as_an_internal_one() -> None:
    put_meddler("past_invoice", "aaa")
    run("UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'aaa'")
    finding = only(check(), "C003", None)
    assert finding.trigger == "aaa"


@in_transaction
def test_a_view_in_the_tables_place_is_not_green() -> None:
    run("ALTER TABLE past_invoice RENAME TO behind")
    run("CREATE VIEW past_invoice AS SELECT * FROM behind")
    report = check()
    assert ("trigger_ops.E001", INVOICE) in bad(report)


@in_transaction
def test_a_table_in_front_on_the_search_path_is_not_green() -> None:
    run("CREATE SCHEMA front")
    run("CREATE TABLE front.past_invoice (LIKE public.past_invoice INCLUDING ALL)")
    run("SET LOCAL search_path = front, public")
    delete_an_invoice()
    assert ("trigger_ops.E001", INVOICE) in bad(check())


@in_transaction
def test_a_table_made_a_partition_of_another_takes_writes_past_a_statement_trigger() -> None:
    row = StatementProtect.objects.create(int_field=1)
    table = StatementProtect._meta.db_table
    run("CREATE TABLE above (LIKE {table} INCLUDING DEFAULTS) PARTITION BY LIST (id)", table=table)
    run("ALTER TABLE {table} ALTER COLUMN id DROP IDENTITY", table=table)
    run("ALTER TABLE above ATTACH PARTITION {table} DEFAULT", table=table)
    with tried():
        run("UPDATE above SET int_field = 2")
        row.refresh_from_db()
        assert row.int_field == 2
    finding = only(check(), "W009", STATEMENT)
    assert "public.above" in finding.message
    repair_and_check(finding)


@in_transaction
def test_a_foreign_trigger_that_comes_from_a_parent_made_up_for_it() -> None:
    run("CREATE TABLE above (LIKE past_invoice INCLUDING DEFAULTS) PARTITION BY LIST (id)")
    run("ALTER TABLE past_invoice ALTER COLUMN id DROP IDENTITY")
    damage.gut("noop", returning="NULL")
    run("CREATE TRIGGER aaa BEFORE DELETE ON above FOR EACH ROW EXECUTE FUNCTION noop()")
    run("ALTER TABLE above ATTACH PARTITION past_invoice DEFAULT")
    invoice = Invoice.objects.create(id=900, number="2026-900", total=1)
    assert Invoice.objects.filter(pk=invoice.pk).delete()[0] == 0
    finding = the(check(), "I002")
    assert (finding.table, finding.trigger) == ("above", "aaa")


@in_transaction
def test_a_foreign_trigger_on_a_partition_that_looks_like_pgtriggers() -> None:
    name = "pgtrigger_protect_0a1b2"
    live = trigger_of(check(), MEASUREMENT).installed
    assert live is not None
    leaf = live.clones[-1].table
    damage.gut(name)
    run(
        "CREATE TRIGGER {name} BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=name,
        table=leaf,
    )
    run("COMMENT ON TRIGGER {name} ON {table} IS %s", "0" * 40, name=name, table=leaf)
    report = check()
    found = {
        one.trigger
        for one in report.findings
        if one.id in ("trigger_ops.I002", "trigger_ops.W002")
    }
    assert found == {name}


@in_transaction
def test_a_witness_that_only_reads_what_is_ignored_is_no_bypass() -> None:
    run(
        "CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "/* set pgtrigger.ignore */ -- set_config('pgtrigger.ignore')\n"
        "IF current_setting('pgtrigger.ignore', true) <> '' THEN RAISE NOTICE 'seen'; END IF; "
        "RETURN NULL; END $$"
    )
    run(
        "CREATE TRIGGER witness AFTER DELETE ON past_invoice FOR EACH STATEMENT "
        "EXECUTE FUNCTION public.witness()"
    )
    report = check()
    assert_clean(report)
    assert the(report, "I002").trigger == "witness"
