"""E and F: what our verbs do where stock prunes too much, binds wrongly, or sees nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import makemigrations
from django.db import DatabaseError, connection, migrations, models, transaction
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState
from pgtrigger import registry

from demo_site.past.models import Contract
from tests import damage
from tests.damage import pgid, run, within
from tests.weaknesses.expectations import (
    INVOICE,
    MEASUREMENT,
    assert_clean,
    assert_refused,
    check,
    only,
    the,
    tried,
    trigger_of,
)
from tests.weaknesses.test_orphans import put_by_hand, put_orphan
from tests.weaknesses.test_schemas import delete_a_measurement, partition
from trigger_ops.models import LedgerEntry
from trigger_ops.states import Enabled, Status

pytestmark = pytest.mark.django_db

CONTRACT = "past.Contract:protect_deletes"
LEDGER = "awkward.LedgerEntry:append_only"
ORPHAN = "pgtrigger_protect_signed_0a1b2"


def ours(*arguments: str, **options: Any) -> str:
    """Run one of our verbs; return what it said."""
    said = io.StringIO()
    call_command("pgtrigger", *arguments, stdout=said, stderr=said, **options)
    return said.getvalue()


def refused(*arguments: str) -> str:
    """Run one of our verbs; return the sentence of its refusal."""
    with pytest.raises(CommandError) as caught:
        ours(*arguments)
    assert caught.value.returncode == 4
    return str(caught.value)


def triggers_named(name: str) -> list[tuple[str, str]]:
    """Return schema and table of every trigger of a name."""
    return [
        (schema, table)
        for schema, table in run(
            "SELECT n.nspname::text, c.relname::text FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE t.tgname = %s ORDER BY 1, 2",
            name,
        )
    ]


def functions_named(name: str) -> list[str]:
    """Return the schemas of every function of a name."""
    return [
        schema
        for (schema,) in run(
            "SELECT n.nspname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE p.proname = %s ORDER BY 1",
            name,
        )
    ]


# E: what is pruned -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["install", "uninstall", "prune"])
def test_e1_another_projects_triggers_in_the_same_database_live_on(verb: str) -> None:
    name = "pgtrigger_immutable_30c34"
    run("CREATE TABLE app2_invoice (id int)")
    put_orphan(name, "app2_invoice")
    with tried():
        damage.stock(verb)
        assert triggers_named(name) == []
    ours(verb)
    assert triggers_named(name) == [("public", "app2_invoice")]
    assert functions_named(name) == ["public"]


@pytest.mark.parametrize("name", ["pgtriggers2audit", "pgtrigger_dba_audit"])
def test_e2_a_hand_made_trigger_goes_only_if_named_and_allowed(name: str) -> None:
    put_by_hand(name)
    with tried():
        damage.stock("prune")
        assert triggers_named(name) == []
    for verb in ("prune", "install", "uninstall"):
        with tried():
            ours(verb)
            assert triggers_named(name) == [("public", "past_contract")]
    uri = f"past_contract:{name}"
    assert "add --allow DROPS_FOREIGN" in refused("prune", uri)
    assert triggers_named(name) == [("public", "past_contract")]
    assert f"dropped {uri}" in ours("prune", uri, "--allow", "DROPS_FOREIGN")
    assert triggers_named(name) == []
    assert functions_named("dba_function") == ["public"]


def test_e3_a_mixed_case_trigger_that_is_said_to_be_dropped_is_gone() -> None:
    name = "pgtrigger_Audit"
    put_by_hand(name)
    with tried():
        damage.stock("prune")
        assert triggers_named(name) == [("public", "past_contract")]
    (definition,) = run("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", name)
    ours("prune", f"past_contract:{name}", "--allow", "drops_foreign")
    assert triggers_named(name) == []
    entry = LedgerEntry.objects.get(kind="statement", trigger=name)
    with connection.cursor() as cursor:
        cursor.execute(entry.undo)
    assert run("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", name) == [
        definition
    ]


def test_e4_a_trigger_of_a_table_with_a_schema_in_its_name_survives_its_own_install() -> None:
    run("SET LOCAL search_path = public, ledger")
    with tried():
        damage.stock("install")
        assert triggers_named(pgid(LEDGER)) == []
    assert "0 dropped" not in ours("install")
    assert triggers_named(pgid(LEDGER)) == [("ledger", "entry")]
    ours("prune")
    assert triggers_named(pgid(LEDGER)) == [("ledger", "entry")]
    ours("uninstall", LEDGER)
    ours("install", LEDGER)
    assert triggers_named(pgid(LEDGER)) == [("ledger", "entry")]
    assert functions_named(pgid(LEDGER)) == ["ledger"]


@pytest.mark.parametrize(
    "arguments", [("-s", "sch"), ("--all-schemas",), (f"sch.past_contract:{ORPHAN}",)]
)
def test_e5_an_orphan_in_another_schema_goes_when_somebody_looks_there(
    arguments: tuple[str, ...],
) -> None:
    run("CREATE SCHEMA sch")
    run("CREATE TABLE sch.past_contract (id int)")
    put_orphan(ORPHAN, "past_contract", schema="sch")
    with tried():
        damage.stock("prune")
        assert triggers_named(ORPHAN) == [("sch", "past_contract")]
    ours("prune")
    ours("install")
    assert triggers_named(ORPHAN) == [("sch", "past_contract")]
    ours("prune", *arguments)
    assert triggers_named(ORPHAN) == []
    assert functions_named(ORPHAN) == []


@pytest.fixture
def contract_undeclared() -> Iterator[str]:
    """Take a trigger out of the code; return the name that the migrations still know it by."""
    name = pgid(CONTRACT)
    ((model, trigger),) = pgtrigger.registered(CONTRACT)
    registry.delete(CONTRACT)
    yield name
    registry.set(CONTRACT, model=model, trigger=trigger)


def test_e6_a_function_goes_with_the_last_trigger_that_executes_it() -> None:
    with tried():
        damage.stock("uninstall", INVOICE)
        assert functions_named(pgid(INVOICE)) == ["public"]
    ours("uninstall", INVOICE)
    assert functions_named(pgid(INVOICE)) == []


def test_e6_a_function_that_another_trigger_executes_stays() -> None:
    run(
        "CREATE TRIGGER somebody_elses BEFORE DELETE ON past_customer FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        function=pgid(INVOICE),
    )
    ours("uninstall", INVOICE)
    assert triggers_named(pgid(INVOICE)) == []
    assert functions_named(pgid(INVOICE)) == ["public"]


def test_e6_a_function_that_stock_left_is_pruned_and_can_be_had_back(
    contract_undeclared: str,
) -> None:
    run("DROP TRIGGER {name} ON past_contract", name=contract_undeclared)
    run("CREATE FUNCTION pgtrigger_dba_12345() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
    ours("prune")
    assert functions_named(contract_undeclared) == ["public"]
    dry = ours("prune", "--functions", "--dry-run")
    assert f'DROP FUNCTION "public"."{contract_undeclared}"()' in dry
    (definition,) = run(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", contract_undeclared
    )
    ours("prune", "--functions")
    assert functions_named(contract_undeclared) == []
    assert functions_named("pgtrigger_dba_12345") == ["public"]
    entry = LedgerEntry.objects.get(kind="statement", trigger=contract_undeclared)
    with connection.cursor() as cursor:
        cursor.execute(entry.undo)
    assert run(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", contract_undeclared
    ) == [definition]


def test_e6_functions_of_orphans_go_with_them_in_one_command(contract_undeclared: str) -> None:
    ours("prune", "--functions")
    assert triggers_named(contract_undeclared) == functions_named(contract_undeclared) == []


class _Renaming(MigrationQuestioner):
    def ask_rename_model(self, *_: object) -> bool:
        return True


def rename_by_migration(old: str, model: type[models.Model]) -> None:
    """Make a model of another name with its triggers, then rename it as a migration does."""
    app, name = model._meta.app_label, model._meta.object_name or ""
    run("DROP TABLE {table} CASCADE", table=model._meta.db_table)
    state = migrations.state.ModelState.from_model(model)
    before, after = ProjectState(), ProjectState()
    former = state.clone()
    former.name = old
    before.add_model(former)
    after.add_model(state)
    current = ProjectState()
    for start, end in ((ProjectState(), before), (before, after)):
        detector = makemigrations.MigrationAutodetector(start.clone(), end.clone(), _Renaming())
        for migration in detector._detect_changes()[app]:
            for operation in migration.operations:
                reached = current.clone()
                operation.state_forwards(app, reached)
                with connection.schema_editor(atomic=False) as editor:
                    operation.database_forwards(app, editor, current, reached)
                current = reached
    assert name.lower() in {model for _, model in current.models}


def test_e7_a_renamed_model_is_left_with_one_generation_of_its_trigger() -> None:
    rename_by_migration("Agreement", Contract)
    names = [
        name
        for (name,) in run(
            "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'past_contract'::regclass "
            "AND NOT tgisinternal ORDER BY tgname = %s DESC",
            pgid(CONTRACT),
        )
    ]
    current, old = names
    assert current == pgid(CONTRACT)
    finding = only(check(), "W005", f"past_contract:{old}")
    damage.repair(finding)
    assert triggers_named(old) == functions_named(old) == []
    assert triggers_named(current) == [("public", "past_contract")]
    assert_clean(check())


# E: when pruning is a hazard -------------------------------------------------------------------


@pytest.fixture
def nothing_registered() -> Iterator[str]:
    """Let the code register no trigger; return the name of one that the database has."""
    name = pgid(INVOICE)
    everything = pgtrigger.registered()
    for model, trigger in everything:
        registry.delete(trigger.get_uri(model))
    yield name
    for model, trigger in everything:
        registry.set(trigger.get_uri(model), model=model, trigger=trigger)


def test_an_empty_registry_prunes_nothing_unless_told(nothing_registered: str) -> None:
    before = run("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger%%'")
    assert "add --allow EMPTY_REGISTRY" in refused("prune")
    for verb in ("install", "uninstall"):
        assert "Nothing is pruned: The code registers no trigger at all" in ours(verb)
    assert run("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger%%'") == before
    assert "dropped" in ours("prune", "--allow", "EMPTY_REGISTRY")
    assert run("SELECT 1 FROM pg_trigger WHERE tgname = %s", nothing_registered) == []


def test_more_than_half_is_pruned_only_when_told() -> None:
    ours("uninstall")
    ours("install", INVOICE)
    put_orphan(ORPHAN, "past_contract")
    assert "DROP TRIGGER" in ours("prune", "--dry-run")
    put_orphan("pgtrigger_protect_other_0a1b3", "past_contract")
    assert "2 of the 3 triggers" in refused("prune")
    assert "add --allow PRUNES_MOST" in refused("prune")
    with tried():
        ours("uninstall")
        assert triggers_named(ORPHAN) == []
    with tried():
        assert "prune: 2 dropped" in ours("prune", "--allow", "PRUNES_MOST")
        assert triggers_named(ORPHAN) == []
    assert "prune: 1 dropped" in ours("prune", f"past_contract:{ORPHAN}")


def test_an_install_of_everything_warns_where_a_prune_would_be_refused() -> None:
    for number in range(100):
        put_orphan(f"pgtrigger_protect_signed_{number:05x}", "past_contract")
    said = ours("install")
    assert "Nothing is pruned: 100 of the " in said
    assert "Run manage.py pgtrigger prune to decide." in said
    count = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_protect_signed_%%'"
    assert run(count) == [(100,)]
    ours("prune", "--allow", "prunes_most")
    assert run(count) == [(0,)]


@pytest.mark.parametrize(("prunes", "left"), [(True, []), (False, [("public", "past_contract")])])
@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_bare_install_prunes_own_orphans_as_the_setting_says(
    verb: str, prunes: bool, left: list[tuple[str, str]], settings: Any
) -> None:
    settings.PGTRIGGER_PRUNE_ON_INSTALL = prunes
    put_orphan(ORPHAN, "past_contract")
    with tried():
        damage.stock(verb)
        assert triggers_named(ORPHAN) == left
    with tried():
        ours(verb, "past")
        assert triggers_named(ORPHAN) == [("public", "past_contract")]
    ours(verb)
    assert triggers_named(ORPHAN) == left


# F: schemas, tenants, partitions ---------------------------------------------------------------


def function_schema(uri: str = INVOICE, table: str = "public.past_invoice") -> str:
    ((schema,),) = run(
        "SELECT n.nspname::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        "JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE t.tgname = %s AND t.tgrelid = %s::regclass",
        pgid(uri),
        table,
    )
    return str(schema)


def test_f1_a_shared_table_is_never_bound_to_a_tenants_schema() -> None:
    run("CREATE SCHEMA t1")
    with tried():
        run("SET LOCAL search_path = t1, public")
        damage.stock("install", INVOICE)
        assert function_schema() == "t1"
    ours("uninstall", INVOICE)
    ours("install", INVOICE, "-s", "t1", "-s", "public")
    assert function_schema() == "public"
    run("DROP SCHEMA t1 CASCADE")
    assert_clean(check())


def test_f1_a_shared_table_that_stock_bound_to_a_tenant_is_brought_home() -> None:
    run("CREATE SCHEMA t1")
    run("SET LOCAL search_path = t1, public")
    damage.stock("install", INVOICE)
    run("SET LOCAL search_path = DEFAULT")
    assert "function" in ours("install", INVOICE)
    assert function_schema() == "public"
    run("DROP SCHEMA t1 CASCADE")
    assert_clean(check())


def test_f2_one_command_installs_in_every_tenant() -> None:
    tenants = [f"tenant_{number}" for number in range(5)]
    for tenant in tenants:
        run("CREATE SCHEMA {schema}", schema=tenant)
        run(
            "CREATE TABLE {table} (LIKE public.past_invoice INCLUDING ALL)",
            table=within(tenant, "past_invoice"),
        )
    with pytest.raises((IndexError, DatabaseError)), transaction.atomic():
        damage.stock("install", INVOICE, "-s", "tenant_0")
    ours("install", INVOICE, "--schema-glob", "tenant_*")
    for tenant in tenants:
        assert function_schema(table=f"{tenant}.past_invoice") == tenant
        run(
            "INSERT INTO {table} (number, total) VALUES ('1', 1)",
            table=within(tenant, "past_invoice"),
        )
        table = within(tenant, "past_invoice")
        assert_refused(lambda table=table: run("DELETE FROM {table}", table=table))  # type: ignore[misc]  # mypy cannot infer a default's type


@pytest.mark.parametrize(
    ("weaken", "mode"),
    [
        (lambda: run("ALTER TABLE {t} DISABLE TRIGGER ALL", t=partition()), Enabled.PARTIAL),
        (
            lambda: run("ALTER TABLE ONLY awkward_measurement DISABLE TRIGGER ALL"),
            Enabled.PARTIAL,
        ),
    ],
    ids=["f3: a child disabled", "f4: the parent alone disabled"],
)
def test_f3_and_f4_one_enable_reaches_the_parent_and_every_child(
    weaken: Callable[[], object], mode: Enabled
) -> None:
    weaken()
    assert trigger_of(check(), MEASUREMENT).enabled is mode
    assert "install: 1 unchanged" in ours("install", MEASUREMENT)
    assert trigger_of(check(), MEASUREMENT).enabled is mode
    assert "PARTIAL to ENABLED" in ours("enable", MEASUREMENT)
    assert trigger_of(check(), MEASUREMENT).enabled is Enabled.ENABLED
    assert_refused(delete_a_measurement)
    assert_clean(check())


def test_f4_a_disable_reaches_every_child_and_its_undo_brings_back_what_was() -> None:
    run("ALTER TABLE {t} ENABLE ALWAYS TRIGGER {name}", t=partition(), name=pgid(MEASUREMENT))
    query = "SELECT tgrelid::regclass::text, tgenabled::text FROM pg_trigger WHERE tgname = %s"
    before = sorted(run(query, pgid(MEASUREMENT)))
    ours("disable", MEASUREMENT)
    assert {mode for _, mode in run(query, pgid(MEASUREMENT))} == {"D"}
    with connection.cursor() as cursor:
        cursor.execute(LedgerEntry.objects.get(kind="statement").undo)
    assert sorted(run(query, pgid(MEASUREMENT))) == before


def test_f5_a_detached_partition_is_told_of_and_protected_again_once_attached() -> None:
    bounds = "measurement_2031 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    run(
        "CREATE TABLE measurement_2031 PARTITION OF awkward_measurement "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    )
    place = ("public", "measurement_2031")
    assert place in triggers_named(pgid(MEASUREMENT))
    run("ALTER TABLE awkward_measurement DETACH PARTITION measurement_2031")
    assert place not in triggers_named(pgid(MEASUREMENT))
    assert "measurement_2031" in the(check(), "I009", MEASUREMENT).message
    for verb in ("install", "prune"):
        ours(verb)
    run(f"ALTER TABLE awkward_measurement ATTACH PARTITION {bounds}")
    assert "install: 1 unchanged" in ours("install", MEASUREMENT)
    assert place in triggers_named(pgid(MEASUREMENT))


def test_f6_a_trigger_of_the_same_name_is_no_prey_and_is_dropped_when_named() -> None:
    run("CREATE TABLE measurement_2031 (LIKE awkward_measurement INCLUDING DEFAULTS)")
    name = pgid(MEASUREMENT)
    run(
        "CREATE TRIGGER {trigger} BEFORE DELETE ON measurement_2031 FOR EACH ROW "
        "EXECUTE FUNCTION {trigger}()",
        trigger=name,
    )
    with tried():
        damage.stock("prune")
        assert ("public", "measurement_2031") not in triggers_named(name)
    ours("prune")
    ours("install")
    assert ("public", "measurement_2031") in triggers_named(name)
    uri = f"measurement_2031:{name}"
    assert trigger_of(check(), uri).status is Status.FOREIGN
    assert "add --allow DROPS_FOREIGN" in refused("prune", uri)
    ours("prune", uri, "--allow", "DROPS_FOREIGN")
    assert functions_named(name) == ["public"]
    run(
        "ALTER TABLE awkward_measurement ATTACH PARTITION measurement_2031 "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"
    )
    assert ("public", "measurement_2031") in triggers_named(name)
    assert_clean(check())


def test_an_orphan_goes_by_a_hostile_name() -> None:
    """A name that ends an identifier, and starts a comment, is an identifier all the same."""
    name = 'pgtrigger_odd"name; --_0a1b2'
    run('CREATE TABLE "odd""table; --" (id int)')
    put_by_hand(name, table='odd"table; --')
    uri = f'"odd""table; --":{name}'
    assert trigger_of(check(), uri).status is Status.FOREIGN
    ours("prune", uri, "--allow", "DROPS_FOREIGN")
    assert triggers_named(name) == []
