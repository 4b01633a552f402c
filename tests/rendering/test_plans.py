from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection

from tests.rendering.examples import PGID, a_plan, a_statement, a_step
from trigger_ops.drift.triggers import quoted
from trigger_ops.planner import Plan, Request, ServerIdentity
from trigger_ops.rendering import plans
from trigger_ops.rendering.colour import RESULT_COLOURS
from trigger_ops.states import Enabled, Hazard, Lock, Result, Verb

HOSTILE = 'odd"name; --\nDROP TABLE x; \x1b[2J'
SPELLED = r'odd"name; --\nDROP TABLE x; \x1b[2J'

FUNCTION = a_statement(
    sql='CREATE OR REPLACE FUNCTION "public"."f"()\n RETURNS trigger LANGUAGE plpgsql AS $$x$$',
    lock=Lock.NONE,
    reason="the function is missing",
)
DROP = a_statement(
    sql=f'DROP TRIGGER "{PGID}" ON "shop"."item";',
    lock=Lock.ACCESS_EXCLUSIVE,
    reason="",
    hazards=(Hazard.DROPS_FOREIGN,),
)
SHARED = a_step(
    FUNCTION,
    uri="public._pgtrigger_should_ignore",
    table=None,
    table_oid=None,
    result=Result.REPLACED,
    reason="it is missing",
)
MIXED = a_plan(
    SHARED,
    a_step(FUNCTION, a_statement()),
    a_step(DROP, uri="item:x", schema="shop", table="item", result=Result.DROPPED, reason=""),
    a_step(uri="shop.Order:fine", result=Result.UNCHANGED, reason=""),
    a_step(uri="shop.Order:late", result=Result.SKIPPED, reason="its table is missing"),
    hazards={Hazard.DROPS_FOREIGN: "One trigger is not ours."},
    warnings=("Nothing is pruned.",),
    obstacles=("You do not own shop.item.",),
)


def leasing(**changes: Any) -> Plan:
    request = Request(verb=Verb.DISABLE, databases=("default",), lasts=dt.timedelta(minutes=30))
    switch = a_statement(sql=f'ALTER TABLE "t" DISABLE TRIGGER "{PGID}"', reason="it is ENABLED")
    step = a_step(switch, result=Result.SWITCHED, reason="ENABLED to DISABLED")
    return a_plan(dataclasses.replace(step, **changes), request=request)


def test_text_is_a_block_a_table_and_what_has_to_be_known() -> None:
    assert plans.as_text(MIXED) == (
        "default public: NONE: nothing waits\n"
        "  public._pgtrigger_should_ignore will be replaced: it is missing\n"
        '    CREATE OR REPLACE FUNCTION "public"."f"() RETURNS trigger LANGUAGE plpgsql AS $$x$$'
        "  -- the function is missing\n"
        "default public.shop_order: SHARE ROW EXCLUSIVE: writes wait, reads pass\n"
        "  shop.Order:no_del will be created: it was missing\n"
        '    CREATE OR REPLACE FUNCTION "public"."f"() RETURNS trigger LANGUAGE plpgsql AS $$x$$'
        "  -- the function is missing\n"
        f'    CREATE TRIGGER "{PGID}" BEFORE DELETE ON "public"."shop_order"'
        "  -- the trigger is missing\n"
        "default shop.item: ACCESS EXCLUSIVE: reads and writes wait\n"
        "  item:x will be dropped\n"
        f'    DROP TRIGGER "{PGID}" ON "shop"."item";\n'
        "    hazard DROPS_FOREIGN\n"
        "shop.Order:late (default public.shop_order) is skipped: its table is missing\n"
        "cannot be carried out: You do not own shop.item.\n"
        "warning: Nothing is pruned.\n"
        "hazard DROPS_FOREIGN: One trigger is not ours. --allow DROPS_FOREIGN lets it through.\n"
        "4 statements for 2 triggers and 1 function on 2 tables; "
        "strongest lock ACCESS EXCLUSIVE."
    )


def test_a_lease_is_told_with_its_length_and_its_end() -> None:
    text = plans.as_text(leasing(opens_lease=Enabled.ALWAYS, ends_lease=True))
    assert text.splitlines()[3:] == [
        "    its lease ends",
        "    a lease of 30m opens: then it goes back to ALWAYS",
        (
            "1 statement for 1 trigger on 1 table; strongest lock SHARE ROW EXCLUSIVE; "
            "1 lease opened; 1 lease ended."
        ),
    ]


def test_colour_adds_codes_and_nothing_else() -> None:
    painted = plans.as_text(MIXED, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", painted) == plans.as_text(MIXED)
    assert "\x1b[92mwill be created\x1b[0m" in painted
    assert "\x1b[91mcannot be carried out\x1b[0m" in painted


def test_every_word_has_its_meaning_and_colour() -> None:
    assert set(plans.WAITS) == set(Lock)
    assert set(plans.OUTCOMES) == set(Result) == set(RESULT_COLOURS)


def test_a_long_statement_is_cut() -> None:
    line = plans.one_line("SELECT " + "x" * 200)
    assert len(line) == plans.STATEMENT_WIDTH
    assert line.endswith("x…")


@pytest.mark.parametrize("field", ["uri", "schema", "table", "reason"])
def test_no_name_can_fake_a_line_or_move_the_cursor(field: str) -> None:
    reason = HOSTILE if field == "reason" else ""
    step = a_step(a_statement(reason=reason), **{field: HOSTILE})
    for text in (plans.as_text(a_plan(step)), plans.as_sql(a_plan(step))):
        assert SPELLED in text
        assert "\x1b" not in text
        assert "\nDROP" not in text


@pytest.mark.parametrize("field", ["obstacles", "warnings"])
def test_no_sentence_can_fake_a_line(field: str) -> None:
    plan = a_plan(a_step(a_statement(reason=HOSTILE)), **{field: (HOSTILE,)})
    assert plans.as_text(plan).count(SPELLED) == 2
    assert plans.as_sql(plan).count(SPELLED) == 2


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (a_plan(), "Nothing to do: there is no such trigger."),
        (
            a_plan(a_step(result=Result.UNCHANGED)),
            "Nothing to do: the trigger is as it should be.",
        ),
        (
            a_plan(*[a_step(result=Result.UNCHANGED)] * 24),
            "Nothing to do: all 24 triggers are as they should be.",
        ),
        (
            a_plan(a_step(result=Result.UNCHANGED), a_step(result=Result.SKIPPED)),
            "Nothing to do: 1 trigger of 2 is left out.",
        ),
        (
            a_plan(a_step(result=Result.FAILED), a_step(result=Result.SKIPPED)),
            "Nothing to do: 2 triggers of 2 are left out.",
        ),
        (a_plan(obstacles=("No.",)), "Nothing can be done."),
        (
            a_plan(SHARED),
            "1 statement for 1 function; strongest lock NONE.",
        ),
        (
            a_plan(a_step(ends_lease=True), a_step(opens_lease=Enabled.ENABLED)),
            "No statement; strongest lock NONE; 1 lease opened; 1 lease ended.",
        ),
    ],
    ids=range(8),
)
def test_a_plan_is_one_sentence(plan: Plan, sentence: str) -> None:
    assert plans.summary(plan) == sentence
    assert plans.as_text(plan).splitlines()[-1] == sentence


def test_sql_is_a_transaction_a_table() -> None:
    plan = a_plan(
        SHARED,
        a_step(FUNCTION, a_statement(), path=('odd;na"me', "public")),
        a_step(DROP, uri="item:x", schema="shop", table="item", database="other", path=()),
        a_step(uri="shop.Order:leased", opens_lease=Enabled.ENABLED),
        request=Request(
            verb=Verb.INSTALL, databases=("default",), lock_timeout=dt.timedelta(minutes=1)
        ),
        servers=(
            *a_plan().servers,
            ServerIdentity(alias="other", database="b", version=180001, identifier="74"),
        ),
        hazards={Hazard.DROPS_FOREIGN: "One is not ours."},
    )
    assert plans.as_sql(plan) == (
        "-- install: 4 statements for 2 triggers and 1 function on 2 tables; "
        "strongest lock ACCESS EXCLUSIVE; 1 lease opened.\n"
        "-- hazard DROPS_FOREIGN: One is not ours. --allow DROPS_FOREIGN lets it through.\n"
        "\n"
        "-- database default: shop\n"
        "-- default public\n"
        "BEGIN;\n"
        "SET LOCAL lock_timeout = '60000ms';\n"
        "-- public._pgtrigger_should_ignore, lock NONE: the function is missing\n"
        f"{FUNCTION.sql};\n"
        "COMMIT;\n"
        "-- default public.shop_order\n"
        "BEGIN;\n"
        "SET LOCAL lock_timeout = '60000ms';\n"
        'SET LOCAL search_path = "odd;na""me", "public";\n'
        "-- shop.Order:no_del, lock NONE: the function is missing\n"
        f"{FUNCTION.sql};\n"
        "-- shop.Order:no_del, lock SHARE ROW EXCLUSIVE: the trigger is missing\n"
        f"{a_statement().sql};\n"
        "COMMIT;\n"
        "\n"
        "-- database other: b\n"
        "-- other shop.item\n"
        "BEGIN;\n"
        "SET LOCAL lock_timeout = '60000ms';\n"
        "SET LOCAL search_path = '';\n"
        "-- item:x, lock ACCESS EXCLUSIVE [DROPS_FOREIGN]\n"
        f"{DROP.sql}\n"
        "COMMIT;\n"
    )


@pytest.mark.parametrize(
    "plan",
    [a_plan(), a_plan(a_step()), a_plan(a_step(ends_lease=True), obstacles=("No.",))],
    ids=range(3),
)
def test_without_a_statement_there_is_no_sql(plan: Plan) -> None:
    assert plans.as_sql(plan) == ""


@pytest.mark.parametrize(
    ("sql", "ended"),
    [
        ("SELECT 1", "SELECT 1;"),
        ("SELECT 1;\n ", "SELECT 1;"),
        ("SELECT 1 -- one", "SELECT 1 -- one\n;"),
        ("SELECT 1 -- one;", "SELECT 1 -- one;\n;"),
    ],
)
def test_every_statement_ends(sql: str, ended: str) -> None:
    lines = plans.as_sql(a_plan(a_step(a_statement(sql=sql))))
    assert f"missing\n{ended}\nCOMMIT;\n" in lines


@pytest.mark.django_db(transaction=True)
def test_postgresql_runs_the_script_under_the_most_hostile_names() -> None:
    table = quoted(HOSTILE)
    step = a_step(
        a_statement(sql=f"CREATE TABLE {table} (found text)", reason=HOSTILE),
        a_statement(sql=f"INSERT INTO {table} SELECT current_setting('lock_timeout')"),
        a_statement(sql=f"INSERT INTO {table} SELECT current_setting('search_path') -- path"),
        uri=HOSTILE,
        table=HOSTILE,
        path=("public", HOSTILE),
    )
    with connection.cursor() as cursor:
        cursor.execute(plans.as_sql(a_plan(step)))
        try:
            cursor.execute(f"SELECT found FROM public.{table}")
            rows = [row[0] for row in cursor.fetchall()]
        finally:
            cursor.execute(f"DROP TABLE public.{table}")
    assert rows == ["250ms", f"public, {table}"]
