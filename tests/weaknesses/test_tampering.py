"""T1 to T7: what somebody does out of band, what stock `ls` says of it, and what check says."""

from __future__ import annotations

import pytest
from django.db import connection

from demo_site.awkward.models import Measurement
from demo_site.past.models import Payroll
from tests import damage
from tests.damage import pgid, run, stock_line
from tests.weaknesses.acts import delete_an_invoice
from tests.weaknesses.expectations import (
    INVOICE,
    MEASUREMENT,
    PAYROLL,
    assert_clean,
    assert_refused,
    check,
    facets,
    only,
    repair_and_check,
    status_of,
    tried,
    trigger_of,
)
from trigger_ops.states import Enabled, Level, Status

pytestmark = pytest.mark.django_db


def delete_a_measurement() -> None:
    """Delete through the parent a row of the partition of 2025."""
    run(
        "INSERT INTO awkward_measurement (taken_on, sensor, value) "
        "VALUES ('2025-05-05', 'roof', 1)"
    )
    assert Measurement.objects.filter(taken_on="2025-05-05").delete()[0] == 1


def clone_tables() -> list[str]:
    """Return the partitions that carry a copy of the trigger."""
    live = trigger_of(check(MEASUREMENT), MEASUREMENT).installed
    assert live is not None
    return [clone.table for clone in live.clones]


def test_t1_function_replaced_makes_the_trigger_tampered() -> None:
    damage.gut(pgid(INVOICE))
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C001", INVOICE)
    assert (finding.level, finding.facets) == (Level.CRITICAL, facets("body"))
    repair_and_check(finding)


@pytest.mark.parametrize(
    "body", ["BEGIN RETURN TRUE; END", "BEGIN RETURN trigger_name <> ''; END"]
)
def test_t2_the_shared_function_always_says_yes(body: str) -> None:
    run(
        "CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) "
        f"RETURNS boolean LANGUAGE plpgsql AS $$ {body} $$"
    )
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C002", None)
    assert (finding.level, finding.schema) == (Level.CRITICAL, "public")
    repair_and_check(finding)
    assert_refused(delete_an_invoice)


@pytest.mark.parametrize(
    "setting",
    ["pgtrigger.ignore = '{{pgtrigger_protect_deletes}}'", "session_replication_role = replica"],
)
@pytest.mark.parametrize("whose", ["ROLE {role}", "DATABASE {database}", "ROLE ALL"])
def test_t3_a_setting_of_role_or_database_bypasses(whose: str, setting: str) -> None:
    run(
        f"ALTER {whose} SET {setting}",
        role=damage.make_role("t3"),
        database=connection.settings_dict["NAME"],
    )
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C003", None)
    assert (finding.level, finding.uri, finding.status) == (Level.CRITICAL, None, None)
    repair_and_check(finding)


def test_t4_trigger_replaced_keeps_oid_comment_and_hash() -> None:
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE DELETE ON past_invoice FOR EACH ROW "
        "WHEN (false) EXECUTE FUNCTION {trigger}()",
        trigger=pgid(INVOICE),
    )
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "C004", INVOICE)
    assert (finding.level, finding.facets) == (Level.CRITICAL, facets("condition"))
    inspected = trigger_of(report, INVOICE)
    assert inspected.installed_hash == inspected.registered_hash
    repair_and_check(finding)


def test_t5_always_is_not_disabled() -> None:
    run("ALTER TABLE past_invoice ENABLE ALWAYS TRIGGER {trigger}", trigger=pgid(INVOICE))
    assert stock_line(INVOICE) == "INSTALLED DISABLED"
    finding = only(check(), "W003", INVOICE)
    assert (finding.enabled, finding.facets) == (Enabled.ALWAYS, facets("enabled"))
    repair_and_check(finding)


@pytest.mark.parametrize("verb", ["DISABLE TRIGGER {trigger}", "DISABLE TRIGGER USER"])
def test_t6_a_disabled_trigger_is_an_error_until_it_is_enabled(verb: str) -> None:
    payroll = Payroll.objects.create(employee="A. Berg", salary=1)
    run(f"ALTER TABLE past_payroll {verb}", trigger=pgid(PAYROLL))
    assert Payroll.objects.filter(pk=payroll.pk).update(employee="B. Berg") == 1
    report = check()
    finding = only(report, "E002", PAYROLL)
    assert (finding.level, finding.facets) == (Level.ERROR, facets("enabled"))
    assert (finding.status, finding.enabled) == (Status.INSTALLED, Enabled.DISABLED)
    assert finding.fix == f"manage.py pgtrigger enable {PAYROLL}"
    repair_and_check(finding)
    assert_refused(lambda: Payroll.objects.filter(pk=payroll.pk).update(employee="C. Berg"))


def test_t7_one_disabled_partition_lets_rows_go() -> None:
    assert_refused(delete_a_measurement)
    tables = [table for table in clone_tables() if "2025" in table]
    for table in tables:
        run("ALTER TABLE {table} DISABLE TRIGGER USER", table=table)
    with tried():
        delete_a_measurement()
    assert stock_line(MEASUREMENT) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "E003", MEASUREMENT)
    assert (finding.level, finding.facets) == (Level.ERROR, facets("enabled"))
    assert (finding.status, finding.enabled) == (Status.INSTALLED, Enabled.PARTIAL)
    assert all(table in finding.message for table in tables)
    repair_and_check(finding)
    assert_refused(delete_a_measurement)


def test_a_trigger_that_is_gone_is_missing() -> None:
    run("DROP TRIGGER {trigger} ON past_invoice", trigger=pgid(INVOICE))
    with tried():
        delete_an_invoice()
    report = check()
    finding = only(report, "E001", INVOICE)
    assert (finding.level, finding.facets) == (Level.ERROR, ())
    assert status_of(report, INVOICE) is Status.UNINSTALLED
    repair_and_check(finding)


def test_two_damages_on_one_trigger_are_two_findings() -> None:
    damage.gut(pgid(PAYROLL), returning="NEW")
    run("ALTER TABLE past_payroll DISABLE TRIGGER {trigger}", trigger=pgid(PAYROLL))
    report = check()
    found = {one.id.rpartition(".")[2] for one in report.findings if one.uri == PAYROLL}
    assert found == {"C001", "E002"}
    damage.stock("install", PAYROLL)
    assert_clean(check())
