"""The same thing in every schema has one digest, and another thing has another."""

from __future__ import annotations

from typing import Any

import pytest

from tests import damage
from tests.damage import pgid, run, within
from tests.drift.making import make_finding
from tests.weaknesses.expectations import INVOICE, check, the
from tests.weaknesses.test_schemas import make_tenant
from trigger_ops.drift import Finding
from trigger_ops.drift.digests import digest_of, key_of, without_schema
from trigger_ops.drift.life import by_key
from trigger_ops.inspection import Scope

EVERYWHERE = Scope(glob="*")

# Names that words of messages and of SQL are spelled with.
ODD = ["a", "in", "e", "trigger", "Body", 'odd"name', "with space", "a.b", "table", "$x"]

TEXTS = {
    "before a name": ("Table {0}.past_invoice has none.", "Table past_invoice has none."),
    "quoted": ('DROP TRIGGER x ON {1}."past_invoice";', 'DROP TRIGGER x ON "past_invoice";'),
    "twice": ("{0}.f is not {0}.g", "f is not g"),
    "as a schema": ("lives in schema {0}, its table", "lives in schema , its table"),
    "inside a text": ("'{1}.\"t\"'::regclass", "'\"t\"'::regclass"),
    "of its functions": ("functions in {0} are not", "functions in  are not"),
    "no schema at all": (
        "a trigger in the body of a table: e, with space",
        "a trigger in the body of a table: e, with space",
    ),
    "a literal": ("(old.state = '{0}')", "(old.state = '{0}')"),
    "the end of a sentence": ("It is {0}.", "It is {0}."),
    "another's": ("other.{0}.x and x{0}.y", "other.{0}.x and x{0}.y"),
}


@pytest.mark.parametrize("schema", ODD)
@pytest.mark.parametrize("case", TEXTS)
def test_a_schema_is_taken_out_of_a_text_where_it_stands_as_one(schema: str, case: str) -> None:
    text, expected = TEXTS[case]
    quoted = '"' + schema.replace('"', '""') + '"'
    assert without_schema(text.format(schema, quoted), schema) == expected.format(schema, quoted)


def test_two_texts_that_differ_beside_the_schema_differ_without_it() -> None:
    pairs = [
        ("old.state = 'a'", "old.state = ''"),
        ("The trigger is DISABLED", "The trigger is ENABLED"),
        ("a.t is a b", "a.t is b"),
    ]
    for one, other in pairs:
        assert without_schema(one, "a") != without_schema(other, "a")


@pytest.mark.parametrize("schema", [None, ""])
def test_without_a_schema_a_text_stays_as_it_is(schema: str | None) -> None:
    assert without_schema("public.t", schema) == "public.t"


def about_the_database(code: str, schema: str | None, fix: str) -> Finding:
    return make_finding(
        id=f"trigger_ops.{code}",
        uri=None,
        schema=schema,
        schemas=(schema,) if schema else (),
        table=None,
        trigger=None,
        fix=fix,
    )


FIXES: dict[str, tuple[str, str, str, bool]] = {
    # name: ID, fix of one, fix of another, whether they are the same thing
    "two roles": ("C003", 'ALTER ROLE "a" RESET x;', 'ALTER ROLE "b" RESET x;', False),
    "two settings of a role": (
        "C003",
        'ALTER ROLE "r" RESET x;',
        'ALTER ROLE "r" RESET y;',
        False,
    ),
    "a function in two tenants": (
        "C003",
        'ALTER FUNCTION "a"."f"() RESET x;',
        'ALTER FUNCTION "b"."f"() RESET x;',
        True,
    ),
    "two functions": (
        "C003",
        'ALTER FUNCTION "a"."f"() RESET x;',
        'ALTER FUNCTION "b"."g"() RESET x;',
        False,
    ),
    "a function left behind in two tenants": (
        "W002",
        "manage.py pgtrigger prune --functions -s a",
        "manage.py pgtrigger prune --functions -s b",
        True,
    ),
    "one of them on the search_path": (
        "W002",
        "manage.py pgtrigger prune --functions",
        "manage.py pgtrigger prune --functions -s b",
        True,
    ),
    "the shared function of two tenants": (
        "C002",
        "manage.py pgtrigger install past.Invoice:x",
        "manage.py pgtrigger install past.Payroll:y --allow Z",
        True,
    ),
    "the guard": (
        "C006",
        "manage.py pgtrigger guard install",
        "manage.py pgtrigger guard install --ddl-guard",
        True,
    ),
}


@pytest.mark.parametrize("case", FIXES)
def test_what_is_about_no_table_is_known_by_what_ends_it(case: str) -> None:
    code, one, other, same = FIXES[case]
    first, second = about_the_database(code, "a", one), about_the_database(code, "b", other)
    assert (key_of(first) == key_of(second)) is same


ATTRIBUTES: dict[str, tuple[dict[str, Any], bool]] = {
    # name: changes, whether it is the same thing still
    "digest": ({"digest": digest_of("else")}, True),
    "schema": ({"schema": "other", "schemas": ("other",)}, True),
    "count": ({"count": 50}, True),
    "message": ({"message": "else"}, True),
    "fix": ({"fix": "else"}, True),
    "facets": ({"facets": ()}, True),
    "URI": ({"uri": "past.Bill:protect_deletes"}, True),
    "database": ({"database": "archive"}, False),
    "ID": ({"id": "trigger_ops.C004"}, False),
    "table": ({"table": "past_bill"}, False),
    "trigger": ({"trigger": "pgtrigger_x_00000"}, False),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_identity_is_database_id_table_and_trigger(case: str) -> None:
    changes, same = ATTRIBUTES[case]
    assert (key_of(make_finding(**changes)) == key_of(make_finding())) is same


# Tenants in a database ------------------------------------------------------------------------


def disable(schema: str) -> None:
    run(
        "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        table=within(schema, "past_invoice"),
        trigger=pgid(INVOICE),
    )


def drop(schema: str) -> None:
    run(
        "DROP TRIGGER {trigger} ON {table}",
        table=within(schema, "past_invoice"),
        trigger=pgid(INVOICE),
    )


def divert(schema: str) -> None:
    run(
        "CREATE RULE divert AS ON DELETE TO {table} DO INSTEAD NOTHING",
        table=within(schema, "past_invoice"),
    )


def mark(schema: str) -> None:
    run(
        "UPDATE pg_class SET relhastriggers = false WHERE oid = %s::regclass",
        f'"{schema}".past_invoice',
    )


def narrow(schema: str) -> None:
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE DELETE ON {table} FOR EACH ROW "
        "WHEN (OLD.number <> 'a') EXECUTE FUNCTION {function}()",
        trigger=pgid(INVOICE),
        table=within(schema, "past_invoice"),
        function=within(schema, pgid(INVOICE)),
    )


def pin(schema: str) -> None:
    run(
        "ALTER FUNCTION {function}() SECURITY DEFINER",
        function=within(schema, pgid(INVOICE)),
    )
    run(
        "ALTER FUNCTION {function}() SET search_path = {schema}, public",
        function=within(schema, pgid(INVOICE)),
        schema=schema,
    )


def gut(schema: str) -> None:
    damage.gut(pgid(INVOICE), schema=schema)


DAMAGES = {
    "C001": gut,
    "C004": narrow,
    "C005": pin,
    "C008": mark,
    "E001": drop,
    "E002": disable,
    "W010": divert,
}
TENANTS = ("a", "e", "in", "tenant_1", "the")


@pytest.mark.django_db
@pytest.mark.parametrize("code", DAMAGES)
def test_one_damage_in_tenants_of_any_name_is_one_thing_with_one_digest(code: str) -> None:
    for tenant in TENANTS:
        make_tenant(tenant)
    DAMAGES[code](TENANTS[3])
    (one,) = _of(code)
    for tenant in TENANTS:
        if tenant != TENANTS[3]:
            DAMAGES[code](tenant)
    (merged,) = _of(code)
    assert (merged.count, merged.schemas) == (len(TENANTS), TENANTS)
    assert merged.digest == one.digest
    assert key_of(merged) == key_of(one)


def _of(code: str) -> list[Finding]:
    report = check(scope=EVERYWHERE)
    found = by_key(one for one in report.findings if one.id == f"trigger_ops.{code}")
    return list(found.values())


@pytest.mark.django_db
def test_fifty_tenants_with_one_cause_are_one_and_another_body_in_one_changes_it() -> None:
    tenants = [f"tenant_{number}" for number in range(50)]
    for tenant in tenants:
        make_tenant(tenant)
        gut(tenant)
    (one,) = _of("C001")
    assert one.count == 50
    damage.gut(pgid(INVOICE), schema="tenant_7", returning="NEW")
    (other,) = _of("C001")
    assert (other.count, key_of(other)) == (50, key_of(one))
    assert other.digest != one.digest


@pytest.mark.django_db
def test_two_roles_are_two_findings() -> None:
    for stem in ("one", "two"):
        run(
            "ALTER ROLE {role} SET session_replication_role = replica",
            role=damage.make_role(stem),
        )
    assert len(_of("C003")) == 2


@pytest.mark.django_db
def test_the_digest_of_a_damage_is_the_same_at_each_look() -> None:
    gut("public")
    first, second = the(check(), "C001"), the(check(), "C001")
    assert first.digest == second.digest
