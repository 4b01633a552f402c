"""Ways round a check that trusts texts and names: conditions, columns, comments."""

from __future__ import annotations

import pytest

from tests import damage
from tests.damage import pgid, run, stock_line, within
from tests.weaknesses.acts import change_an_email, make_operator
from tests.weaknesses.expectations import (
    CUSTOMER,
    PRICES,
    assert_clean,
    bad,
    check,
    facets,
    forget,
    only,
    repair_and_check,
    the,
    tried,
)
from trigger_ops.inspection import Scope
from trigger_ops.states import ExitCode

in_transaction = pytest.mark.django_db


@in_transaction
def test_an_operator_of_another_schema_behind_is_distinct_from() -> None:
    run("CREATE SCHEMA evil")
    make_operator("=", "varchar", "varchar", schema="evil")
    run("SET LOCAL search_path = evil, public")
    run(damage.install_sql(CUSTOMER))
    run("SET LOCAL search_path = DEFAULT")
    with tried():
        change_an_email()
    assert stock_line(CUSTOMER) == "INSTALLED ENABLED"
    report = check()
    assert ("trigger_ops.C004", CUSTOMER) in bad(report)
    assert the(report, "C004", CUSTOMER).facets == facets("condition")
    damage.stock("install", CUSTOMER)
    assert ("trigger_ops.C004", CUSTOMER) not in bad(check())


@in_transaction
@pytest.mark.parametrize("types", [("varchar", "varchar"), ("int4", "int4")])
def test_an_operator_on_the_search_path_that_shadows_postgresqls_own(
    types: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next honest install binds to it, and so would the stand-in of the check."""
    make_operator("=", *types, schema="public")
    damage.stock("install", CUSTOMER)
    forget(monkeypatch)
    if types[0] == "varchar":
        with tried():
            change_an_email()
    assert stock_line(CUSTOMER) == "INSTALLED ENABLED"
    report = check()
    finding = the(report, "W011")
    assert report.exit_code is ExitCode.FINDINGS
    # Nothing else gives this one away: it is just as an install here and now makes it.
    assert [one.id for one in report.findings if one.uri == CUSTOMER] == []
    assert finding.schema == "public"
    assert {"varchar": "character varying", "int4": "integer"}[types[0]] in finding.message
    damage.repair(finding)
    forget(monkeypatch)
    damage.stock("install", CUSTOMER)
    assert_clean(check())


@in_transaction
def test_swapped_column_names_move_the_guard_to_the_wrong_column() -> None:
    """The catalog's text follows a rename, so it must not be compared with itself."""
    run("ALTER TABLE past_customer RENAME COLUMN name TO swap")
    run("ALTER TABLE past_customer RENAME COLUMN email TO name")
    run("ALTER TABLE past_customer RENAME COLUMN swap TO email")
    with tried():
        change_an_email()
    assert stock_line(CUSTOMER) == "INSTALLED ENABLED"
    finding = only(check(), "C004", CUSTOMER)
    assert finding.facets == facets("condition")
    repair_and_check(finding)


@in_transaction
def test_update_of_narrowed_to_a_column_nobody_writes() -> None:
    trigger = pgid(CUSTOMER)
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE OF id ON past_customer FOR EACH ROW "
        "WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION {trigger}()",
        trigger=trigger,
    )
    with tried():
        change_an_email()
    finding = only(check(), "C004", CUSTOMER)
    assert finding.facets == facets("columns")
    repair_and_check(finding)


@in_transaction
@pytest.mark.parametrize(
    "column", ['odd"name; --', "a WHEN (true) EXECUTE FUNCTION x()", "x' WHEN (", "é WHEN (", ")"]
)
def test_hostile_column_names_neither_break_nor_fool_the_reading(column: str) -> None:
    run("ALTER TABLE past_customer ADD COLUMN {column} int", column=column)
    trigger = pgid(CUSTOMER)
    assert_clean(check())
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE OF {column} ON past_customer "
        "FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email AND NEW.{column} = 1) "
        "EXECUTE FUNCTION {trigger}()",
        trigger=trigger,
        column=column,
    )
    finding = only(check(), "C004", CUSTOMER)
    assert finding.facets == facets("columns", "condition")
    repair_and_check(finding)


@in_transaction
@pytest.mark.parametrize(
    "name", ['odd"name; --', "a WHEN (true) EXECUTE FUNCTION x()", "%s %(x)s"]
)
def test_hostile_names_of_tables_triggers_and_schemas_are_only_names(name: str) -> None:
    run("CREATE SCHEMA {schema}", schema=name)
    run("CREATE TABLE {table} (id int)", table=within(name, name))
    run(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        function=within(name, name),
    )
    run(
        "CREATE TRIGGER {trigger} AFTER INSERT ON past_invoice FOR EACH ROW WHEN (NEW.id > 0) "
        "EXECUTE FUNCTION {function}()",
        trigger=name,
        function=within(name, name),
    )
    report = check(scope=Scope(glob="*"))
    assert bad(report) == []
    finding = the(report, "I002")
    assert finding.trigger == name
    damage.repair(finding)
    assert "trigger_ops.I002" not in {one.id for one in check().findings}


@in_transaction
def test_raising_the_hash_in_the_comment_fools_nobody() -> None:
    """The comment of an honest trigger on a dishonest one, and the other way round."""
    ((comment,),) = run(
        "SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname = %s", pgid(PRICES)
    )
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON past_pricelist FOR EACH ROW "
        "WHEN (false) EXECUTE FUNCTION {trigger}()",
        trigger=pgid(PRICES),
    )
    run("COMMENT ON TRIGGER {trigger} ON past_pricelist IS 'x'", trigger=pgid(PRICES))
    finding = only(check(), "C004", PRICES)
    run("COMMENT ON TRIGGER {trigger} ON past_pricelist IS %s", comment, trigger=pgid(PRICES))
    assert only(check(), "C004", PRICES).facets == finding.facets == facets("condition")
    repair_and_check(finding)


@in_transaction
def test_a_constraint_trigger_made_deferrable() -> None:
    uri = "awkward.Posting:check_balance"
    run("DROP TRIGGER {trigger} ON awkward_posting", trigger=pgid(uri))
    run(
        "CREATE CONSTRAINT TRIGGER {trigger} AFTER INSERT OR UPDATE ON awkward_posting "
        "DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION {trigger}()",
        trigger=pgid(uri),
    )
    finding = only(check(), "C004", uri)
    assert finding.facets == facets("deferral")
    repair_and_check(finding)


@in_transaction
def test_arguments_of_a_built_in_trigger_function() -> None:
    uri = "awkward.Article:update_search_vector"
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON awkward_article "
        "FOR EACH ROW EXECUTE FUNCTION "
        "tsvector_update_trigger('search_vector', 'pg_catalog.simple', 'title')",
        trigger=pgid(uri),
    )
    finding = next(one for one in check().findings if one.uri == uri)
    assert finding.id == "trigger_ops.C004"
    assert "arguments" in {facet.value for facet in finding.facets}
    repair_and_check(finding)


@in_transaction
def test_swapped_transition_tables() -> None:
    uri = "tutorial.StatementComposer:log_int_changes"
    ((definition,),) = run(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", pgid(uri)
    )
    assert "OLD TABLE AS old_values NEW TABLE AS new_values" in definition
    swapped = definition.replace("OLD TABLE AS old_values", "OLD TABLE AS x")
    swapped = swapped.replace("NEW TABLE AS new_values", "NEW TABLE AS old_values")
    swapped = swapped.replace("OLD TABLE AS x", "OLD TABLE AS new_values")
    run(swapped.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
    finding = only(check(), "C004", uri)
    assert finding.facets == facets("transition")
    repair_and_check(finding)
