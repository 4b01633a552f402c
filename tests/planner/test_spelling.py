"""The SQL itself: names are identifiers, texts are literals, and PostgreSQL reads both back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.damage import run, within
from tests.planner import acts
from trigger_ops import api
from trigger_ops.planner import spelling
from trigger_ops.states import Enabled

pytestmark = pytest.mark.django_db

HOSTILE = 'odd"name; --'
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
)


def written(composed: Any) -> str:
    connection.ensure_connection()
    return str(composed.as_string(connection.connection))


SIMPLE = [
    (spelling.drop_trigger("t", "s", "T a"), 'DROP TRIGGER "t" ON "s"."T a"'),
    (spelling.drop_trigger(HOSTILE, HOSTILE, HOSTILE),
     'DROP TRIGGER "odd""name; --" ON "odd""name; --"."odd""name; --"'),
    (spelling.drop_function("s", HOSTILE), 'DROP FUNCTION "s"."odd""name; --"()'),
    (spelling.own_function("s", "f", HOSTILE),
     'ALTER FUNCTION "s"."f"() OWNER TO "odd""name; --"'),
    (spelling.comment("t", "s", "a", None), 'COMMENT ON TRIGGER "t" ON "s"."a" IS NULL'),
    (spelling.comment("t", "s", "a", "it's 100 %"),
     'COMMENT ON TRIGGER "t" ON "s"."a" IS \'it\'\'s 100 %\''),
    (spelling.switch("t", "s", "a", Enabled.ENABLED), 'ALTER TABLE "s"."a" ENABLE TRIGGER "t"'),
    (spelling.switch("t", "s", "a", Enabled.DISABLED), 'ALTER TABLE "s"."a" DISABLE TRIGGER "t"'),
    (spelling.switch("t", "s", "a", Enabled.ALWAYS, only=True),
     'ALTER TABLE ONLY "s"."a" ENABLE ALWAYS TRIGGER "t"'),
    (spelling.switch("t", "s", "a", Enabled.REPLICA, only=True),
     'ALTER TABLE ONLY "s"."a" ENABLE REPLICA TRIGGER "t"'),
]  # as a table  # fmt: skip


@pytest.mark.parametrize(("composed", "expected"), SIMPLE)
def test_names_are_quoted_and_texts_are_escaped(composed: Any, expected: str) -> None:
    assert written(composed).replace(" E'", " '") == expected


def test_every_mode_that_a_trigger_can_be_switched_into_has_words() -> None:
    assert set(spelling.MODES) == {Enabled.from_catalog(letter) for letter in "ODRA"}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, names, names, names, st.lists(names, max_size=3), names)
def test_any_live_trigger_is_recreated_as_it_was(
    schema: str, table: str, trigger: str, column: str, arguments: list[str], literal: str
) -> None:
    """Whatever its names, arguments and condition hold."""
    schema = f"x{schema}"  # PostgreSQL keeps names that begin with pg_ for itself
    with acts.undone():
        run("CREATE SCHEMA {s}", s=schema)
        run("CREATE TABLE {t} (id int, {c} text)", t=within(schema, table), c=f"c{column}")
        both = {
            "n": f"pgtrigger_{trigger}",
            "c": f"c{column}",
            "s": schema,
            "t": within(schema, table),
            "f": within(schema, f"pgtrigger_{trigger}"),
        }
        # A percent sign means itself only where a statement has no parameters.
        doubled = {key: name.replace("%", "%%") for key, name in both.items()}
        run(
            "CREATE FUNCTION {f}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER STABLE "
            "SET search_path = pg_catalog, {s} SET work_mem = '2MB' AS %s",
            f"BEGIN RETURN NEW; END -- {' '.join(literal.splitlines())}",
            **doubled,
        )
        values = ", ".join(["%s"] * len(arguments))
        run(
            "CREATE TRIGGER {n} BEFORE INSERT OR UPDATE OF {c} ON {t} FOR EACH ROW "
            f"WHEN (NEW.{{c}} <> %s) EXECUTE FUNCTION {{f}}({values})",
            literal,
            *arguments,
            **doubled,
        )
        before = acts.state()
        (live,) = [
            one.installed
            for database in api.survey(scope=acts.EVERYWHERE).databases
            for one in database.triggers
            if one.installed is not None and one.installed.schema == schema
        ]
        run("DROP TRIGGER {n} ON {t}", n=live.name, t=within(schema, table))
        run("DROP FUNCTION {f}()", f=within(schema, live.function))
        acts.execute(
            [
                written(spelling.recreate_function(live)),
                written(spelling.recreate_trigger(live)),
            ]
        )
        acts.assert_same(acts.state(), before)


@pytest.mark.parametrize(
    "path",
    ["pg_catalog, public", "''", '"Mixed Case", "odd""name; --"', '"$user", public', '"a, b"'],
)
def test_a_search_path_of_a_function_comes_back_as_it_was(path: str) -> None:
    name = "pgtrigger_protect_deletes_0aaaa"
    run(
        "CREATE FUNCTION {f}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", f=name
    )
    run(f"ALTER FUNCTION {{f}}() SET search_path = {path}", f=name)
    run(
        "CREATE TRIGGER {f} BEFORE DELETE ON past_invoice FOR EACH ROW EXECUTE FUNCTION {f}()",
        f=name,
    )
    before = acts.state()
    (live,) = [one.installed for one in api.inspect() if one.trigger == name and one.installed]
    run("ALTER FUNCTION {f}() RESET ALL", f=name)
    acts.execute([written(spelling.recreate_function(live))])
    acts.assert_same(acts.state(), before)


def test_a_search_path_that_is_a_statement_comes_back_as_a_name() -> None:
    """SET … FROM CURRENT keeps what set_config was given, which is looser than SET."""
    path = "public,x;drop/**/table/**/past_invoice"
    run("SELECT set_config('search_path', %s, true)", path)
    run(
        "CREATE FUNCTION public.theirs() RETURNS trigger LANGUAGE plpgsql "
        "SET search_path FROM CURRENT AS 'BEGIN RETURN OLD; END'"
    )
    run("SET LOCAL search_path = DEFAULT")
    run(
        "CREATE TRIGGER pgtrigger_protect_deletes_0aaaa BEFORE DELETE ON past_invoice "
        "FOR EACH ROW EXECUTE FUNCTION theirs()"
    )
    (live,) = [one.installed for one in api.inspect() if one.trigger.endswith("_0aaaa")]
    assert live is not None
    assert live.function_settings == (f"search_path={path}",)
    statement = written(spelling.recreate_function(live))
    assert "SET search_path = 'public', 'x;drop/**/table/**/past_invoice' AS" in statement
    acts.execute([statement])
    assert run("SELECT count(*) FROM past_invoice") == [(0,)]
