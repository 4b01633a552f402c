"""What is no drift gives no warning, however different it looks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from demo_site.past import damage as past_damage
from demo_site.past.models import Customer, Invoice
from tests import damage
from tests.damage import install_sql, pgid, run
from tests.site import ROOT, Site
from tests.weaknesses.expectations import (
    CUSTOMER,
    INVOICE,
    PRICES,
    assert_clean,
    bad,
    check,
    facets,
    forget,
    only,
    status_of,
    the,
    trigger_of,
)
from trigger_ops import api
from trigger_ops.states import ExitCode, Facet, Level, Status, Verdict

in_transaction = pytest.mark.django_db
LOCK_TIMEOUT = 0.4


@pytest.fixture
def impatient(settings: Any) -> None:
    """Let readings wait behind a lock for LOCK_TIMEOUT seconds."""
    settings.TRIGGER_OPS = {"LOCK_TIMEOUT": int(LOCK_TIMEOUT * 1000)}


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code call the column `mail` that the database has as `email`."""
    monkeypatch.setattr(Customer._meta.get_field("email"), "column", "mail")


# Renames -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_database", "mail")
def test_a_field_renamed_by_a_migration() -> None:
    with override_settings(MIGRATION_MODULES={"past": "tests.weaknesses.migrations"}):
        call_command("migrate", "past", verbosity=0)
        assert run("SELECT mail FROM past_customer") == []
        report = check()
        assert_clean(report)
        inspected = trigger_of(report, CUSTOMER)
        assert (inspected.status, inspected.facets) == (Status.INSTALLED, facets("comment"))


@in_transaction
@pytest.mark.usefixtures("mail")
def test_a_column_renamed_by_hand_and_in_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    run("ALTER TABLE past_customer RENAME COLUMN email TO mail")
    report = check()
    assert_clean(report)
    assert status_of(report, CUSTOMER) is Status.INSTALLED


@in_transaction
def test_a_column_renamed_by_hand_alone_is_not_green_and_not_tampering() -> None:
    run("ALTER TABLE past_customer RENAME COLUMN email TO mail")
    report = check()
    assert bad(report) == [("trigger_ops.W004", CUSTOMER)]
    assert report.exit_code is ExitCode.INCOMPLETE
    run("ALTER TABLE past_customer RENAME COLUMN mail TO email")
    assert_clean(check())


@in_transaction
def test_a_column_that_triggers_do_not_name_may_come_and_go() -> None:
    run("ALTER TABLE past_customer ADD COLUMN note text, DROP COLUMN name")
    assert_clean(check())


# Migrations --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty_database")
def test_a_database_where_nothing_was_ever_migrated_has_only_pending_triggers() -> None:
    report = check()
    assert_clean(report)
    assert {one.id for one in report.findings} == {"trigger_ops.I001"}
    allowed = [one for one in report.databases[0].triggers if one.status is not Status.UNALLOWED]
    assert {one.status for one in allowed} == {Status.UNINSTALLED}
    assert len(report.findings) == len(allowed) > 50


@in_transaction
def test_an_app_that_was_never_migrated_is_pending_among_others_that_were() -> None:
    run("DROP TABLE past_invoice, past_pricelist, past_payroll, past_contract, past_shipment")
    run("DROP TABLE past_receipt, past_customer")
    run("DELETE FROM django_migrations WHERE app = 'past'")
    report = check()
    assert_clean(report)
    assert the(report, "I001", INVOICE).status is Status.UNINSTALLED


@pytest.fixture
def later_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code of the trigger of invoices be further on than its migrations."""
    ((_, trigger),) = pgtrigger.registered(INVOICE)
    monkeypatch.setattr(trigger, "operation", pgtrigger.Update | pgtrigger.Delete)


@in_transaction
@pytest.mark.usefixtures("later_code")
def test_a_pending_migration_is_information() -> None:
    report = check()
    assert_clean(report)
    finding = the(report, "I001", INVOICE)
    assert (finding.level, finding.status) == (Level.INFO, Status.OUTDATED)
    assert Facet.EVENTS in finding.facets
    assert trigger_of(report, INVOICE).verdict is Verdict.PENDING


@in_transaction
@pytest.mark.usefixtures("later_code")
def test_installed_ahead_of_the_migrations_is_information() -> None:
    damage.stock("install", INVOICE)
    report = check()
    assert_clean(report)
    finding = the(report, "I006", INVOICE)
    assert (finding.level, finding.status) == (Level.INFO, Status.INSTALLED)


@in_transaction
@pytest.mark.usefixtures("later_code")
def test_what_is_neither_pending_nor_ahead_is_tampered() -> None:
    damage.gut(pgid(INVOICE))
    report = check()
    assert ("trigger_ops.C001", INVOICE) in bad(report)
    assert trigger_of(report, INVOICE).verdict is Verdict.TAMPERED


@in_transaction
def test_a_new_trigger_that_no_migration_knows_is_pending() -> None:
    trigger = pgtrigger.Protect(name="brand_new", operation=pgtrigger.Update)
    with trigger.register(Invoice):
        report = check()
        assert_clean(report)
        assert the(report, "I001", "past.Invoice:brand_new").status is Status.UNINSTALLED


@in_transaction
def test_an_older_migrations_form_is_outdated_and_not_tampered() -> None:
    past_damage.outdate()
    finding = only(check(), "W001", PRICES)
    assert (finding.level, finding.status) == (Level.WARNING, Status.OUTDATED)
    assert finding.facets == facets("condition")
    damage.repair(finding)
    assert_clean(check())


@in_transaction
def test_without_migrations_the_hash_tells_tampered_from_outdated(settings: Any) -> None:
    settings.PGTRIGGER_MIGRATIONS = False
    assert_clean(check())
    damage.gut(pgid(INVOICE))
    assert only(check(), "C001", INVOICE).status is Status.TAMPERED
    run("COMMENT ON TRIGGER {trigger} ON past_invoice IS 'older'", trigger=pgid(INVOICE))
    finding = only(check(), "W001", INVOICE)
    assert (finding.status, finding.facets) == (Status.OUTDATED, facets("body"))
    run("DROP TRIGGER {trigger} ON past_invoice", trigger=pgid(INVOICE))
    assert only(check(), "E001", INVOICE).status is Status.UNINSTALLED


@in_transaction
def test_a_migration_that_is_recorded_as_unapplied_leaves_its_trigger_ahead() -> None:
    run("DELETE FROM django_migrations WHERE app = 'past' AND name = '0002_freeze_prices'")
    report = check()
    assert_clean(report)
    assert the(report, "I006", PRICES).status is Status.INSTALLED


# Others at work ----------------------------------------------------------------------------------


@pytest.fixture
def busy(
    own_database: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> Iterator[BaseDatabaseWrapper]:
    """Return a connection with an open transaction, beside `default`."""
    other = second_connection()
    other.set_autocommit(False)
    yield other
    other.rollback()
    assert own_database.get_autocommit()


def execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def assert_quick_and_never_drift() -> None:
    started = time.monotonic()
    report = check()
    assert time.monotonic() - started < 2 * LOCK_TIMEOUT + 1
    assert {one for one, _ in bad(report)} <= {"trigger_ops.W004"}
    assert report.exit_code in (ExitCode.CLEAN, ExitCode.INCOMPLETE)
    assert status_of(report, INVOICE) in (Status.INSTALLED, Status.UNKNOWN)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLE past_customer, past_pricelist, past_invoice IN ACCESS EXCLUSIVE MODE",
        "ALTER TABLE past_customer ADD COLUMN note text",
        "ALTER TABLE past_customer RENAME COLUMN email TO mail",
        "DROP TABLE past_customer",
        "LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE trigger_ops_canonicalform IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE pg_trigger, pg_class, pg_proc IN EXCLUSIVE MODE",
    ],
)
def test_a_lock_of_somebody_else_is_waited_for_only_so_long(
    busy: BaseDatabaseWrapper, statement: str
) -> None:
    execute(busy, statement)
    assert_quick_and_never_drift()
    busy.rollback()
    assert_clean(check())


@pytest.mark.usefixtures("impatient")
def test_a_lock_on_the_catalogs_is_waited_for_only_so_long_with_nothing_remembered(
    busy: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch)
    execute(busy, "LOCK TABLE pg_trigger, pg_class, pg_proc IN EXCLUSIVE MODE")
    assert_quick_and_never_drift()
    busy.rollback()
    assert_clean(check())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("uri", [INVOICE, CUSTOMER])
def test_a_trigger_dropped_and_made_anew_in_an_open_transaction(
    busy: BaseDatabaseWrapper, uri: str
) -> None:
    execute(busy, install_sql(uri))
    assert_quick_and_never_drift()
    busy.commit()
    assert_clean(check())


@pytest.mark.usefixtures("own_database")
def test_a_migration_that_commits_again_and_again_beside_the_check(
    second_connection: Callable[..., BaseDatabaseWrapper],
) -> None:
    """Readings that mix two moments are told from drift by a second look."""
    other = second_connection()
    done = threading.Event()
    statements = [install_sql(uri) for uri in (INVOICE, CUSTOMER, PRICES)]

    def migrate() -> None:
        other.inc_thread_sharing()
        while not done.is_set():
            other.set_autocommit(False)
            for statement in statements:
                execute(other, statement)
            other.commit()
            other.set_autocommit(True)
        other.close()

    thread = threading.Thread(target=migrate)
    other.inc_thread_sharing()
    thread.start()
    try:
        reports = [check() for _ in range(25)]
    finally:
        done.set()
        thread.join()
        other.dec_thread_sharing()
    assert {one for report in reports for one, _ in bad(report)} <= {"trigger_ops.W004"}
    assert_clean(check())


@pytest.mark.django_db(databases=["default", "archive"])
def test_the_demo_as_it_is_installed_is_clean_in_both_databases() -> None:
    report = api.check()
    assert [target.database for target in report.targets] == ["default", "archive"]
    assert_clean(report)
    assert report.targets[1].triggers > 0


@in_transaction
def test_an_unmanaged_model_that_no_migration_knows_yet_is_pending() -> None:
    """Its table is older than any migration, so that the table exists proves nothing."""
    uri = "awkward.OpenOrderLine:delete_marks_done"
    run("DROP TRIGGER {trigger} ON awkward_openorderline", trigger=pgid(uri))
    run("DELETE FROM django_migrations WHERE app = 'awkward' AND name = '0002_open_order_line'")
    report = check()
    assert_clean(report)
    assert the(report, "I001", uri).status is Status.UNINSTALLED


# Literals ----------------------------------------------------------------------------------------

RECORDED_ELSEWHERE = """
from django.conf import settings
settings.DATABASES["memory"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.TRIGGER_OPS = {"RECORD_DATABASE": "memory"}
"""
COMPILED = """
import django
django.setup()
import pgtrigger
from demo_site.past.models import Invoice
from trigger_ops import api
condition = pgtrigger.Q(old__number__startswith="a_") | pgtrigger.Q(old__number__regex=r"^\\d")
trigger = pgtrigger.Protect(name="pattern", operation=pgtrigger.Delete, condition=condition)
trigger.register(Invoice)
for _ in range(2):
    (found,) = api.inspect("past.Invoice:pattern")
    print(found.registered_hash)
"""


@pytest.mark.parametrize("before", ["", RECORDED_ELSEWHERE], ids=["default", "recorded elsewhere"])
def test_a_backslash_is_quoted_alike_before_and_after_the_first_connection(
    before: str, site: Site
) -> None:
    """libpq doubles it until the process has met a server, and a migration never saw it so."""
    # Not by manage.py: the demo's connects before it does anything else.
    printed = subprocess.run(
        [sys.executable, "-c", before + COMPILED],
        cwd=ROOT,
        env=site.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    first, second = printed.stdout.split()
    assert first == second
