"""A second look reads what is suspect and nothing else, and leaves what a full one would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import damage
from tests.damage import pgid, run, within
from tests.weaknesses.expectations import INVOICE, MEASUREMENT, assert_clean, check, the
from tests.weaknesses.test_findings_over_time import CASES, disable_a_partition
from tests.weaknesses.test_schemas import make_tenant
from trigger_ops.catalog.snapshot import Snapshot
from trigger_ops.drift import Finding, Report
from trigger_ops.inspection import Scope, joining
from trigger_ops.states import Status

pytestmark = pytest.mark.django_db

RECEIPT = "past.Receipt:append_only"
Act = Callable[[], object]


class Readings:
    """The snapshots of a check, between whose readings something may happen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Snapshot] = []
        self.between: list[Act] = []
        self._read = joining.read_snapshot
        monkeypatch.setattr(joining, "read_snapshot", self._reading)
        # As outside of a test's transaction.
        monkeypatch.setattr(joining, "in_transaction", lambda _: False)

    def _reading(self, *arguments: Any, **options: Any) -> Snapshot:
        if self.seen and self.between:
            self.between.pop(0)()
        self.seen.append(self._read(*arguments, **options))
        return self.seen[-1]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


def tables(snapshot: Snapshot) -> set[str]:
    """Return the tables that were read, partitions left out."""
    return {one.table for one in snapshot.triggers} - {"awkward_measurement_2025"}


def findings(report: Report) -> list[tuple[Any, ...]]:
    return [_shape(one) for one in report.findings]


def _shape(one: Finding) -> tuple[Any, ...]:
    return (one.id, one.uri, one.schemas, one.count, one.digest, one.message, one.fix)


# What it costs ------------------------------------------------------------------------------------


def test_what_is_as_it_should_be_is_read_once(readings: Readings) -> None:
    assert_clean(check())
    assert len(readings.seen) == 1


def test_only_tables_of_suspects_are_read_again(readings: Readings) -> None:
    make_tenant("tenant_1")
    damage.gut(pgid(INVOICE), schema="tenant_1")
    the(check(scope=Scope(glob="*")), "C001", INVOICE)
    first, second = readings.seen
    assert len(tables(first)) > 20
    assert tables(second) == {"past_invoice"}
    assert {one.schema for one in second.tables if one.name == "past_invoice"} == {
        "public",
        "tenant_1",
    }
    assert (first.surroundings is None, second.surroundings is None) == (False, True)


# What it leaves is what a full reading sees --------------------------------------------------------


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[1] != "E004"])
def test_it_leaves_every_damage_as_one_reading_sees_it(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES[case][0]()
    once = check()
    readings = Readings(monkeypatch)
    twice = check()
    assert findings(twice) == findings(once)
    assert twice.summary == once.summary
    (before,), (after,) = once.databases, twice.databases
    assert [one.uri for one in after.triggers] == [one.uri for one in before.triggers]
    assert after.snapshot == before.snapshot
    assert (after.schemas, after.shadowed) == (before.schemas, before.shadowed)
    assert len(readings.seen) in (1, 2)


# A deploy in motion is never drift ----------------------------------------------------------------


def drop() -> None:
    run("DROP TRIGGER {trigger} ON past_invoice", trigger=pgid(INVOICE))


def stock_install() -> None:
    run(damage.install_sql(INVOICE).replace("{", "{{").replace("}", "}}"))


def disable() -> None:
    run("ALTER TABLE past_invoice DISABLE TRIGGER {trigger}", trigger=pgid(INVOICE))


def enable() -> None:
    run("ALTER TABLE past_invoice ENABLE TRIGGER {trigger}", trigger=pgid(INVOICE))


def rename(old: str, new: str) -> Act:
    return lambda: run("ALTER TABLE {old} RENAME TO {new}", old=old, new=new)


def orphan() -> None:
    damage.gut("pgtrigger_gone_0ab1c")
    run(
        "CREATE TRIGGER pgtrigger_gone_0ab1c BEFORE DELETE ON past_invoice FOR EACH ROW "
        "EXECUTE FUNCTION pgtrigger_gone_0ab1c()"
    )
    run(
        "COMMENT ON TRIGGER pgtrigger_gone_0ab1c ON past_invoice IS '{hash}'".format(hash="a" * 40)
    )


def prune() -> None:
    run("DROP TRIGGER pgtrigger_gone_0ab1c ON past_invoice")
    run("DROP FUNCTION pgtrigger_gone_0ab1c()")


def replace_the_table() -> None:
    """Make the table anew, as a migration of its columns may; it has another OID then."""
    run("CREATE TABLE fresh (LIKE past_invoice INCLUDING ALL)")
    run("DROP TABLE past_invoice CASCADE")
    run("ALTER TABLE fresh RENAME TO past_invoice")
    stock_install()


def switch_the_partition(how: str) -> Act:
    return lambda: run(f"ALTER TABLE awkward_measurement_2025 {how} TRIGGER USER")


MOVING: dict[str, tuple[Act, Act]] = {
    "a body was replaced": (lambda: damage.gut(pgid(INVOICE)), stock_install),
    "a trigger was dropped and made again": (drop, stock_install),
    "a wrong one was dropped and made again": (
        lambda: damage.gut(pgid(INVOICE)),
        lambda: (drop(), stock_install()),
    ),
    "a trigger was disabled for a moment": (disable, enable),
    "a table had another name": (
        rename("past_invoice", "elsewhere"),
        rename("elsewhere", "past_invoice"),
    ),
    "a table was made anew": (lambda: damage.gut(pgid(INVOICE)), replace_the_table),
    "an orphan was pruned": (orphan, prune),
    "a partition was disabled for a moment": (
        switch_the_partition("DISABLE"),
        switch_the_partition("ENABLE"),
    ),
}


@pytest.mark.parametrize("case", MOVING)
def test_what_only_the_first_reading_saw_is_not_reported(case: str, readings: Readings) -> None:
    before, between = MOVING[case]
    before()
    readings.seen.clear()
    readings.between.append(between)
    report = check()
    assert len(readings.seen) == 2
    assert_clean(report)
    assert_clean(check())


@pytest.mark.parametrize("act", [drop, disable, lambda: damage.gut(pgid(INVOICE))])
def test_what_only_the_second_reading_saw_is_not_reported(act: Act, readings: Readings) -> None:
    """Something else is suspect, on the same table even."""
    run("CREATE TABLE more_invoices () INHERITS (past_invoice)")
    orphan()
    readings.between.append(act)
    report = check()
    assert len(readings.seen) == 2
    assert [one.uri for one in report.findings if one.level >= 40] == []
    assert the(report, "W002").trigger == "pgtrigger_gone_0ab1c"


def test_a_tenant_that_was_dropped_meanwhile_is_gone(readings: Readings) -> None:
    for name in ("tenant_1", "tenant_2"):
        make_tenant(name)
        damage.gut(pgid(INVOICE), schema=name)
    readings.between.append(lambda: run("DROP SCHEMA tenant_1 CASCADE"))
    finding = the(check(scope=Scope(glob="*")), "C001", INVOICE)
    assert finding.schemas == ("tenant_2",)


def test_a_table_that_turns_up_elsewhere_is_judged_there(readings: Readings) -> None:
    run("CREATE SCHEMA other")
    run("ALTER TABLE past_invoice RENAME TO elsewhere")
    run("SET LOCAL search_path = public, other")

    def turn_up() -> None:
        run("ALTER TABLE elsewhere RENAME TO past_invoice")
        run("ALTER TABLE past_invoice SET SCHEMA other")
        disable_in("other")

    readings.between.append(turn_up)
    report = check(INVOICE)
    assert the(report, "E002", INVOICE).schemas == ("other",)
    assert [one.schema for one in report.databases[0].triggers] == ["other"]


def disable_in(schema: str) -> None:
    table = within(schema, "past_invoice")
    run("ALTER TABLE {table} DISABLE TRIGGER {trigger}", table=table, trigger=pgid(INVOICE))


def test_a_decoy_in_front_stays_in_front(readings: Readings) -> None:
    """What stands behind it on the search_path is hidden in the second look as well."""
    run("CREATE SCHEMA front")
    run("CREATE TABLE front.past_invoice (LIKE public.past_invoice INCLUDING ALL)")
    run("SET LOCAL search_path = front, public")
    damage.gut(pgid(INVOICE))
    report = check(INVOICE)
    assert len(readings.seen) == 2
    statuses = {one.schema: one.status for one in report.databases[0].triggers}
    assert statuses == {"front": Status.UNINSTALLED, "public": Status.TAMPERED}


def test_partitions_are_read_with_their_table(readings: Readings) -> None:
    disable_a_partition()
    readings.seen.clear()
    finding = the(check(), "E003", MEASUREMENT)
    assert finding.table == "awkward_measurement"
    assert len(readings.seen) == 2


def test_with_a_selector_nothing_else_is_judged_again(readings: Readings) -> None:
    damage.gut(pgid(INVOICE))
    damage.gut(pgid(RECEIPT), returning="NULL")
    report = check(INVOICE)
    assert {one.uri for one in report.databases[0].triggers} == {INVOICE}
    assert tables(readings.seen[1]) == {"past_invoice"}
