"""B: "INSTALLED ENABLED" is no evidence. Each act leaves pgtrigger's comment as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pgtrigger
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Invoice
from demo_site.tutorial.models import ReadOnlyField
from tests import damage
from tests.damage import pgid, run, stock_line
from tests.weaknesses.acts import delete_an_invoice
from tests.weaknesses.expectations import (
    INVOICE,
    assert_clean,
    assert_refused,
    check,
    facets,
    only,
    repair_and_check,
    status_of,
    the,
    tried,
    trigger_of,
)
from trigger_ops.states import Enabled, Level, Status

in_transaction = pytest.mark.django_db


@in_transaction
def test_the_control_a_clean_install_protects_and_is_clean() -> None:
    assert_refused(delete_an_invoice)
    assert_clean(check())


@in_transaction
def test_b1_body_replaced_by_hand() -> None:
    damage.gut(pgid(INVOICE))
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "C001", INVOICE)
    assert finding.level is Level.CRITICAL
    assert finding.facets == facets("body")
    assert finding.status is Status.TAMPERED
    assert finding.enabled is Enabled.ENABLED
    assert (finding.database, finding.schema, finding.table) == (
        "default",
        "public",
        "past_invoice",
    )
    assert finding.trigger == pgid(INVOICE)
    assert finding.fix == f"manage.py pgtrigger install {INVOICE}"
    assert report.summary["TAMPERED"] == 1
    repair_and_check(finding)
    assert_refused(delete_an_invoice)


@in_transaction
@pytest.mark.parametrize("blank", [" ", "\n", "\t", "-- "])
def test_b1_a_body_that_differs_in_one_blank_differs(blank: str) -> None:
    run(
        "UPDATE pg_proc SET prosrc = %s || prosrc WHERE proname = %s AND pronamespace = 'public'::regnamespace",
        blank,
        pgid(INVOICE),
    )
    repair_and_check(only(check(), "C001", INVOICE))


@in_transaction
@pytest.mark.parametrize(
    ("clause", "changed"),
    [
        ("AFTER INSERT ON {table} FOR EACH ROW WHEN (false)", ("timing", "events", "condition")),
        ("BEFORE DELETE ON {table} FOR EACH ROW WHEN (false)", ("condition",)),
        ("BEFORE DELETE ON {table} FOR EACH ROW WHEN (OLD.id < 0)", ("condition",)),
        ("BEFORE UPDATE ON {table} FOR EACH ROW", ("events",)),
        ("BEFORE DELETE ON {table} FOR EACH STATEMENT", ("level",)),
        ("AFTER DELETE ON {table} FOR EACH ROW", ("timing",)),
    ],
)
def test_b2_trigger_recreated_with_another_event_or_condition(
    clause: str, changed: tuple[str, ...]
) -> None:
    trigger = pgid(INVOICE)
    run(
        f"CREATE OR REPLACE TRIGGER {{trigger}} {clause} EXECUTE FUNCTION {{trigger}}()",
        trigger=trigger,
        table="past_invoice",
    )
    if "WHEN" in clause or "UPDATE" in clause:
        with tried():
            delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "C004", INVOICE)
    assert finding.level is Level.CRITICAL
    assert finding.facets == facets(*changed)
    assert status_of(report, INVOICE) is Status.TAMPERED
    repair_and_check(finding)


@in_transaction
def test_b3_trigger_pointed_at_another_function() -> None:
    damage.gut("noop")
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE DELETE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION noop()",
        trigger=pgid(INVOICE),
        table="past_invoice",
    )
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C005", INVOICE)
    assert finding.level is Level.CRITICAL
    assert finding.facets == facets("function")
    assert finding.status is Status.TAMPERED
    assert "public.noop" in finding.message
    repair_and_check(finding)


@in_transaction
def test_b4_one_shared_function_switches_all_triggers_off() -> None:
    run(
        "CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) "
        "RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    )
    with tried():
        delete_an_invoice()
    assert "UNINSTALLED" not in damage.stock("ls")
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "C002", None)
    assert finding.level is Level.CRITICAL
    assert (finding.schema, finding.table, finding.trigger) == ("public", None, None)
    assert finding.status is None
    repair_and_check(finding)
    assert_refused(delete_an_invoice)


@in_transaction
def test_b5_a_second_project_with_the_same_function_name_overwrites_it() -> None:
    function = pgid(INVOICE)
    run("CREATE TABLE other_project (id int)")
    damage.gut(function)
    run(
        "CREATE TRIGGER {trigger} BEFORE DELETE ON other_project FOR EACH ROW "
        "EXECUTE FUNCTION {trigger}()",
        trigger=function,
    )
    with tried():
        delete_an_invoice()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    report = check()
    finding = only(report, "C001", INVOICE)
    assert finding.facets == facets("body")
    shared = the(report, "I010", INVOICE)
    assert shared.level is Level.INFO
    assert "public.other_project" in shared.message
    repair_and_check(finding)
    assert the(check(), "I010", INVOICE)
    run("DROP TABLE other_project")
    assert "trigger_ops.I010" not in {one.id for one in check().findings}


SETTINGS = {
    "role": ("ALTER ROLE {role} SET pgtrigger.ignore = '{{pgtrigger_x}}'", "pgtrigger.ignore"),
    "everybody": ("ALTER ROLE ALL SET pgtrigger.ignore = '{{pgtrigger_x}}'", "pgtrigger.ignore"),
    "database": (
        "ALTER DATABASE {database} SET pgtrigger.ignore = '{{pgtrigger_x}}'",
        "pgtrigger.ignore",
    ),
    "role in database": (
        "ALTER ROLE {role} IN DATABASE {database} SET pgtrigger.ignore = '{{pgtrigger_x}}'",
        "pgtrigger.ignore",
    ),
    "replica role": (
        "ALTER ROLE {role} SET session_replication_role = replica",
        "session_replication_role",
    ),
    "replica database": (
        "ALTER DATABASE {database} SET session_replication_role = replica",
        "session_replication_role",
    ),
}


@in_transaction
@pytest.mark.parametrize("case", SETTINGS)
def test_b6_and_b8_a_permanent_bypass_by_role_or_database_setting(case: str) -> None:
    statement, name = SETTINGS[case]
    database = connection.settings_dict["NAME"]
    role = damage.make_role("bypasser")
    run(statement, role=role, database=database)
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    finding = only(check(), "C003", None)
    assert finding.level is Level.CRITICAL
    assert name in finding.message.lower()
    assert (f'"{role}"' in finding.message) == ("{role}" in statement)
    assert (f'"{database}"' in finding.message) == ("{database}" in statement)
    repair_and_check(finding)


@pytest.mark.parametrize("setting", ["pgtrigger.ignore", "session_replication_role"])
def test_b6_and_b8_the_bypass_is_real(
    setting: str,
    own_database: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
) -> None:
    """A new session deletes a protected row, and stock ls and check are of two minds."""
    invoice = Invoice.objects.create(number="2026-900", total=1)
    database = str(own_database.settings_dict["NAME"])
    value = f"{{{pgid(INVOICE)}}}" if setting == "pgtrigger.ignore" else "replica"
    run(f"ALTER DATABASE {{database}} SET {setting} = %s", value, database=database)
    with second_connection().cursor() as cursor:
        cursor.execute("DELETE FROM past_invoice WHERE id = %s", [invoice.pk])
        assert cursor.rowcount == 1
    assert stock_line(INVOICE) == "INSTALLED ENABLED"
    repair_and_check(only(check(), "C003", None))


@in_transaction
@pytest.mark.parametrize("value", ["''", "'{{}}'"])
def test_b6_a_setting_that_ignores_nothing_is_no_finding(value: str) -> None:
    run(f"ALTER ROLE {{role}} SET pgtrigger.ignore = {value}", role=damage.make_role("harmless"))
    assert_clean(check())


@in_transaction
def test_b10_and_t5_enable_always_is_shown_as_always() -> None:
    run(
        "ALTER TABLE past_invoice ENABLE ALWAYS TRIGGER {trigger}",
        trigger=pgid(INVOICE),
    )
    assert_refused(delete_an_invoice)
    assert stock_line(INVOICE) == "INSTALLED DISABLED"
    report = check()
    finding = only(report, "W003", INVOICE)
    assert finding.level is Level.WARNING
    assert finding.facets == facets("enabled")
    assert (finding.status, finding.enabled) == (Status.INSTALLED, Enabled.ALWAYS)
    repair_and_check(finding)


@in_transaction
def test_b10_enable_replica_fires_never_and_is_an_error() -> None:
    run("ALTER TABLE past_invoice ENABLE REPLICA TRIGGER {trigger}", trigger=pgid(INVOICE))
    with tried():
        delete_an_invoice()
    finding = only(check(), "E002", INVOICE)
    assert finding.level is Level.ERROR
    assert finding.facets == facets("enabled")
    assert finding.enabled is Enabled.REPLICA
    repair_and_check(finding)


@in_transaction
def test_b8_a_declared_mode_is_what_is_demanded(settings: Any) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {INVOICE: "always"}}
    finding = only(check(), "W003", INVOICE)
    assert (finding.enabled, finding.facets) == (Enabled.ENABLED, facets("enabled"))
    run("ALTER TABLE past_invoice ENABLE ALWAYS TRIGGER {trigger}", trigger=pgid(INVOICE))
    assert_clean(check())
    run("ALTER TABLE past_invoice DISABLE TRIGGER {trigger}", trigger=pgid(INVOICE))
    assert only(check(), "E002", INVOICE).enabled is Enabled.DISABLED


@in_transaction
def test_b11_a_comment_on_something_else_with_the_same_oid_is_not_the_triggers() -> None:
    run(
        "INSERT INTO pg_description (objoid, classoid, objsubid, description) "
        "SELECT oid, 'pg_class'::regclass, 0, 'forged' FROM pg_trigger WHERE tgname = %s",
        pgid(INVOICE),
    )
    run("COMMENT ON TRIGGER {trigger} ON past_invoice IS NULL", trigger=pgid(INVOICE))
    assert stock_line(INVOICE) == "OUTDATED ENABLED"
    trigger = trigger_of(check(), INVOICE)
    assert trigger.installed_hash is None
    damage.stock("install", INVOICE)
    run(
        "INSERT INTO pg_description (objoid, classoid, objsubid, description) "
        "SELECT oid, 'pg_class'::regclass, 0, 'forged' FROM pg_trigger WHERE tgname = %s",
        pgid(INVOICE),
    )
    report = check()
    assert trigger_of(report, INVOICE).installed_hash == trigger.registered_hash
    assert_clean(report)


@in_transaction
def test_b12_a_copy_without_comments_is_equal_not_outdated() -> None:
    run("DELETE FROM pg_description WHERE classoid = 'pg_trigger'::regclass")
    assert stock_line(INVOICE) == "OUTDATED ENABLED"
    report = check()
    assert_clean(report)
    assert status_of(report, INVOICE) is Status.INSTALLED
    finding = the(report, "I003", INVOICE)
    assert (finding.level, finding.facets) == (Level.INFO, facets("comment"))
    installed = sum(1 for one in report.databases[0].triggers if one.installed)
    assert sum(1 for one in report.findings if one.id == "trigger_ops.I003") == installed
    damage.repair(finding)
    assert INVOICE not in {one.uri for one in check().findings if one.id == "trigger_ops.I003"}


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LITERALS = [
    # As psycopg 2 and as psycopg 3 write the same condition.
    (
        pgtrigger.Q(old__created_at__gt=MOMENT),
        "'2026-01-02T03:04:05+00:00'::timestamptz",
        "'2026-01-02 03:04:05+00:00'::timestamptz",
    ),
    (
        pgtrigger.Condition("OLD.id::text = '0f0e0d0c-0b0a-0908-0706-050403020100'::uuid::text"),
        "'0f0e0d0c-0b0a-0908-0706-050403020100'::uuid",
        "'0f0e0d0c0b0a09080706050403020100'::uuid",
    ),
    (
        pgtrigger.Condition("OLD.created_at - NEW.created_at > '1 days 7200 seconds'::interval"),
        "'1 days 7200 seconds'::interval",
        "'1 day 02:00:00'::interval",
    ),
]


@in_transaction
@pytest.mark.parametrize(("condition", "one", "other"), LITERALS)
def test_b13_another_drivers_spelling_of_one_condition_is_no_drift(
    condition: Any, one: str, other: str
) -> None:
    trigger = pgtrigger.Protect(
        name="other_driver", operation=pgtrigger.Update, condition=condition
    )
    uri = "tutorial.ReadOnlyField:other_driver"
    with trigger.register(ReadOnlyField):
        compiled = trigger.compile(ReadOnlyField)  # type: ignore[arg-type]  # pgtrigger types a class as an instance
        text = str(compiled.install_sql)
        assert (one in text) != (other in text)
        swapped = text.replace(one, other) if one in text else text.replace(other, one)
        run(swapped.replace(compiled.hash, "0" * 40).replace("{", "{{").replace("}", "}}"))
        assert stock_line(uri) == "OUTDATED ENABLED"
        report = check()
        assert status_of(report, uri) is Status.INSTALLED
        assert the(report, "I003", uri).facets == facets("comment")
        assert_clean(report)
