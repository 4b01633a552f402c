"""Ways round that look like something known to be harmless."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from demo_site.past.models import Invoice
from tests import damage
from tests.damage import pgid, run, within
from tests.weaknesses.acts import delete_an_invoice, make_operator
from tests.weaknesses.expectations import (
    CUSTOMER,
    INVOICE,
    MEASUREMENT,
    assert_clean,
    assert_refused,
    check,
    facets,
    only,
    repair_and_check,
    the,
    tried,
)
from trigger_ops.states import Level

pytestmark = pytest.mark.django_db


def put_function(
    name: str, *, returns: str, body: str, arguments: str = "", more: str = ""
) -> None:
    execute(
        f"CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql {more} "
        f"AS $body$ {body} $body$"
    )


def execute(statement: str) -> None:
    """Run SQL as it stands, but for `{ignored}`: the value that ignores the invoices' trigger."""
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("{ignored}", f"{{{pgid(INVOICE)}}}"))


# Functions ---------------------------------------------------------------------------------------


def test_a_function_that_is_no_longer_volatile_is_blind_to_its_own_statement() -> None:
    """A guard that counts rows sees those of before the statement, and lets everything pass."""
    function = pgid(INVOICE)
    count = (
        "IF (SELECT count(*) FROM counted) > 1 THEN RAISE 'pgtrigger: too many'; END IF; "
        "RETURN NULL;"
    )
    put_function("count_rows", returns="trigger", body=f"BEGIN {count} END")
    run("CREATE TABLE counted (id int)")
    run(
        "CREATE TRIGGER count_rows AFTER INSERT ON counted FOR EACH STATEMENT "
        "EXECUTE FUNCTION count_rows()"
    )
    assert_refused(lambda: run("INSERT INTO counted VALUES (1), (2)"))
    run("ALTER FUNCTION count_rows() STABLE")
    with tried():
        run("INSERT INTO counted VALUES (1), (2)")
        assert run("SELECT count(*) FROM counted") == [(2,)]

    run("ALTER FUNCTION {function}() STABLE", function=function)
    finding = only(check(), "C005", INVOICE)
    assert finding.facets == facets("security")
    assert "not VOLATILE" in finding.message
    repair_and_check(finding)


def test_an_ignore_function_among_postgresqls_own(settings: Any) -> None:
    """Without a schema in the call PostgreSQL looks into pg_catalog first, named or not."""
    settings.PGTRIGGER_SCHEMA = None
    damage.stock("install", INVOICE)
    assert_clean(check(INVOICE))
    run(
        "CREATE FUNCTION pg_catalog._pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
        "LANGUAGE sql AS 'SELECT true'"
    )
    with tried():
        delete_an_invoice()
    finding = the(check(INVOICE), "C002")
    assert (finding.level, finding.schema) == (Level.CRITICAL, "pg_catalog")


def test_a_stranger_who_owns_a_table_named_like_the_projects_is_a_stranger() -> None:
    stranger = damage.make_role("stranger")
    run("CREATE SCHEMA decoy AUTHORIZATION {role}", role=stranger)
    run("CREATE TABLE decoy.past_invoice (id int)")
    run("ALTER TABLE decoy.past_invoice OWNER TO {role}", role=stranger)
    run("ALTER FUNCTION public._pgtrigger_should_ignore(name) OWNER TO {role}", role=stranger)
    finding = only(check(), "W012", None)
    assert stranger in finding.message
    damage.repair(finding)
    assert_clean(check())


def test_assertions_switched_off_matter_where_a_trigger_asserts() -> None:
    name = connection.settings_dict["NAME"]
    run("ALTER DATABASE {name} SET plpgsql.check_asserts = off", name=name)
    assert_clean(check())
    body = "BEGIN ASSERT OLD.total = 0; RETURN OLD; END"
    run(
        f"CREATE OR REPLACE FUNCTION {{function}}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        function=within("public", pgid(INVOICE)),
    )
    finding = the(check(), "C003")
    assert "ASSERT" in finding.message
    damage.repair(finding)
    assert {one.id for one in check().findings if one.level >= Level.WARNING} == {
        "trigger_ops.C001"
    }


# Bodies that switch triggers off -----------------------------------------------------------------

BODIES = {
    "dashes in a literal": "mark := '--'; PERFORM set_config('pgtrigger.ignore', {ignored}, true);",
    "a comment's sign in a literal": (
        "mark := '/*'; PERFORM set_config('pgtrigger.ignore', {ignored}, true); mark := '*/';"
    ),
    "dashes in a literal with a backslash": (
        "mark := e'\\'--'; PERFORM set_config('pgtrigger.ignore', {ignored}, true);"
    ),
    "dashes in dollar quotes": (
        "mark := $a$--$a$; PERFORM set_config('pgtrigger.ignore', {ignored}, true);"
    ),
    "by the view of settings": (
        "UPDATE pg_settings SET setting = 'replica' WHERE name = 'session_replication_role';"
    ),
    "quoted": 'SET LOCAL "pgtrigger"."ignore" = {ignored};',
    "with blanks": "SET LOCAL pgtrigger . ignore = {ignored};",
}


@pytest.mark.parametrize("case", BODIES)
def test_a_foreign_trigger_that_hides_what_it_sets(case: str) -> None:
    body = BODIES[case].replace("{ignored}", "'{ignored}'")
    put_function(
        "meddle", returns="trigger", body=f"DECLARE mark text; BEGIN {body} RETURN NULL; END"
    )
    run(
        "CREATE TRIGGER a_first BEFORE DELETE ON past_invoice FOR EACH STATEMENT "
        "EXECUTE FUNCTION meddle()"
    )
    with tried():
        delete_an_invoice()
    finding = only(check(), "C003", None)
    assert finding.trigger == "a_first"
    repair_and_check(finding)


# What runs unasked -------------------------------------------------------------------------------

_SET = "PERFORM set_config('pgtrigger.ignore', '{ignored}', true);"
_DIRECT = "set_config('pgtrigger.ignore', '{ignored}', true)"

UNASKED = {
    "function of an index": (
        "bigint",
        f"BEGIN {_SET} RETURN 1; END",
        "CREATE INDEX elsewhere_index ON elsewhere ((meddle(id)))",
    ),
    "function of a domain's default": (
        "int",
        f"BEGIN {_SET} RETURN 1; END",
        (
            "CREATE DOMAIN number AS int DEFAULT meddle(1); "
            "ALTER TABLE elsewhere ADD COLUMN more number"
        ),
    ),
    "function of another trigger's condition": (
        "boolean",
        f"BEGIN {_SET} RETURN true; END",
        (
            "CREATE TRIGGER a_first AFTER INSERT ON elsewhere WHEN (meddle(1)) "
            "EXECUTE FUNCTION nothing()"
        ),
    ),
    "default": (None, "", f"ALTER TABLE elsewhere ADD COLUMN more text DEFAULT {_DIRECT}"),
    "check": (None, "", f"ALTER TABLE elsewhere ADD CHECK ({_DIRECT} IS NOT NULL)"),
    "check of a domain": (
        None,
        "",
        (
            f"CREATE DOMAIN number AS int CHECK ({_DIRECT} IS NOT NULL); "
            "ALTER TABLE elsewhere ADD COLUMN more number DEFAULT 1"
        ),
    ),
    "default of a domain": (
        None,
        "",
        (
            f"CREATE DOMAIN words AS text DEFAULT {_DIRECT}; "
            "ALTER TABLE elsewhere ADD COLUMN more words"
        ),
    ),
    "rule": (None, "", f"CREATE RULE also AS ON INSERT TO elsewhere DO ALSO SELECT {_DIRECT}"),
    "another trigger's condition": (
        None,
        "",
        (
            f"CREATE TRIGGER a_first AFTER INSERT ON elsewhere WHEN ({_DIRECT} IS NOT NULL) "
            "EXECUTE FUNCTION nothing()"
        ),
    ),
}


@pytest.mark.parametrize("case", UNASKED)
def test_an_expression_that_runs_unasked(case: str) -> None:
    returns, body, statement = UNASKED[case]
    run("CREATE TABLE elsewhere (id int)")
    put_function("nothing", returns="trigger", body="BEGIN RETURN NULL; END")
    if returns:
        put_function(
            "meddle",
            returns=returns,
            arguments="int",
            more="IMMUTABLE",
            body=body,
        )
    assert_clean(check())
    execute(statement)
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    with tried():
        run("INSERT INTO elsewhere VALUES (1)")
        delete_an_invoice()
    finding = only(check(), "C003", None)
    assert ("public.meddle" if returns else "set_config") in finding.message
    run("DROP TABLE elsewhere")
    run("DROP DOMAIN IF EXISTS number, words")
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    assert_clean(check())


def test_a_policy_that_switches_triggers_off() -> None:
    run("CREATE TABLE elsewhere (id int)")
    execute(f"CREATE POLICY look ON elsewhere USING ({_DIRECT} IS NOT NULL)")
    finding = only(check(), "C003", None)
    assert "look" in finding.message


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT {_DIRECT} IS NOT NULL",
        "UPDATE pg_settings SET setting = 'replica' WHERE name = 'session_replication_role'; SELECT true",
    ],
)
def test_a_function_whose_body_is_kept_parsed(statement: str) -> None:
    """Since PostgreSQL 14 the body of an SQL function need not be kept as text."""
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    run("CREATE TABLE elsewhere (id int)")
    execute(f"CREATE FUNCTION meddle() RETURNS boolean BEGIN ATOMIC {statement}; END")
    run("ALTER TABLE elsewhere ADD COLUMN more boolean DEFAULT meddle()")
    with tried():
        run("INSERT INTO elsewhere VALUES (1)")
        delete_an_invoice()
    finding = only(check(), "C003", None)
    assert "public.meddle" in finding.message


def test_a_policy_and_a_default_that_set_something_else_are_no_bypass() -> None:
    run("CREATE TABLE elsewhere (id int, said text DEFAULT set_config('shop.tenant', '1', true))")
    run("CREATE POLICY look ON elsewhere USING (set_config('shop.seen', '1', true) IS NOT NULL)")
    assert_clean(check())


# Tables ------------------------------------------------------------------------------------------

COPY = "CREATE TRIGGER {trigger} BEFORE DELETE ON {child} FOR EACH ROW "
COPIES = {
    "another function": [f"{COPY} EXECUTE FUNCTION nothing()"],
    "a condition": [f"{COPY} WHEN (false) EXECUTE FUNCTION {{trigger}}()"],
    "disabled": [
        f"{COPY} EXECUTE FUNCTION {{trigger}}()",
        "ALTER TABLE {child} DISABLE TRIGGER ALL",
    ],
    "a grandchild": [
        f"{COPY} EXECUTE FUNCTION {{trigger}}()",
        "CREATE TABLE grandchild () INHERITS ({child})",
    ],
}


@pytest.mark.parametrize("case", COPIES)
def test_a_child_whose_trigger_only_bears_the_name(case: str) -> None:
    put_function("nothing", returns="trigger", body="BEGIN RETURN OLD; END")
    run("CREATE TABLE child () INHERITS (past_invoice)")
    for statement in COPIES[case]:
        run(statement, trigger=pgid(INVOICE), child="child")
    table = "grandchild" if case == "a grandchild" else "child"
    run("INSERT INTO {table} (id, number, total) VALUES (900, '2026-900', 1)", table=table)
    with tried():
        assert Invoice.objects.filter(number="2026-900").delete()[0] == 1
    finding = only(check(), "W009", INVOICE)
    assert f"public.{table} " in finding.message


def test_a_child_with_the_same_trigger_is_guarded() -> None:
    run("CREATE TABLE child () INHERITS (past_invoice)")
    run(f"{COPY} EXECUTE FUNCTION {{trigger}}()", trigger=pgid(INVOICE), child="child")
    run("INSERT INTO child (id, number, total) VALUES (900, '2026-900', 1)")
    assert_refused(lambda: Invoice.objects.filter(number="2026-900").delete())
    assert_clean(check())


CLONES = {
    "condition": (
        "tgqual = (SELECT tgqual FROM pg_trigger WHERE tgqual IS NOT NULL AND tgnargs = 0 LIMIT 1)",
        "condition",
    ),
    "columns": ("tgattr = '1'::int2vector", "columns"),
    "deferral": ("tgdeferrable = true", "condition"),
}


@pytest.mark.parametrize("case", CLONES)
def test_a_clone_that_fires_on_less_than_its_parent(case: str) -> None:
    change, facet = CLONES[case]
    run(f"UPDATE pg_trigger SET {change} WHERE tgparentid <> 0 AND tgname = %s", pgid(MEASUREMENT))
    finding = only(check(), "C004", MEASUREMENT)
    assert finding.facets == facets(facet)
    repair_and_check(finding)


def test_a_partition_with_its_columns_in_another_order_is_like_its_parent() -> None:
    """PostgreSQL numbers the columns in a clone's condition anew; that is no difference."""
    run("ALTER TABLE past_customer RENAME TO former")
    run("CREATE TABLE past_customer (LIKE former) PARTITION BY RANGE (id)")
    run("CREATE TABLE part (email varchar(254) NOT NULL, name varchar(64) NOT NULL, id bigint)")
    run("ALTER TABLE part ALTER COLUMN id SET NOT NULL")
    run("ALTER TABLE past_customer ATTACH PARTITION part DEFAULT")
    damage.stock("install", CUSTOMER)
    stored = run(
        "SELECT count(DISTINCT tgqual::text) FROM pg_trigger WHERE tgname = %s", pgid(CUSTOMER)
    )
    assert stored == [(2,)]
    assert_clean(check(CUSTOMER))
    run("CREATE TABLE swapped (name varchar(254), email varchar(64), id bigint)")
    run(
        "CREATE TRIGGER swapped BEFORE UPDATE ON swapped FOR EACH ROW "
        "WHEN (OLD.email IS DISTINCT FROM NEW.email AND false) "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    run(
        "UPDATE pg_trigger SET tgqual = (SELECT tgqual FROM pg_trigger WHERE tgname = 'swapped') "
        "WHERE tgparentid <> 0 AND tgname = %s",
        pgid(CUSTOMER),
    )
    assert only(check(CUSTOMER), "C004", CUSTOMER).facets == facets("condition")


def test_a_pattern_operator_in_the_place_of_postgresqls_own() -> None:
    make_operator("~~", "varchar", "varchar", schema="public")
    with tried():
        run("CREATE TABLE elsewhere (word varchar)")
        run("INSERT INTO elsewhere VALUES ('a')")
        assert run("SELECT word LIKE 'b' FROM elsewhere") == [(True,)]
    finding = only(check(), "W011", None)
    repair_and_check(finding)
