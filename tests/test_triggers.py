"""The guard against TRUNCATE: what it refuses, what it lets through, and what is said of it."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import TransactionTestCase

from demo_site.awkward.models import LedgerEntry, Measurement, OrderLine
from demo_site.past.models import Invoice, Receipt
from tests import damage
from tests.damage import pgid, run, within
from tests.site import Site
from tests.weaknesses.conftest import make_database, migrated_database, own_database
from tests.weaknesses.expectations import bad, check, the, tried, trigger_of
from trigger_ops import api
from trigger_ops.states import Enabled, Level, Status
from trigger_ops.triggers import ProtectTruncate

__all__ = ["make_database", "migrated_database", "own_database"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "truncate.md"
GUARD = "past.Receipt:protect_truncates"
REFUSAL = r"^pgtrigger: Cannot truncate rows from {} table"
TRUNCATE = "import django.db as d; d.connection.cursor().execute('TRUNCATE warehouse_delivery')"

GUT = """
CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RETURN NULL; END $$
"""
MISDIRECT = """
CREATE OR REPLACE TRIGGER {guard} AFTER TRUNCATE ON past_receipt
FOR EACH STATEMENT EXECUTE FUNCTION {guard}()
"""

in_transaction = pytest.mark.django_db


@pytest.fixture
def guard() -> Iterator[Callable[..., None]]:
    """Return a function that declares and installs a guard, which the code forgets after."""
    registered: list[Any] = []

    def add(model: Any, **options: Any) -> None:
        trigger = ProtectTruncate(**options)
        trigger.register(model)
        registered.append((trigger, model))
        trigger.install(model)

    yield add
    for trigger, model in registered:
        trigger.unregister(model)


@pytest.fixture
def receipt(guard: Callable[..., None]) -> Receipt:
    """Return a receipt in a guarded table."""
    guard(Receipt)
    return Receipt.objects.create(number="R-1")


def assert_refused(statement: str, table: str = "past_receipt", **names: str) -> DatabaseError:
    """Demand that a guard refuses a statement, and return the exception."""
    with (
        pytest.raises(DatabaseError, match=REFUSAL.format(re.escape(table))) as refused,
        transaction.atomic(),
    ):
        run(statement, **names)
    return refused.value


def recipe(first_line: str, *, language: str = "python") -> str:
    """Return the block of the page that holds a line beginning so."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    (block,) = [one for one in blocks if re.search(rf"^{re.escape(first_line)}", one, re.M)]
    return str(block)


# What it refuses ---------------------------------------------------------------------------------


@in_transaction
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE past_receipt",
        "TRUNCATE ONLY past_receipt",
        "TRUNCATE past_receipt RESTART IDENTITY",
        "TRUNCATE past_receipt CASCADE",
        "TRUNCATE past_invoice, past_receipt",
    ],
)
def test_a_truncate_of_a_guarded_table_is_refused_as_a_whole(
    statement: str, receipt: Receipt
) -> None:
    invoice = Invoice.objects.create(number="1", total=1)
    assert_refused(statement)
    assert list(Receipt.objects.all()) == [receipt]
    assert list(Invoice.objects.all()) == [invoice]
    assert Receipt.objects.create(number="R-2").pk == receipt.pk + 1


@in_transaction
def test_an_empty_table_is_refused_too(guard: Callable[..., None]) -> None:
    guard(Receipt)
    assert_refused("TRUNCATE past_receipt")


@in_transaction
@pytest.mark.usefixtures("receipt")
def test_rows_that_row_security_hides_are_kept() -> None:
    role = damage.make_role("sweeper")
    run("ALTER TABLE past_receipt ENABLE ROW LEVEL SECURITY")
    run("GRANT SELECT, TRUNCATE ON past_receipt TO {role}", role=role)
    run("SET LOCAL ROLE {role}", role=role)
    assert run("SELECT count(*) FROM past_receipt") == [(0,)]
    assert_refused("TRUNCATE past_receipt")


@in_transaction
@pytest.mark.usefixtures("receipt")
def test_a_cascade_from_a_referenced_table_is_refused() -> None:
    run("CREATE TABLE till (id integer PRIMARY KEY)")
    run("INSERT INTO till VALUES (1)")
    run("ALTER TABLE past_receipt ADD COLUMN till_id integer REFERENCES till")
    assert_refused("TRUNCATE till CASCADE")
    assert run("SELECT count(*) FROM till") == [(1,)]


@in_transaction
def test_a_truncate_through_a_parent_is_refused(guard: Callable[..., None]) -> None:
    guard(Receipt)
    run("CREATE TABLE paper (number varchar(16) NOT NULL)")
    run("ALTER TABLE past_receipt INHERIT paper")
    assert_refused("TRUNCATE paper")
    assert ("trigger_ops.W009", GUARD) not in bad(check())


@in_transaction
@pytest.mark.parametrize(
    ("model", "table", "name"),
    [
        (LedgerEntry, within("ledger", "entry"), "entry"),
        (OrderLine, "Awkward Order Lines", "Awkward Order Lines"),
    ],
)
def test_unusual_tables_can_be_guarded(
    model: Any, table: str, name: str, guard: Callable[..., None]
) -> None:
    run("TRUNCATE {table}", table=table)
    guard(model)
    assert_refused("TRUNCATE {place}", name, place=table)


@in_transaction
def test_the_exception_is_of_the_class_that_protect_raises(receipt: Receipt) -> None:
    with pytest.raises(DatabaseError) as protected, transaction.atomic():
        receipt.delete()
    refused = assert_refused("TRUNCATE past_receipt")
    assert type(refused) is type(protected.value)
    assert type(refused.__cause__) is type(protected.value.__cause__)
    assert str(refused).splitlines()[0] == str(protected.value).splitlines()[0].replace(
        "delete", "truncate"
    ).replace("update or ", "")


@in_transaction
def test_deletes_and_inserts_are_none_of_its_business(guard: Callable[..., None]) -> None:
    guard(OrderLine)
    OrderLine.objects.create(article="A", quantity=1)
    assert OrderLine.objects.all().delete()[0] == 1


def test_only_its_name_can_be_chosen() -> None:
    assert ProtectTruncate().name == "protect_truncates"
    assert ProtectTruncate(name="keep").name == "keep"
    with pytest.raises(TypeError):
        ProtectTruncate(operation=pgtrigger.Delete)  # type: ignore[call-arg]  # that it is refused is the test


# What it lets through ----------------------------------------------------------------------------


@in_transaction
@pytest.mark.usefixtures("receipt")
def test_ignore_lets_a_truncate_through_until_it_ends() -> None:
    exec(recipe("with pgtrigger.ignore"), {"pgtrigger": pgtrigger, "connection": connection})
    assert not Receipt.objects.exists()
    assert_refused("TRUNCATE past_receipt")


@in_transaction
@pytest.mark.usefixtures("receipt")
def test_ignoring_another_trigger_lets_nothing_through() -> None:
    with pgtrigger.ignore("past.Receipt:append_only"):
        assert_refused("TRUNCATE past_receipt")


@in_transaction
def test_the_stock_ignore_reaches_no_table_with_quotes_in_its_name(
    guard: Callable[..., None],
) -> None:
    """A limit of the library that the page tells of: this fails when it is gone."""
    guard(Receipt)
    guard(LedgerEntry)
    for uris in (["awkward.LedgerEntry:protect_truncates"], []):
        with pytest.raises(DatabaseError), transaction.atomic(), pgtrigger.ignore(*uris):
            run("TRUNCATE ledger.entry" if uris else "TRUNCATE past_receipt")


@in_transaction
def test_a_partition_needs_a_guard_of_its_own(guard: Callable[..., None]) -> None:
    guard(Measurement)
    Measurement.objects.create(taken_on="2025-02-01", sensor="a", value=1)
    assert_refused("TRUNCATE awkward_measurement", "awkward_measurement")
    with tried():
        run("TRUNCATE awkward_measurement_2025")
        assert not Measurement.objects.exists()
    run(recipe("CREATE TRIGGER", language="sql"))
    for table in ("awkward_measurement_2025", "awkward_measurement"):
        assert_refused("TRUNCATE {name}", table, name=table)
        with tried(), pgtrigger.ignore("awkward.Measurement:protect_truncates"):
            run("TRUNCATE {table}", table=table)
            assert not Measurement.objects.exists()
    assert bad(check()) == []


# What the checks say of it -----------------------------------------------------------------------


@in_transaction
def test_advice_names_the_guard_and_ends_with_it(guard: Callable[..., None]) -> None:
    advice = the(check(), "I004", "past.Receipt:append_only")
    assert f"{ProtectTruncate.__module__}.{ProtectTruncate.__name__}()" in advice.fix
    guard(Receipt)
    report = check()
    assert not [one for one in report.findings if one.id == advice.id and "Receipt" in one.uri]
    assert bad(report) == []
    (found,) = api.inspect(GUARD)
    assert (found.status, found.enabled) == (Status.INSTALLED, Enabled.ENABLED)


@in_transaction
@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize(
    ("statement", "code", "status"),
    [
        (GUT, "C001", Status.TAMPERED),
        (MISDIRECT, "C004", Status.TAMPERED),
        ("ALTER TABLE past_receipt DISABLE TRIGGER {guard}", "E002", Status.INSTALLED),
    ],
)
def test_what_is_done_to_the_guard_is_seen(statement: str, code: str, status: Status) -> None:
    assert bad(check()) == []
    run(statement, guard=pgid(GUARD))
    report = check()
    assert (f"trigger_ops.{code}", GUARD) in bad(report)
    assert trigger_of(report, GUARD).status is status


@in_transaction
@pytest.mark.usefixtures("receipt")
def test_a_disabled_guard_is_advised_again() -> None:
    run("ALTER TABLE past_receipt DISABLE TRIGGER {guard}", guard=pgid(GUARD))
    assert the(check(), "I004", "past.Receipt:append_only").level is Level.INFO


# Flush -------------------------------------------------------------------------------------------


@in_transaction
def test_flush_fails_and_leaves_every_row(receipt: Receipt) -> None:
    invoice = Invoice.objects.create(number="1", total=1)
    with pytest.raises(CommandError, match="flush") as failed:
        call_command("flush", interactive=False, verbosity=0)
    assert re.match(REFUSAL.format("past_receipt"), str(failed.value.__cause__))
    assert list(Receipt.objects.all()) == [receipt]
    assert list(Invoice.objects.all()) == [invoice]


def outcome(base: type[TransactionTestCase]) -> unittest.TestResult:
    """Run one test of a class derived from another that adds a receipt, and flushes after it."""

    class Adding(base):  # type: ignore[misc,valid-type]  # its base is the case's
        def test_adds(self) -> None:
            Receipt.objects.create(number="R-1")

    result = unittest.TestResult()
    Adding("test_adds")(result)
    assert result.testsRun == 1
    return result


@pytest.mark.usefixtures("own_database")
def test_a_flushing_test_case_fails_unless_it_lets_its_flush_through(
    guard: Callable[..., None],
) -> None:
    guard(Receipt)
    ((_, error),) = outcome(TransactionTestCase).errors
    assert "Cannot truncate rows from past_receipt table" in error
    assert Receipt.objects.count() == 1

    names: dict[str, Any] = {}
    exec(recipe("class FlushingTestCase"), names)
    result = outcome(names["FlushingTestCase"])
    assert (result.errors, result.failures) == ([], [])
    assert not Receipt.objects.exists()
    assert_refused("TRUNCATE past_receipt")


@pytest.mark.usefixtures("own_database")
def test_a_fixture_lets_the_flushes_of_pytest_through(guard: Callable[..., None]) -> None:
    guard(Receipt)
    names: dict[str, Any] = {}
    exec(recipe("class FlushingTestCase") + recipe("@pytest.fixture"), names)
    running = names["guards_let_the_teardown_flush"].__wrapped__()
    next(running)
    for _ in range(2):
        assert outcome(TransactionTestCase).errors == []
        assert not Receipt.objects.exists()
    assert list(running) == []
    assert len(outcome(TransactionTestCase).errors) == 1


# Migrations --------------------------------------------------------------------------------------


def test_the_pages_model_is_migrated_once_and_installed(
    fresh_site: Callable[[str], Site], tmp_path: Path
) -> None:
    site = fresh_site("truncate")
    app = tmp_path / "warehouse"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(recipe("class Delivery"))
    (tmp_path / "warehouse_settings.py").write_text(
        "from demo_site.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'warehouse']\n"
    )
    own = {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "warehouse_settings"}

    def manage(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**site.environment, **own},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, output = manage("makemigrations", "warehouse")
    assert code == 0, output
    (written,) = (app / "migrations").glob("0*.py")
    assert written.read_text().count("pgtrigger_protect_truncates_") == 1
    assert "trigger_ops" not in written.read_text()
    assert manage("makemigrations", "--check") == (0, "No changes detected\n")
    assert manage("migrate", "--verbosity", "0") == (0, "")

    code, output = manage("pgtrigger", "check", "warehouse")
    assert (code, "I004" in output) == (0, False), output
    assert manage("pgtrigger", "ls", "warehouse")[1].split() == [
        *("INSTALLED", "ENABLED", "warehouse.Delivery:protect_deletes"),
        *("INSTALLED", "ENABLED", "warehouse.Delivery:protect_truncates"),
    ]
    code, output = manage("shell", "-v0", "-c", TRUNCATE)
    assert (code, "pgtrigger: Cannot truncate rows" in output) == (1, True), output
