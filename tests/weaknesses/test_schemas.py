"""F and A10 to A12: schemas, tenants, partitions, rights and routers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import override_settings

from demo_site.awkward.models import Measurement
from tests import damage
from tests.damage import pgid, run, stock_line, within
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
    status_of,
    the,
    tried,
    trigger_of,
)
from trigger_ops import api
from trigger_ops.api.changing import plan
from trigger_ops.exceptions import UnknownSchema
from trigger_ops.inspection import Scope
from trigger_ops.planner import Request
from trigger_ops.states import Enabled, ExitCode, Level, Status, Verb

pytestmark = pytest.mark.django_db

EVERYWHERE = Scope(glob="*")


def make_tenant(schema: str) -> None:
    """Make a schema with a copy of the table of invoices, and install its trigger there."""
    run("CREATE SCHEMA {schema}", schema=schema)
    run(
        "CREATE TABLE {table} (LIKE public.past_invoice INCLUDING ALL)",
        table=within(schema, "past_invoice"),
    )
    run("SET LOCAL search_path = {schema}", schema=schema)
    run(damage.install_sql(INVOICE).replace("{", "{{").replace("}", "}}"))
    run("SET LOCAL search_path = DEFAULT")


def test_f1_an_install_for_a_tenant_binds_a_shared_table_to_the_tenants_schema() -> None:
    run("CREATE SCHEMA t1")
    run("SET LOCAL search_path = t1, public")
    damage.stock("install", INVOICE)
    run("SET LOCAL search_path = DEFAULT")
    with tried():
        run("DROP SCHEMA t1 CASCADE")
        assert stock_line(INVOICE) == "UNINSTALLED N/A"
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    for scope in (Scope(), Scope(path=("t1", "public"))):
        finding = the(check(INVOICE, scope=scope), "W008", INVOICE)
        assert (finding.level, finding.facets) == (Level.WARNING, facets("function"))
        assert "t1" in finding.message
    finding = only(check(), "W008", INVOICE)
    damage.repair(finding)
    damage.stock("install", INVOICE)
    assert_clean(check())


def test_f2_all_schemas_in_one_run_and_one_cause_is_one_finding() -> None:
    tenants = ("tenant_1", "tenant_2", "tenant_3")
    for tenant in tenants:
        make_tenant(tenant)
    everywhere = Scope(glob="tenant_*")
    report = check(INVOICE, scope=everywhere)
    assert_clean(report)
    assert [one.schema for one in report.databases[0].triggers] == list(tenants)
    for tenant in tenants[1:]:
        damage.gut(pgid(INVOICE), schema=tenant)
    report = check(INVOICE, scope=everywhere)
    finding = only(report, "C001", INVOICE)
    assert (finding.schemas, finding.count) == (("tenant_2", "tenant_3"), 2)
    assert report.targets[0].schemas == 3
    assert_clean(check())


def test_f2_a_tenant_without_the_trigger_is_told_from_one_without_the_table() -> None:
    make_tenant("tenant_1")
    run("CREATE SCHEMA tenant_2")
    run("DROP TRIGGER {trigger} ON tenant_1.past_invoice", trigger=pgid(INVOICE))
    report = check(INVOICE, scope=Scope(glob="tenant_*"))
    assert only(report, "E001", INVOICE).schemas == ("tenant_1",)


TENANT = "Odd [1]"
IN_TENANT = {"trigger": pgid(INVOICE), "table": within(TENANT, "past_invoice")}
FUNCTION = within(TENANT, pgid(INVOICE))
DAMAGES: dict[str, Callable[[], object]] = {
    "C001": lambda: damage.gut(pgid(INVOICE), schema=TENANT),
    "C004": lambda: run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        function=FUNCTION,
        **IN_TENANT,
    ),
    "C005": lambda: run("ALTER FUNCTION {function}() SECURITY DEFINER", function=FUNCTION),
    "E001": lambda: run("DROP TRIGGER {trigger} ON {table}", **IN_TENANT),
    "E002": lambda: run("ALTER TABLE {table} DISABLE TRIGGER {trigger}", **IN_TENANT),
    "I003": lambda: run("COMMENT ON TRIGGER {trigger} ON {table} IS 'no hash'", **IN_TENANT),
    "W003": lambda: run("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}", **IN_TENANT),
}


@pytest.mark.parametrize("scope", [EVERYWHERE, Scope(path=(TENANT,))], ids=["all", "path"])
@pytest.mark.parametrize("code", DAMAGES)
def test_the_fix_of_a_finding_in_another_schema_ends_it(code: str, scope: Scope) -> None:
    make_tenant(TENANT)
    DAMAGES[code]()
    damage.repair(the(check(scope=scope), code, INVOICE))
    for one in (scope, EVERYWHERE):
        codes = {finding.id for finding in check(INVOICE, scope=one).findings}
        assert f"trigger_ops.{code}" not in codes


@pytest.mark.parametrize("code", ["C001", "E002"])
def test_the_fix_of_a_finding_in_several_schemas_ends_it_in_all(code: str) -> None:
    make_tenant(TENANT)
    make_tenant("tenant_2")
    for schema in (TENANT, "tenant_2"):
        table = within(schema, "past_invoice")
        damage.gut(pgid(INVOICE), schema=schema)
        run("ALTER TABLE {table} DISABLE TRIGGER {name}", table=table, name=pgid(INVOICE))
    finding = the(check(scope=EVERYWHERE), code, INVOICE)
    assert finding.count == 2
    damage.repair(finding)
    assert code not in {one.id[-4:] for one in check(scope=EVERYWHERE).findings}


def test_the_fix_of_a_finding_behind_a_table_of_the_path_ends_it() -> None:
    make_tenant("tenant_1")
    run("SET LOCAL search_path = tenant_1, public")
    run("DROP TRIGGER {trigger} ON public.past_invoice", trigger=pgid(INVOICE))
    damage.repair(the(check(INVOICE, scope=EVERYWHERE), "E001", INVOICE))
    assert "E001" not in {one.id[-4:] for one in check(INVOICE, scope=EVERYWHERE).findings}
    run("SET LOCAL search_path = DEFAULT")


def test_orphans_in_several_schemas_are_pruned_by_the_fix() -> None:
    for schema in ("tenant_1", "tenant_2"):
        make_tenant(schema)
        name = "pgtrigger_protect_signed_0a1b2"
        run(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
            name=within(schema, name),
        )
        table = within(schema, "past_invoice")
        run(
            "CREATE TRIGGER {name} BEFORE DELETE ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION {function}()",
            name=name,
            table=table,
            function=within(schema, name),
        )
        run(f"COMMENT ON TRIGGER {{name}} ON {{table}} IS '{'a' * 40}'", name=name, table=table)
    finding = the(check(scope=EVERYWHERE), "W002")
    assert finding.count == 2
    damage.repair(finding)
    assert_clean(check(scope=EVERYWHERE))


def partition() -> str:
    """Return the name of one leaf partition with rows of 2025."""
    live = trigger_of(check(MEASUREMENT), MEASUREMENT).installed
    assert live is not None
    return next(one.table for one in live.clones if "2025" in one.table)


def delete_a_measurement() -> None:
    run(
        "INSERT INTO awkward_measurement (taken_on, sensor, value) "
        "VALUES ('2025-05-05', 'roof', 1)"
    )
    assert Measurement.objects.filter(taken_on="2025-05-05").delete()[0] == 1


def test_f3_a_disabled_child_partition_is_visible() -> None:
    table = partition()
    run("ALTER TABLE {table} DISABLE TRIGGER ALL", table=table)
    with tried():
        delete_a_measurement()
    assert stock_line(MEASUREMENT) == "INSTALLED ENABLED"
    finding = only(check(), "E003", MEASUREMENT)
    assert (finding.level, finding.facets) == (Level.ERROR, facets("enabled"))
    assert finding.enabled is Enabled.PARTIAL
    assert table in finding.message
    repair_and_check(finding)


def test_f4_a_parent_disabled_alone_still_fires_in_its_children() -> None:
    run("ALTER TABLE ONLY awkward_measurement DISABLE TRIGGER ALL")
    assert_refused(delete_a_measurement)
    assert stock_line(MEASUREMENT) == "INSTALLED DISABLED"
    finding = only(check(), "E003", MEASUREMENT)
    assert (finding.enabled, finding.facets) == (Enabled.PARTIAL, facets("enabled"))
    assert "parent" in finding.message
    repair_and_check(finding)


def test_f4_a_parent_disabled_with_its_children_is_disabled() -> None:
    run("ALTER TABLE awkward_measurement DISABLE TRIGGER ALL")
    finding = only(check(), "E002", MEASUREMENT)
    assert finding.enabled is Enabled.DISABLED
    repair_and_check(finding)


def parent_of(table: str) -> tuple[str, str]:
    """Return a partition's parent and bounds."""
    ((parent, bounds),) = run(
        "SELECT i.inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relname = %s",
        table,
    )
    return parent, bounds


def test_f5_a_detached_partition_has_lost_its_trigger() -> None:
    run(
        "CREATE TABLE measurement_2031 PARTITION OF awkward_measurement "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    )
    run(
        "INSERT INTO awkward_measurement (taken_on, sensor, value) VALUES ('2031-05-05', 'roof', 1)"
    )
    assert_refused(lambda: run("DELETE FROM measurement_2031"))
    run("ALTER TABLE awkward_measurement DETACH PARTITION measurement_2031")
    with tried():
        run("DELETE FROM measurement_2031")
        assert run("SELECT count(*) FROM measurement_2031") == [(0,)]
    report = check()
    assert_clean(report)
    finding = the(report, "I009", MEASUREMENT)
    assert finding.level is Level.INFO
    assert "public.measurement_2031" in finding.message
    run(
        "ALTER TABLE awkward_measurement ATTACH PARTITION measurement_2031 "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    )
    assert "trigger_ops.I009" not in {one.id for one in check().findings}


def test_f6_a_trigger_of_the_same_name_keeps_a_table_from_being_attached() -> None:
    run("CREATE TABLE measurement_2031 (LIKE awkward_measurement INCLUDING DEFAULTS)")
    run(
        "CREATE TRIGGER {trigger} BEFORE DELETE ON measurement_2031 FOR EACH ROW "
        "EXECUTE FUNCTION {trigger}()",
        trigger=pgid(MEASUREMENT),
    )
    attach = (
        "ALTER TABLE awkward_measurement ATTACH PARTITION measurement_2031 "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    )
    with pytest.raises(DatabaseError, match="already exists"), transaction.atomic():
        run(attach)
    assert "PRUNE" in damage.stock("ls")
    report = check()
    assert_clean(report)
    assert trigger_of(report, f"measurement_2031:{pgid(MEASUREMENT)}").status is Status.FOREIGN
    finding = the(report, "I009", MEASUREMENT)
    assert pgid(MEASUREMENT) in finding.message
    assert "cannot be attached" in finding.message
    damage.repair(finding)
    run(attach)
    assert_clean(check())


def test_a10_a_schema_with_capitals_is_found_and_an_unknown_one_refused() -> None:
    make_tenant("Tenant1")
    assert stock_line(INVOICE, "-s", "Tenant1") == "UNINSTALLED N/A"
    listing = api.survey(INVOICE, scope=Scope(path=("Tenant1",)))
    assert [(one.schema, one.status) for one in listing.triggers] == [
        ("Tenant1", Status.INSTALLED)
    ]
    for wrong in ("tenant1", "nosuch"):
        with pytest.raises(UnknownSchema, match=wrong) as refused:
            api.survey(INVOICE, scope=Scope(path=(wrong,)))
        if wrong == "tenant1":
            assert 'did you mean "Tenant1"?' in str(refused.value)


def test_a11_a_schema_without_usage_is_no_missing_trigger() -> None:
    run("CREATE SCHEMA locked")
    run("ALTER TABLE past_invoice SET SCHEMA locked")
    role = damage.make_role("outsider")
    run("SET LOCAL search_path = public, locked")
    run("SET LOCAL ROLE {role}", role=role)
    assert stock_line(INVOICE) == "UNINSTALLED N/A"
    report = check(INVOICE)
    assert status_of(report, INVOICE) is Status.INSTALLED
    assert trigger_of(report, INVOICE).schema == "locked"
    run("RESET ROLE")


def test_a11_a_missing_table_is_named_as_the_reason() -> None:
    run("ALTER TABLE past_invoice RENAME TO gone")
    assert stock_line(INVOICE) == "UNINSTALLED N/A"
    report = check()
    finding = only(report, "E001", INVOICE)
    assert "its table is missing" in finding.message
    assert trigger_of(report, INVOICE).reason == "its table is missing"
    assert status_of(report, INVOICE) is Status.UNINSTALLED
    run("ALTER TABLE gone RENAME TO past_invoice")
    assert_clean(check())


class NoInvoices:
    """A router that forbids the model of invoices everywhere."""

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_hints: Any
    ) -> bool | None:
        del db
        return False if (app_label, model_name) == ("past", "invoice") else None


@pytest.fixture
def no_invoices() -> Iterator[None]:
    routers = [f"{__name__}.NoInvoices", "demo_site.routers.ArchiveRouter"]
    with override_settings(DATABASE_ROUTERS=routers):
        yield


@pytest.mark.usefixtures("no_invoices")
def test_a12_installed_where_the_router_says_no_is_a_finding() -> None:
    assert stock_line(INVOICE) == "UNALLOWED N/A"
    report = check()
    finding = only(report, "W007", INVOICE)
    assert (finding.level, finding.status) == (Level.WARNING, Status.UNALLOWED)
    assert finding.enabled is Enabled.ENABLED
    damage.repair(finding)
    assert_clean(check())
    assert status_of(check(), INVOICE) is Status.UNALLOWED


def test_a_glob_that_leaves_out_the_path_makes_no_orphans_there() -> None:
    make_tenant("tenant_1")
    tenants = Scope(glob="tenant_*")
    report = check(scope=tenants)
    assert [one.uri for one in report.findings if one.id == "trigger_ops.W002"] == []
    placed = {one.schema for one in report.databases[0].triggers if one.installed is not None}
    assert placed == {"tenant_1", "ledger"}  # a model of the demo names its schema itself
    for verb in (Verb.PRUNE, Verb.INSTALL):
        work = plan(Request(verb=verb, databases=("default",), scope=tenants)).work
        assert [step for step in work if step.schema == "public"] == []


def test_selectors_and_scopes_do_not_make_a_registered_trigger_an_orphan() -> None:
    make_tenant("tenant_1")
    report = check()
    assert_clean(report)
    assert bad(report) == []
    assert {one.status for one in report.databases[0].triggers} == {
        Status.INSTALLED,
        Status.UNALLOWED,
    }
    assert report.exit_code is ExitCode.CLEAN
    assert connection.in_atomic_block
