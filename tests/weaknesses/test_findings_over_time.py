"""Every damage opens one finding that is told once, and what its `fix` says resolves it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.core.management import call_command
from django.db import connection

from tests import damage
from tests.damage import pgid, run, stock_line, within
from tests.test_docs import follow, read, section
from tests.weaknesses.acts import make_operator
from tests.weaknesses.expectations import INVOICE, MEASUREMENT, PAYROLL, trigger_of
from tests.weaknesses.test_schemas import make_tenant
from trigger_ops import api
from trigger_ops.drift import Finding, Report
from trigger_ops.drift.digests import key_of
from trigger_ops.inspection import Scope
from trigger_ops.models import DriftFinding, FindingEvent, Notice
from trigger_ops.rendering.reports import as_text
from trigger_ops.states import Level

pytestmark = pytest.mark.django_db

NOTIFY = [{"name": "pager", "backend": "email", "to": ["ops@example.org"], "level": "WARNING"}]
ALWAYS_TRUE = "RETURNS boolean LANGUAGE sql AS 'SELECT true'"


@pytest.fixture(autouse=True)
def pager(settings: Any) -> None:
    """Let there be somebody to tell."""
    settings.TRIGGER_OPS = {"NOTIFY": NOTIFY, "DEPLOY_WAIT": "100ms"}


def record(*selectors: str, **options: Any) -> Report:
    """Check `default` and record it; demand that it was."""
    report = api.check(*selectors, databases=["default"], record=True, **options)
    assert report.unrecorded == ""
    return report


def replace_trigger(clause: str, *, function: str = "") -> None:
    run(
        f"CREATE OR REPLACE TRIGGER {{trigger}} {clause} EXECUTE FUNCTION {{function}}()",
        trigger=pgid(INVOICE),
        function=function or pgid(INVOICE),
    )


def invoice(words: str) -> Callable[[], None]:
    """Return what does something to the trigger of invoices."""
    return lambda: ignore_result(run(words, trigger=pgid(INVOICE)))


def ignore_result(_: object) -> None:
    """Take a value and return none."""


def setting(whose: str, what: str) -> Callable[[], None]:
    def change() -> None:
        run(
            f"ALTER {whose} SET {what}",
            role=damage.make_role("life"),
            database=connection.settings_dict["NAME"],
        )

    return change


def point_elsewhere() -> None:
    damage.gut("noop")
    replace_trigger("BEFORE DELETE ON past_invoice FOR EACH ROW", function="noop")


def share_the_function() -> None:
    damage.gut(pgid(INVOICE))
    run("CREATE TABLE other_project (id int)")
    run(
        "CREATE TRIGGER {trigger} BEFORE DELETE ON other_project FOR EACH ROW "
        "EXECUTE FUNCTION {trigger}()",
        trigger=pgid(INVOICE),
    )


def disable_a_partition() -> None:
    live = trigger_of(api.check(MEASUREMENT, databases=["default"]), MEASUREMENT).installed
    assert live is not None
    leaf = live.clones[-1]
    run("ALTER TABLE {table} DISABLE TRIGGER USER", table=within(leaf.schema, leaf.table))


def own_by_a_stranger() -> None:
    role = damage.make_role("owner")
    run("GRANT CREATE ON SCHEMA public TO {role}", role=role)
    run("ALTER FUNCTION {f}() OWNER TO {role}", f=pgid(INVOICE), role=role)


def bypass_in_own_function() -> None:
    run("ALTER FUNCTION {f}() SET session_replication_role = replica", f=pgid(INVOICE))


def ignore_always() -> None:
    run(f"CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) {ALWAYS_TRUE}")


def meddle_from_afar() -> None:
    """Have a trigger of a table in a schema that no search_path has switch triggers off."""
    run("CREATE SCHEMA far")
    run("CREATE TABLE far.t (id int)")
    run(
        "CREATE FUNCTION far.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('pgtrigger.ignore', '{{x}}', false); RETURN NEW; END $$"
    )
    run("CREATE TRIGGER meddler BEFORE INSERT ON far.t FOR EACH ROW EXECUTE FUNCTION far.meddle()")


def disable_where_the_model_names_its_schema() -> None:
    ((name,),) = run(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'ledger.entry'::regclass "
        "AND tgname LIKE 'pgtrigger%%' AND NOT tgisinternal ORDER BY tgname LIMIT %s",
        1,
    )
    run("ALTER TABLE ledger.entry DISABLE TRIGGER {trigger}", trigger=name)


def as_its_page_says(code: str) -> Callable[[], None]:
    """Return what does what the page about a finding says that causes it."""
    return lambda: follow(section(read(f"findings/{code}.md"), "How it comes about"))


def truncate_a_watched_table() -> None:
    call_command("pgtrigger", "guard", "install", "--no-input", verbosity=0)
    run("INSERT INTO past_receipt (number) VALUES ('R-1')")
    run("TRUNCATE past_receipt")


def break_a_declaration() -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("no function today")

    ((_, trigger),) = pgtrigger.registered(INVOICE)
    trigger.get_func = broken


@pytest.fixture(autouse=True)
def mended() -> Iterator[None]:
    """Let no declaration stay broken."""
    yield
    mend_the_declaration()


def mend_the_declaration(_finding: Finding | None = None) -> None:
    ((_, trigger),) = pgtrigger.registered(INVOICE)
    vars(trigger).pop("get_func", None)


def give_a_reason(finding: Finding) -> None:
    """Do what the fix says, with a reason in the place of its dots."""
    damage.repair(dataclasses.replace(finding, fix=finding.fix.replace("…", '"INC-12: a test"')))


def leave_the_attic(finding: Finding) -> None:
    """Look where the fix says, and take the schema off the path: it stays, and no statement means it."""
    assert finding.fix == "manage.py pgtrigger ls -s attic"
    assert stock_line(INVOICE, "-s", "attic") == "UNINSTALLED N/A"
    run("SET search_path = public")


#: What a fix leaves to whoever does it.
REPAIRS: dict[str, Callable[[Finding], None]] = {
    "C007": give_a_reason,
    "E004": mend_the_declaration,
    "W013": leave_the_attic,
}

# name: (damage, ID, level)
CASES: dict[str, tuple[Callable[[], object], str, Level]] = {
    "T1, B1: body replaced": (lambda: damage.gut(pgid(INVOICE)), "C001", Level.CRITICAL),
    "T2, B4: shared function": (ignore_always, "C002", Level.CRITICAL),
    "T3, B6: ignore for a role": (
        setting("ROLE {role}", "pgtrigger.ignore = '{{x}}'"),
        "C003",
        Level.CRITICAL,
    ),
    "B6: ignore for a database": (
        setting("DATABASE {database}", "pgtrigger.ignore = '{{x}}'"),
        "C003",
        Level.CRITICAL,
    ),
    "B6: ignore for a role in a database": (
        setting("ROLE {role} IN DATABASE {database}", "pgtrigger.ignore = '{{x}}'"),
        "C003",
        Level.CRITICAL,
    ),
    "B6: ignore for everybody": (
        setting("ROLE ALL", "pgtrigger.ignore = '{{x}}'"),
        "C003",
        Level.CRITICAL,
    ),
    "B8: a role replicates": (
        setting("ROLE {role}", "session_replication_role = replica"),
        "C003",
        Level.CRITICAL,
    ),
    "B8: a database replicates": (
        setting("DATABASE {database}", "session_replication_role = replica"),
        "C003",
        Level.CRITICAL,
    ),
    "the function replicates": (bypass_in_own_function, "C003", Level.CRITICAL),
    "a meddler far away": (meddle_from_afar, "C003", Level.CRITICAL),
    "T4, B2: never true": (
        lambda: replace_trigger("BEFORE DELETE ON past_invoice FOR EACH ROW WHEN (false)"),
        "C004",
        Level.CRITICAL,
    ),
    "B2: other event": (
        lambda: replace_trigger("BEFORE UPDATE ON past_invoice FOR EACH ROW"),
        "C004",
        Level.CRITICAL,
    ),
    "B2: other timing": (
        lambda: replace_trigger("AFTER DELETE ON past_invoice FOR EACH ROW"),
        "C004",
        Level.CRITICAL,
    ),
    "B2: other level": (
        lambda: replace_trigger("BEFORE DELETE ON past_invoice FOR EACH STATEMENT"),
        "C004",
        Level.CRITICAL,
    ),
    "B3: other function": (point_elsewhere, "C005", Level.CRITICAL),
    "B5: function of two projects": (share_the_function, "C001", Level.CRITICAL),
    "other owner": (own_by_a_stranger, "C005", Level.CRITICAL),
    "marked as without triggers": (
        lambda: run("UPDATE pg_class SET relhastriggers = false WHERE relname = 'past_invoice'"),
        "C008",
        Level.CRITICAL,
    ),
    "dropped": (invoice("DROP TRIGGER {trigger} ON past_invoice"), "E001", Level.ERROR),
    "T6: disabled": (
        invoice("ALTER TABLE past_invoice DISABLE TRIGGER {trigger}"),
        "E002",
        Level.ERROR,
    ),
    "B10: replica": (
        invoice("ALTER TABLE past_invoice ENABLE REPLICA TRIGGER {trigger}"),
        "E002",
        Level.ERROR,
    ),
    "disabled where the model names its schema": (
        disable_where_the_model_names_its_schema,
        "E002",
        Level.ERROR,
    ),
    "T7, F3: a partition disabled": (disable_a_partition, "E003", Level.ERROR),
    "T5, B10: always": (
        invoice("ALTER TABLE past_invoice ENABLE ALWAYS TRIGGER {trigger}"),
        "W003",
        Level.WARNING,
    ),
    "a rule diverts": (
        lambda: run("CREATE RULE divert AS ON DELETE TO past_invoice DO INSTEAD NOTHING"),
        "W010",
        Level.WARNING,
    ),
    "a child without": (
        lambda: run("CREATE TABLE more_invoices () INHERITS (past_invoice)"),
        "W009",
        Level.WARNING,
    ),
    "an operator of others": (
        lambda: make_operator("=", "varchar", "varchar", schema="public"),
        "W011",
        Level.WARNING,
    ),
    "gate replaced": (as_its_page_says("C006"), "C006", Level.CRITICAL),
    "B7: ignored from psql": (as_its_page_says("C007"), "C007", Level.CRITICAL),
    "B9: emptied by TRUNCATE": (truncate_a_watched_table, "C007", Level.CRITICAL),
    "a declaration that cannot be compiled": (break_a_declaration, "E004", Level.ERROR),
    "an older form": (as_its_page_says("W001"), "W001", Level.WARNING),
    "an orphan": (as_its_page_says("W002"), "W002", Level.WARNING),
    "two generations": (as_its_page_says("W005"), "W005", Level.WARNING),
    "a witness disabled": (as_its_page_says("W006"), "W006", Level.WARNING),
    "where the model is not allowed": (as_its_page_says("W007"), "W007", Level.WARNING),
    "a function in a tenant's schema": (as_its_page_says("W008"), "W008", Level.WARNING),
    "a stranger's ignore function": (as_its_page_says("W012"), "W012", Level.WARNING),
    "a hidden table": (as_its_page_says("W013"), "W013", Level.WARNING),
    "B12: comment lost": (
        invoice("COMMENT ON TRIGGER {trigger} ON past_invoice IS NULL"),
        "I003",
        Level.INFO,
    ),
}


def events(row: DriftFinding) -> list[str]:
    return list(row.events.order_by("pk").values_list("kind", flat=True))


def told(row: DriftFinding) -> list[str]:
    notices = Notice.objects.filter(event__finding=row, destination="pager")
    return list(notices.order_by("pk").values_list("event__kind", flat=True))


@pytest.fixture
def known() -> set[int]:
    """Return the findings that an undamaged database has, after one recorded check."""
    record()
    return set(DriftFinding.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("case", CASES)
def test_a_damage_opens_is_told_once_and_resolves_by_its_fix(case: str, known: set[int]) -> None:
    act, code, level = CASES[case]
    act()
    report = record()
    new = DriftFinding.objects.exclude(pk__in=known)
    row = new.get(code=f"trigger_ops.{code}")
    wanted = ["opened"] if level >= Level.WARNING else []
    assert (row.level, row.resolved, events(row), told(row)) == (
        level.name,
        None,
        ["opened"],
        wanted,
    )
    before = FindingEvent.objects.count()
    record()
    assert FindingEvent.objects.count() == before
    row.refresh_from_db()
    assert row.last_seen > row.first_seen

    (finding,) = [one for one in report.findings if key_of(one) == row.key]
    REPAIRS.get(code, damage.repair)(finding)
    record()
    row.refresh_from_db()
    assert row.resolved is not None
    assert events(row) == ["opened", "resolved"]
    assert told(row) == [*wanted, *(["resolved"] if wanted else [])]
    record()
    assert events(row) == ["opened", "resolved"]
    # Nothing that is worth a page is left of it.
    levels = ["WARNING", "ERROR", "CRITICAL"]
    assert not new.filter(resolved__isnull=True, level__in=levels).exists()


def test_what_comes_back_is_another_finding(known: set[int]) -> None:
    for _ in range(2):
        damage.gut(pgid(INVOICE))
        report = record()
        (finding,) = [one for one in report.findings if one.id == "trigger_ops.C001"]
        damage.repair(finding)
        record()
    rows = DriftFinding.objects.filter(code="trigger_ops.C001").order_by("pk")
    assert [events(row) for row in rows] == [["opened", "resolved"]] * 2
    assert rows[0].first_seen < rows[1].first_seen
    assert rows[0].key == rows[1].key


def test_other_damage_of_one_kind_is_a_change(known: set[int]) -> None:
    damage.gut(pgid(INVOICE))
    record()
    damage.gut(pgid(INVOICE), returning="NEW")
    record()
    (row,) = DriftFinding.objects.filter(code="trigger_ops.C001")
    assert events(row) == told(row) == ["opened", "changed"]


def test_two_damages_of_one_trigger_live_apart(known: set[int]) -> None:
    damage.gut(pgid(PAYROLL), returning="NEW")
    run("ALTER TABLE past_payroll DISABLE TRIGGER {trigger}", trigger=pgid(PAYROLL))
    record()
    damage.repair(found_with(record(), "E002"))
    record()
    kinds = {
        row.code: (events(row), row.enabled)
        for row in DriftFinding.objects.filter(uri=PAYROLL, level__in=["ERROR", "CRITICAL"])
    }
    assert kinds == {
        "trigger_ops.C001": (["opened"], "ENABLED"),
        "trigger_ops.E002": (["opened", "resolved"], "DISABLED"),
    }


def found_with(report: Report, code: str) -> Finding:
    (finding,) = [one for one in report.findings if one.id == f"trigger_ops.{code}"]
    return finding


# Tenants ----------------------------------------------------------------------------------------

EVERYWHERE = Scope(glob="*")


@pytest.fixture
def names() -> list[str]:
    """Make tenants of which one is called as a word of every message is."""
    made = ["a", *(f"tenant_{number}" for number in range(7))]
    for name in made:
        make_tenant(name)
    return made


def one_c001() -> DriftFinding:
    return DriftFinding.objects.get(code="trigger_ops.C001")


def test_tenants_with_one_cause_are_one_finding_that_grows(names: list[str]) -> None:
    seen = []
    for number, name in enumerate(names, start=1):
        damage.gut(pgid(INVOICE), schema=name)
        record(scope=EVERYWHERE)
        row = one_c001()
        assert row.count == len(row.schemas) == number
        seen.append(len(events(row)))
    assert events(row) == told(row) == ["opened", "grew", "grew", "grew"]  # at 2, 4 and 8
    assert seen == [1, 2, 2, 3, 3, 3, 3, 4]


def test_a_narrow_check_neither_ends_nor_shrinks_what_others_show(names: list[str]) -> None:
    for name in names[:4]:
        damage.gut(pgid(INVOICE), schema=name)
    record(scope=EVERYWHERE)
    record()
    record(scope=Scope(glob="tenant_6"))
    record(scope=Scope(path=("tenant_5",)))
    record("past.Payroll", scope=EVERYWHERE)
    row = one_c001()
    assert (events(row), row.count, row.resolved) == (["opened"], 4, None)


def test_a_tenant_that_was_dropped_shows_nothing_any_more(names: list[str]) -> None:
    damage.gut(pgid(INVOICE), schema="tenant_3")
    record(scope=EVERYWHERE)
    run("DROP SCHEMA tenant_3 CASCADE")
    record()
    assert events(one_c001()) == ["opened", "resolved"]


def test_a_tenant_that_was_repaired_alone_resolves_when_it_is_looked_at(names: list[str]) -> None:
    damage.gut(pgid(INVOICE), schema="tenant_3")
    record(scope=EVERYWHERE)
    run("SET LOCAL search_path = tenant_3")
    run(damage.install_sql(INVOICE).replace("{", "{{").replace("}", "}}"))
    run("SET LOCAL search_path = DEFAULT")
    record()
    assert events(one_c001()) == ["opened"]
    record(scope=Scope(glob="tenant_*"))
    assert events(one_c001()) == ["opened", "resolved"]


@pytest.fixture
def two_ways(names: list[str]) -> None:
    """Let a trigger be gutted in `public` in one way, in two tenants in another."""
    damage.gut(pgid(INVOICE))
    for name in ("tenant_1", "tenant_2"):
        damage.gut(pgid(INVOICE), schema=name, returning="NEW")


def test_checks_of_all_schemas_and_of_some_may_alternate(two_ways: None) -> None:
    record(scope=EVERYWHERE)
    before = row_of(one_c001())
    for scope in (Scope(), EVERYWHERE, Scope(glob="tenant_*"), Scope(path=("public",)), Scope()):
        record(scope=scope)
        assert row_of(one_c001()) == before
    row = one_c001()
    assert events(row) == told(row) == ["opened"]
    assert row.count == 3
    damage.gut(pgid(INVOICE), returning="NEW")
    record()
    assert events(one_c001()) == ["opened", "changed"]
    record(scope=EVERYWHERE)
    assert events(one_c001()) == ["opened", "changed"]


def row_of(row: DriftFinding) -> dict[str, Any]:
    """Return all that is kept of a finding but when it was seen."""
    kept = dict(DriftFinding.objects.values().get(pk=row.pk))
    del kept["last_seen"]
    return kept


def test_an_allowance_holds_whichever_schemas_are_looked_at(two_ways: None) -> None:
    record(scope=EVERYWHERE)
    api.allow("C001", owner="ann", reason="INC-12: known", lasts=dt.timedelta(hours=1))
    for scope in (EVERYWHERE, Scope(), Scope(glob="tenant_*"), EVERYWHERE):
        assert critical(api.check(databases=["default"], scope=scope)) == []
        assert critical(record(scope=scope)) == []
    assert events(one_c001()) == ["opened", "allowed"]


def critical(report: Report) -> list[str]:
    return [one.id for one in report.failing if one.level is Level.CRITICAL]


# Allowances -------------------------------------------------------------------------------------


def test_an_allowance_covers_what_is_there_until_it_changes(known: set[int]) -> None:
    damage.gut(pgid(INVOICE))
    record()
    api.allow("C001", owner="ann", reason="INC-12: known", lasts=dt.timedelta(hours=1))
    report = record()
    assert report.failing == ()
    damage.gut(pgid(INVOICE), returning="NEW")
    assert [one.id for one in record().failing] == ["trigger_ops.C001"]
    row = one_c001()
    assert events(row) == ["opened", "allowed", "changed"]
    assert told(row) == ["opened", "changed"]


def test_an_allowance_covers_a_finding_of_tenants_that_were_changed_in_two_ways(
    names: list[str],
) -> None:
    damage.gut(pgid(INVOICE), schema="tenant_0")
    damage.gut(pgid(INVOICE), schema="tenant_1", returning="NEW")
    record(scope=EVERYWHERE)
    api.allow("C001", owner="ann", reason="INC-12: known", lasts=dt.timedelta(hours=1))
    report = record(scope=EVERYWHERE)
    assert (report.failing, report.exit_code) == ((), 0)


def disable_in(name: str) -> None:
    run(
        "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        table=within(name, "past_invoice"),
        trigger=pgid(INVOICE),
    )


def test_an_allowance_of_one_tenant_does_not_hide_that_others_follow(names: list[str]) -> None:
    disable_in("tenant_0")
    record(scope=EVERYWHERE)
    api.allow("E002", owner="ann", reason="INC-12: known", lasts=dt.timedelta(hours=1))
    assert record(scope=EVERYWHERE).exit_code == 0
    disable_in("tenant_1")
    for report in (api.check(databases=["default"], scope=EVERYWHERE), record(scope=EVERYWHERE)):
        (failing,) = report.failing
        assert (failing.id, failing.count, failing.allowance) == ("trigger_ops.E002", 2, None)
        assert failing.outgrown is not None
        assert "allowed no more: ann answered for 1 place" in as_text(report, colour=False)
    row = DriftFinding.objects.get(code="trigger_ops.E002")
    assert (events(row), row.allowed) == (["opened", "allowed", "grew"], False)
    assert told(row) == ["opened", "grew"]
    assert api.last_run(dt.timedelta(hours=1), databases=["default"]).exit_code == 1
    assert [one.code for one in api.open_findings() if one.level is Level.ERROR] == [row.code]

    api.allow("E002", owner="ann", reason="INC-12: both known", lasts=dt.timedelta(hours=1))
    assert record(scope=EVERYWHERE).exit_code == 0
    disable_in("tenant_2")
    assert record(scope=EVERYWHERE).exit_code == 0  # not twice as many yet
    disable_in("tenant_3")
    assert record(scope=EVERYWHERE).exit_code == 1
