"""Ways round a check that reads bodies alone: settings, owners, overloads, look-alikes."""

from __future__ import annotations

import pytest

from demo_site.past.models import Invoice
from demo_site.tutorial.models import FSM
from tests import damage
from tests.damage import pgid, run, stock_line, within
from tests.weaknesses.acts import delete_an_invoice, make_operator
from tests.weaknesses.expectations import (
    INVOICE,
    assert_clean,
    assert_refused,
    bad,
    check,
    facets,
    only,
    repair_and_check,
    the,
    tried,
)
from trigger_ops.states import Level

in_transaction = pytest.mark.django_db

FSM_URI = "tutorial.FSM:validate_status_transitions"


FUNCTION_DAMAGE = {
    "security definer": ("SECURITY DEFINER", "C005", ("security",)),
    "evil search_path": ("SET search_path = evil, public", "C005", ("security",)),
    "pg_catalog last": ("SET search_path = public, pg_catalog", "C005", ("security",)),
    "pg_temp first": ("SET search_path = pg_temp, public", "C005", ("security",)),
    "another setting": ("SET row_security = off", "C005", ("security",)),
    "ignores itself": ("SET pgtrigger.ignore = '{{pgtrigger_x}}'", "C003", ("security",)),
    "replica": ("SET session_replication_role = replica", "C003", ("security",)),
    "ignores in capitals": (
        'SET "PGTRIGGER"."IGNORE" = \'{{pgtrigger_x}}\'',
        "C003",
        ("security",),
    ),
}


@in_transaction
@pytest.mark.parametrize("case", FUNCTION_DAMAGE)
def test_a_trigger_function_with_settings_of_its_own(case: str) -> None:
    clause, code, changed = FUNCTION_DAMAGE[case]
    run("CREATE SCHEMA evil")
    run(f"ALTER FUNCTION {{function}}() {clause}", function=within("public", pgid(FSM_URI)))
    assert stock_line(FSM_URI) == "INSTALLED ENABLED"
    finding = only(check(), code, FSM_URI)
    assert finding.facets == facets(*changed)
    assert finding.level is Level.CRITICAL
    damage.stock("install", FSM_URI)
    run("ALTER FUNCTION {function}() RESET ALL", function=within("public", pgid(FSM_URI)))
    assert_clean(check())


@in_transaction
@pytest.mark.parametrize("path", ["pg_catalog, public, pg_temp", "public", "public, pg_temp"])
def test_a_search_path_pinned_for_safety_is_no_finding(path: str) -> None:
    run(
        f"ALTER FUNCTION {{function}}() SET search_path = {path}",
        function=within("public", pgid(FSM_URI)),
    )
    assert_clean(check())


@in_transaction
def test_a_pinned_path_with_pg_catalog_last_lets_an_operator_open_the_state_machine() -> None:
    """Why `public, pg_catalog` is no harmless pin: operators of public then come first."""
    row = FSM.objects.create(status="inactive")
    assert_refused(lambda: FSM.objects.filter(pk=row.pk).update(status="published"))
    make_operator("=", "text", "text", schema="public")
    run(
        "ALTER FUNCTION {function}() SET search_path = public, pg_catalog",
        function=within("public", pgid(FSM_URI)),
    )
    found = {one for one, _ in bad(check())}
    assert found == {"trigger_ops.C005", "trigger_ops.W011"}


@in_transaction
def test_a_function_that_belongs_to_a_stranger_can_be_replaced_by_him() -> None:
    stranger = damage.make_role("stranger")
    run(
        "ALTER FUNCTION {function}() OWNER TO {role}",
        function=within("public", pgid(INVOICE)),
        role=stranger,
    )
    finding = only(check(), "C005", INVOICE)
    assert finding.facets == facets("owner")
    assert stranger in finding.message
    damage.stock("install", INVOICE)
    run(
        "ALTER FUNCTION {function}() OWNER TO CURRENT_USER",
        function=within("public", pgid(INVOICE)),
    )
    assert_clean(check())


IGNORE_DAMAGE = {
    "security definer": "ALTER FUNCTION public._pgtrigger_should_ignore(name) SECURITY DEFINER",
    "setting": "ALTER FUNCTION public._pgtrigger_should_ignore(name) SET pgtrigger.ignore = '{{x}}'",
    "path": "ALTER FUNCTION public._pgtrigger_should_ignore(name) SET search_path = pg_temp",
    "gone, another overload": (
        "ALTER FUNCTION public._pgtrigger_should_ignore(name) RENAME TO elsewhere; "
        "CREATE FUNCTION public._pgtrigger_should_ignore(text) RETURNS boolean LANGUAGE sql "
        "AS 'SELECT true'"
    ),
    "another language": (
        "CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) "
        "RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    ),
}


@in_transaction
@pytest.mark.parametrize("case", IGNORE_DAMAGE)
def test_the_ignore_function_keeps_its_body_and_changes_otherwise(case: str) -> None:
    run(IGNORE_DAMAGE[case])
    report = check()
    assert the(report, "C002").level is Level.CRITICAL
    assert stock_line(INVOICE) == "INSTALLED ENABLED"


@in_transaction
def test_an_overload_beside_the_ignore_function_is_told_and_harmless() -> None:
    run(
        "CREATE FUNCTION public._pgtrigger_should_ignore(text) RETURNS boolean LANGUAGE sql "
        "AS 'SELECT true'"
    )
    assert_refused(delete_an_invoice)
    report = check()
    assert_clean(report)
    finding = the(report, "I007")
    damage.repair(finding)
    assert "trigger_ops.I007" not in {one.id for one in check().findings}


@in_transaction
def test_the_ignore_function_belongs_to_a_stranger() -> None:
    stranger = damage.make_role("stranger")
    run("ALTER FUNCTION public._pgtrigger_should_ignore(name) OWNER TO {role}", role=stranger)
    finding = only(check(), "W012", None)
    assert stranger in finding.message
    damage.repair(finding)
    assert_clean(check())


@in_transaction
def test_some_other_function_that_runs_with_triggers_ignored() -> None:
    """A door for everybody who may call it; it is no trigger function and touches no trigger."""
    run(
        "CREATE FUNCTION public.clean_up() RETURNS void LANGUAGE sql "
        f"SET pgtrigger.ignore = '{{{{{pgid(INVOICE)}}}}}' AS 'DELETE FROM past_invoice'"
    )
    Invoice.objects.create(number="2026-900", total=1)
    with tried():
        run("SELECT public.clean_up()")
        assert not Invoice.objects.exists()
    finding = only(check(), "C003", None)
    assert '"public"."clean_up"()' in finding.message
    repair_and_check(finding)


@in_transaction
def test_a_renamed_function_with_a_new_one_in_its_place() -> None:
    function = pgid(INVOICE)
    damage.gut("noop")
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE DELETE ON past_invoice FOR EACH ROW "
        "EXECUTE FUNCTION noop()",
        trigger=function,
    )
    run("CREATE SCHEMA evil")
    run("ALTER FUNCTION noop() SET SCHEMA evil")
    run("ALTER FUNCTION evil.noop() RENAME TO {function}", function=function)
    with tried():
        delete_an_invoice()
    found = {one.rpartition(".")[2] for one, uri in bad(check()) if uri == INVOICE}
    assert found == {"C001", "W008"}
