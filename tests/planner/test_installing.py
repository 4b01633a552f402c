"""What an install takes, facet by facet: the least SQL, and the least lock."""

from __future__ import annotations

import pgtrigger
import pytest

from demo_site.awkward.models import Measurement, OrderLine
from demo_site.past.models import Customer
from tests.damage import pgid, run, stock, within
from tests.planner import acts
from tests.planner.damages import DAMAGES, MODES
from trigger_ops.exceptions import Refused
from trigger_ops.inspection import Scope
from trigger_ops.planner import Step
from trigger_ops.states import Enabled, Facet, Hazard, Lock, Result, Status, Verb

pytestmark = pytest.mark.django_db

INVOICE = "past.Invoice:protect_deletes"
POSTING = "awkward.Posting:check_balance"
MEASUREMENT = "awkward.Measurement:protect_deletes"
ENTRY = "awkward.LedgerEntry:append_only"
LINE = "awkward.OrderLine:read_only_article"
VIEW = "awkward.OpenOrderLine:delete_marks_done"
ARTICLE = "awkward.Article:update_search_vector"
COMPOSER = "tutorial.StatementComposer:log_int_changes"

FUNCTION = ("CREATE OR REPLACE FUNCTION", "NONE")
OWNER = ("ALTER FUNCTION", "NONE")
REPLACE = ("CREATE OR REPLACE TRIGGER", "SHARE ROW EXCLUSIVE")
CREATE = ("CREATE TRIGGER", "SHARE ROW EXCLUSIVE")
CONSTRAINT = ("CREATE CONSTRAINT TRIGGER", "SHARE ROW EXCLUSIVE")
COMMENT = ("COMMENT ON TRIGGER", "NONE")
DROP = ("DROP TRIGGER", "ACCESS EXCLUSIVE")
DROP_FUNCTION = ("DROP FUNCTION", "NONE")
SWITCH = ("ALTER TABLE", "SHARE ROW EXCLUSIVE")
SWITCH_ONE = ("ALTER TABLE ONLY", "SHARE ROW EXCLUSIVE")

HOSTILE = 'odd"name; --'


def damage(uri: str, *acts_done: str) -> None:
    for name in acts_done:
        live = acts.inspected(uri).installed
        assert live is not None
        assert {**DAMAGES, **MODES}[name](live)


def plan_for(uri: str) -> Step:
    return acts.the_step(acts.make(Verb.INSTALL, uri), uri)


BY_FACET = [
    ((Facet.BODY,), INVOICE, ["body"], [FUNCTION]),
    ((Facet.CONDITION,), INVOICE, ["condition"], [REPLACE]),
    ((Facet.TIMING,), INVOICE, ["timing"], [REPLACE]),
    ((Facet.EVENTS,), INVOICE, ["events"], [REPLACE]),
    ((Facet.LEVEL,), INVOICE, ["level"], [REPLACE]),
    ((Facet.EVENTS, Facet.COLUMNS), INVOICE, ["columns"], [REPLACE]),
    ((Facet.ARGUMENTS,), INVOICE, ["arguments"], [REPLACE]),
    ((Facet.TIMING, Facet.DEFERRAL), INVOICE, ["deferral"], [DROP, CREATE, COMMENT]),
    ((Facet.DEFERRAL,), POSTING, ["deferral"], [DROP, CONSTRAINT, COMMENT]),
    ((Facet.TRANSITION,), COMPOSER, ["transition"], [REPLACE]),
    ((Facet.FUNCTION,), INVOICE, ["function"], [FUNCTION, REPLACE]),
    ((Facet.SECURITY,), INVOICE, ["security"], [FUNCTION]),
    ((Facet.OWNER,), INVOICE, ["owner"], [OWNER]),
    ((Facet.COMMENT,), INVOICE, ["comment"], [COMMENT]),
    ((Facet.COMMENT,), INVOICE, ["another_comment"], [COMMENT]),
    ((Facet.ENABLED,), INVOICE, ["disabled"], []),
    ((Facet.BODY,), INVOICE, ["body", "comment"], [FUNCTION, COMMENT]),
    ((Facet.BODY, Facet.OWNER), INVOICE, ["body", "owner"], [FUNCTION, OWNER]),
    ((Facet.BODY, Facet.CONDITION), INVOICE, ["body", "condition"], [FUNCTION, REPLACE]),
    ((Facet.FUNCTION,), INVOICE, ["function", "comment"], [FUNCTION, REPLACE, COMMENT]),
    ((Facet.BODY,), POSTING, ["body"], [FUNCTION]),
    ((Facet.OWNER,), POSTING, ["owner"], [OWNER]),
    ((Facet.COMMENT,), POSTING, ["comment"], [COMMENT]),
    ((Facet.CONDITION,), POSTING, ["condition"], [DROP, CONSTRAINT, COMMENT]),
    ((Facet.CONDITION,), POSTING, ["condition", "always"], [DROP, CONSTRAINT, SWITCH_ONE, COMMENT]),
    ((Facet.CONDITION,), INVOICE, ["condition", "disabled"], [REPLACE, SWITCH_ONE]),
    ((Facet.CONDITION,), INVOICE, ["condition", "always"], [REPLACE, SWITCH_ONE]),
    ((Facet.BODY,), INVOICE, ["body", "disabled"], [FUNCTION]),
    ((Facet.BODY,), VIEW, ["body"], [FUNCTION]),
    ((Facet.EVENTS,), VIEW, ["events"], [REPLACE]),
    ((Facet.ARGUMENTS,), ARTICLE, ["arguments"], [REPLACE]),
    ((Facet.FUNCTION,), ARTICLE, ["function"], [REPLACE]),
    ((Facet.CONDITION,), LINE, ["condition"], [REPLACE]),
]  # as a table  # fmt: skip


@pytest.mark.parametrize(("facets", "uri", "damages", "expected"), BY_FACET)
def test_only_what_differs_is_changed_under_the_least_lock(
    facets: tuple[Facet, ...], uri: str, damages: list[str], expected: list[tuple[str, str]]
) -> None:
    damage(uri, *damages)
    assert set(facets) <= set(acts.inspected(uri).facets)
    step = plan_for(uri)
    assert acts.lines(step) == expected
    assert step.result is (Result.REPLACED if expected else Result.UNCHANGED)
    assert all(one.undo and one.reason for one in step.statements if one.sql[:5] != "ALTER")
    if expected:
        acts.assert_round_trip(uri)


def test_every_facet_has_a_case() -> None:
    assert {facet for facets, *_ in BY_FACET for facet in facets} == set(Facet)


def test_what_is_installed_is_left_alone_and_said_to_be() -> None:
    plan = acts.make(Verb.INSTALL)
    assert (plan.work, plan.hazards, plan.obstacles) == ((), {}, ())
    assert {one.result for one in plan.steps} == {Result.UNCHANGED, Result.SKIPPED}
    (skipped,) = [one for one in plan.steps if one.result is Result.SKIPPED]
    assert skipped.reason == 'the routers do not allow its model on "default"'


def test_a_mode_that_an_install_leaves_is_named_with_the_verb_that_changes_it() -> None:
    damage(INVOICE, "disabled")
    step = plan_for(INVOICE)
    assert not step.is_work
    assert step.reason == "it is DISABLED, and stays so: enable changes that"


def test_the_exact_sql_of_a_missing_trigger() -> None:
    damage(INVOICE, "dropped_with_its_function")
    step = plan_for(INVOICE)
    function, trigger, comment = (one.sql for one in step.statements)
    name = pgid(INVOICE)
    assert step.result is Result.CREATED
    assert function.startswith(
        f'CREATE OR REPLACE FUNCTION "public"."{name}"() RETURNS trigger LANGUAGE plpgsql AS $$'
    )
    assert trigger == (
        f'CREATE TRIGGER "{name}" BEFORE DELETE ON "public"."past_invoice"   FOR EACH ROW  '
        f'EXECUTE FUNCTION "public"."{name}"()'
    ).replace("   FOR", " FOR").replace("ROW  EXE", "ROW EXE")
    assert comment.startswith(f'COMMENT ON TRIGGER "{name}" ON "public"."past_invoice" IS ')
    assert [one.undo for one in step.statements[:2]] == [
        f'DROP FUNCTION "public"."{name}"()',
        f'DROP TRIGGER "{name}" ON "public"."past_invoice"',
    ]
    acts.assert_round_trip(INVOICE)


def test_a_function_that_outlived_its_trigger_is_what_taking_back_brings() -> None:
    """And its owner, who could replace the body, is not kept."""
    damage(INVOICE, "body", "owner", "dropped")
    step = plan_for(INVOICE)
    assert acts.lines(step) == [FUNCTION, OWNER, CREATE, COMMENT]
    acts.assert_round_trip(INVOICE)


@pytest.mark.parametrize("uri", [ENTRY, LINE, VIEW, ARTICLE, POSTING, COMPOSER])
def test_awkward_triggers_are_created_whole(uri: str) -> None:
    damage(uri, "dropped_with_its_function")
    assert plan_for(uri).result is Result.CREATED
    acts.assert_round_trip(uri)


def test_the_function_of_a_table_in_another_schema_lands_there() -> None:
    """Stock puts it first on the search_path; that is left alone until it has to be replaced."""
    live = acts.inspected(ENTRY).installed
    assert live is not None
    assert (live.schema, live.function_schema) == ("ledger", "public")
    assert not plan_for(ENTRY).is_work
    damage(ENTRY, "body")
    assert acts.lines(plan_for(ENTRY)) == [FUNCTION, REPLACE, DROP_FUNCTION]
    acts.assert_round_trip(ENTRY)
    acts.install(ENTRY)
    live = acts.inspected(ENTRY).installed
    assert live is not None
    assert live.function_schema == "ledger"


def test_a_function_that_another_trigger_executes_too_is_not_dropped_when_ours_moves() -> None:
    damage(INVOICE, "moved")
    run(
        "CREATE TRIGGER theirs BEFORE DELETE ON past_receipt FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        function=within(HOSTILE, pgid(INVOICE)),
    )
    step = plan_for(INVOICE)
    assert acts.lines(step) == [FUNCTION, REPLACE]
    acts.assert_round_trip(INVOICE)


def test_a_harmless_pinned_search_path_is_kept_when_the_body_is_mended() -> None:
    name = pgid(INVOICE)
    damage(INVOICE, "body")
    run("ALTER FUNCTION {f}() SET search_path = pg_catalog, public, pg_temp", f=name)
    acts.assert_round_trip(INVOICE)
    acts.install(INVOICE)
    live = acts.inspected(INVOICE).installed
    assert live is not None
    assert live.function_settings == ("search_path=pg_catalog, public, pg_temp",)


def test_modes_of_clones_are_each_put_back() -> None:
    damage(MEASUREMENT, "condition", "one by one")
    step = plan_for(MEASUREMENT)
    live = acts.inspected(MEASUREMENT).installed
    assert live is not None
    assert live.mode is Enabled.PARTIAL
    odd = sum(one.enabled != "O" for one in (live, *live.clones))
    assert odd >= 3
    assert acts.lines(step) == [REPLACE, *[SWITCH_ONE] * odd]
    acts.assert_round_trip(MEASUREMENT)


def test_a_partition_whose_copy_was_taken_away_gets_it_back_in_the_mode_of_the_others() -> None:
    damage(MEASUREMENT, "disabled")
    live = acts.inspected(MEASUREMENT).installed
    assert live is not None
    leaf = next(one for one in live.clones if "2024" in one.table)
    run("DELETE FROM pg_depend WHERE objid = %s OR refobjid = %s", leaf.oid, leaf.oid)
    run("DELETE FROM pg_trigger WHERE oid = %s", leaf.oid)
    acts.install(MEASUREMENT)
    after = acts.inspected(MEASUREMENT).installed
    assert after is not None
    assert {one.table for one in after.clones} == {one.table for one in live.clones}
    assert after.mode is Enabled.DISABLED


def test_a_row_trigger_of_partitions_that_code_wants_for_statements_leaves_no_copies() -> None:
    """PostgreSQL's CREATE OR REPLACE would leave them on the partitions, firing for each row."""
    func = "RETURN NULL;"
    after = pgtrigger.Trigger(
        name="once", when=pgtrigger.After, operation=pgtrigger.Delete, func=func,
        level=pgtrigger.Statement,
    )  # as a table  # fmt: skip
    with acts.registered(after, Measurement) as uri:
        acts.install(uri)
        damage(uri, "dropped")
        run(
            "CREATE TRIGGER {t} AFTER DELETE ON awkward_measurement FOR EACH ROW "
            "EXECUTE FUNCTION {t}()",
            t=pgid(uri),
        )
        assert acts.lines(plan_for(uri)) == [DROP, CREATE, COMMENT]
        acts.assert_round_trip(uri)
        acts.install(uri)
        assert run("SELECT count(*) FROM pg_trigger WHERE tgname = %s", pgid(uri)) == [(1,)]


def test_copies_that_somebodys_replacement_left_on_partitions_go() -> None:
    name = pgid(MEASUREMENT)
    run(
        "CREATE OR REPLACE TRIGGER {t} BEFORE DELETE ON awkward_measurement FOR EACH STATEMENT "
        "EXECUTE FUNCTION {t}()",
        t=name,
    )
    acts.install(MEASUREMENT)
    acts.assert_installed(MEASUREMENT)


@pytest.mark.parametrize("schema", ["tenant", HOSTILE, "Tenant One"])
def test_a_schema_of_any_name_gets_its_trigger_and_its_function(schema: str) -> None:
    run("CREATE SCHEMA {schema}", schema=schema)
    run(
        "CREATE TABLE {table} (LIKE public.past_invoice INCLUDING ALL)",
        table=within(schema, "past_invoice"),
    )
    for scope in (Scope(path=(schema,)), Scope(glob=f"{schema[:4]}*")):
        before = acts.state()
        plan = acts.install(INVOICE, scope=scope)
        step = acts.the_step(plan, INVOICE)
        assert (step.schema, step.result) == (schema, Result.CREATED)
        assert {one.function for one in step.statements} == {None, (schema, pgid(INVOICE))}
        acts.take_back(plan)
        acts.assert_same(acts.state(), before)


def test_hostile_names_in_what_is_taken_back_are_only_names() -> None:
    run("ALTER TABLE past_customer ADD COLUMN {column} int", column=HOSTILE)
    customer = "past.Customer:read_only_email"
    run("CREATE SCHEMA {schema}", schema=HOSTILE)
    run(
        "CREATE FUNCTION {f}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f=within(HOSTILE, HOSTILE),
    )
    run(
        "CREATE OR REPLACE TRIGGER {t} AFTER UPDATE OF {column} ON past_customer FOR EACH ROW "
        "WHEN (NEW.{column} > 1 AND OLD.name <> ' EXECUTE FUNCTION x() %%s') "
        "EXECUTE FUNCTION {f}('$$', 'it''s', %s)",
        HOSTILE,
        t=pgid(customer),
        column=HOSTILE,
        f=within(HOSTILE, HOSTILE),
    )
    acts.assert_round_trip(customer)


def test_names_in_a_body_never_end_its_quotes() -> None:
    """The hostile body goes into the undo, where it has to come back byte for byte."""
    damage(INVOICE, "body")
    step = plan_for(INVOICE)
    (function,) = step.statements
    assert "$$ ' \\" not in function.sql
    acts.assert_round_trip(INVOICE)


def test_a_missing_table_is_skipped_or_refused_if_it_was_named() -> None:
    run("DROP TABLE past_shipment")
    uri = "past.Shipment:protect_deletes"
    everything = acts.the_step(acts.make(Verb.INSTALL), uri)
    named = plan_for(uri)
    why = "its table is missing: run manage.py migrate first"
    assert (everything.result, everything.reason) == (Result.SKIPPED, why)
    assert (named.result, named.reason) == (Result.FAILED, why)


def test_a_condition_that_only_the_installed_table_can_verify_is_remembered_by_the_install() -> (
    None
):
    """A whole row passed to a function fits no stand-in: W004, until we install it ourselves."""
    run("CREATE FUNCTION is_odd(past_customer) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    trigger = pgtrigger.Protect(
        name="odd", operation=pgtrigger.Delete, condition=pgtrigger.Condition("is_odd(OLD)")
    )
    trigger.condition = pgtrigger.Condition("(is_odd(OLD))")
    with acts.registered(trigger, Customer) as uri:
        stock("install", uri)
        assert acts.inspected(uri).status is Status.UNKNOWN
        damage(uri, "dropped")
        acts.carry_out(acts.make(Verb.INSTALL, uri))
        after = acts.inspected(uri)
        assert (after.status, after.facets) == (Status.INSTALLED, ())
        damage(uri, "condition")
        assert Facet.CONDITION in acts.inspected(uri).facets


# The function that all triggers ask

IGNORE = "_pgtrigger_should_ignore"


def ignoring(plan_selectors: tuple[str, ...] = ()) -> list[Step]:
    plan = acts.make(Verb.INSTALL, *plan_selectors)
    return [one for one in plan.steps if one.trigger == IGNORE]


def test_the_ignore_function_is_left_alone_while_it_is_pgtriggers_own() -> None:
    damage(INVOICE, "dropped_with_its_function")
    assert ignoring() == []


def test_an_ignore_function_that_was_changed_is_replaced_once_and_first() -> None:
    run("CREATE OR REPLACE FUNCTION {f}(trigger_name name) RETURNS boolean LANGUAGE plpgsql "
        "AS 'BEGIN RETURN true; END'", f=IGNORE)  # a statement  # fmt: skip
    damage(INVOICE, "body")
    (step,) = ignoring((INVOICE,))
    assert acts.lines(step) == [FUNCTION]
    plan = acts.make(Verb.INSTALL, INVOICE)
    assert [one.trigger for one in plan.work] == [IGNORE, pgid(INVOICE)]
    assert plan.hazards == {}
    acts.assert_round_trip(INVOICE)


def test_a_missing_ignore_function_is_created_and_taking_back_leaves_it() -> None:
    """Without it every statement on a guarded table fails: nobody wants that back."""
    run("DROP FUNCTION {f}(name)", f=IGNORE)
    (step,) = ignoring()
    assert (step.result, [one.undo for one in step.statements]) == (Result.CREATED, [""])
    acts.install()


@pytest.mark.parametrize("verb", [Verb.UNINSTALL, Verb.ENABLE, Verb.DISABLE])
def test_other_verbs_leave_the_ignore_function_alone(verb: Verb) -> None:
    run("DROP FUNCTION {f}(name)", f=IGNORE)
    assert not [one for one in acts.make(verb).steps if one.trigger == IGNORE]


def test_an_ignore_function_in_another_schema_is_where_the_settings_say(
    settings: pytest.FixtureRequest,
) -> None:
    run("CREATE SCHEMA tools")
    settings.PGTRIGGER_SCHEMA = "tools"  # type: ignore[attr-defined]  # pytest-django's settings take any name
    plan = acts.make(Verb.INSTALL, INVOICE)
    found = [one for one in plan.steps if one.trigger == IGNORE and one.schema == "tools"]
    assert [one.result for one in found] == [Result.CREATED]
    acts.carry_out(plan)
    acts.assert_installed(INVOICE)


# Functions that somebody else executes


def make_theirs() -> None:
    """Let a table of another project execute our trigger's function."""
    run("CREATE TABLE their_table (id int)")
    run(
        "CREATE TRIGGER {t} BEFORE DELETE ON their_table FOR EACH ROW EXECUTE FUNCTION {t}()",
        t=pgid(INVOICE),
    )
    run(
        "COMMENT ON TRIGGER {t} ON their_table IS %s",
        "0123456789abcdef0123456789abcdef01234567",
        t=pgid(INVOICE),
    )


@pytest.mark.parametrize("damages", [["body"], ["security"], ["body", "dropped"]])
def test_replacing_a_function_that_others_execute_too_has_to_be_allowed(
    damages: list[str],
) -> None:
    make_theirs()
    assert acts.make(Verb.INSTALL, INVOICE).hazards == {}
    damage(INVOICE, *damages)
    plan = acts.make(Verb.INSTALL, INVOICE)
    assert set(plan.hazards) == {Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS}
    before = acts.state()
    with pytest.raises(Refused, match="--allow REPLACES_SHARED_FUNCTION_OF_OTHERS"):
        acts.carry_out(plan)
    acts.assert_same(acts.state(), before)
    acts.carry_out(plan, Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS)
    acts.assert_installed(INVOICE)


def test_other_facets_need_no_leave_of_those_who_share_the_function() -> None:
    make_theirs()
    damage(INVOICE, "condition", "comment")
    assert acts.make(Verb.INSTALL, INVOICE).hazards == {}


# Declared modes


@pytest.mark.parametrize("mode", [Enabled.ALWAYS, Enabled.REPLICA, Enabled.DISABLED])
@pytest.mark.parametrize("uri", [INVOICE, MEASUREMENT, POSTING])
def test_a_trigger_is_created_in_the_mode_that_is_declared(
    uri: str, mode: Enabled, settings: pytest.FixtureRequest
) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {uri: mode.value.lower()}}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    damage(uri, "dropped")
    step = plan_for(uri)
    assert acts.lines(step)[-1] == SWITCH
    assert step.statements[-1].lock is Lock.SHARE_ROW_EXCLUSIVE
    acts.assert_round_trip(uri)
    acts.install(uri)
    assert (acts.inspected(uri).enabled, acts.inspected(uri).facets) == (mode, ())


def test_a_view_is_created_as_it_can_be_whatever_is_declared(
    settings: pytest.FixtureRequest,
) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {"awkward": "always"}}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    damage(VIEW, "dropped")
    assert acts.lines(plan_for(VIEW)) == [FUNCTION, CREATE, COMMENT]
    acts.carry_out(acts.make(Verb.INSTALL, VIEW))


def test_a_trigger_on_capitals_and_blanks_takes_a_second_one_beside_it() -> None:
    trigger = pgtrigger.Protect(name="no_insert", operation=pgtrigger.Insert)
    with acts.registered(trigger, OrderLine) as uri:
        acts.assert_round_trip(uri)
