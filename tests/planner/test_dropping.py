"""What is dropped comes back, as it was, by the undo that its plan says."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from tests.damage import pgid, run
from trigger_ops.api.changing import apply, plan
from trigger_ops.planner import Request
from trigger_ops.states import Lock, Result, Verb

pytestmark = pytest.mark.django_db

STATE = """
SELECT t.tgname::text, t.tgrelid::regclass::text, pg_get_triggerdef(t.oid), t.tgenabled::text,
       obj_description(t.oid, 'pg_trigger'), pg_get_functiondef(t.tgfoid)
  FROM pg_trigger AS t WHERE NOT t.tgisinternal ORDER BY 2, 1"""


def state() -> list[list[str]]:
    """Return every trigger with its function. The order of UPDATE OF columns means nothing."""
    return [
        [*map(str, (*row[:2], *row[3:])), *sorted(re.split("[ ,]+", row[2]))] for row in run(STATE)
    ]


def request(verb: Verb, *selectors: str) -> Request:
    return Request(verb=verb, databases=("default",), selectors=selectors)


def test_the_undo_of_an_uninstall_of_everything_brings_everything_back() -> None:
    run("ALTER TABLE past_invoice DISABLE TRIGGER ALL")
    run(
        "ALTER TABLE past_customer ENABLE ALWAYS TRIGGER {t}",
        t=pgid("past.Customer:read_only_email"),
    )
    before = state()
    planned = plan(request(Verb.UNINSTALL))
    assert {step.result for step in planned.work} == {Result.DROPPED}
    assert apply(planned, actor="os:test").exit_code == 0
    assert len(state()) < len(before) - 50
    with connection.cursor() as cursor:
        for _, statement in reversed(planned.statements):
            assert statement.undo
            cursor.execute(statement.undo)
    assert state() == before


def test_a_trigger_is_dropped_before_its_function_and_only_it_locks_the_table() -> None:
    (step,) = plan(request(Verb.UNINSTALL, "past.Invoice")).work
    name = pgid("past.Invoice:protect_deletes")
    assert [(one.sql, one.lock) for one in step.statements] == [
        (f'DROP TRIGGER "{name}" ON "public"."past_invoice"', Lock.ACCESS_EXCLUSIVE),
        (f'DROP FUNCTION "public"."{name}"()', Lock.NONE),
    ]


def test_what_is_not_installed_is_unchanged() -> None:
    run("DROP TRIGGER {t} ON past_invoice", t=pgid("past.Invoice:protect_deletes"))
    planned = plan(request(Verb.UNINSTALL, "past.Invoice"))
    assert [(one.result, one.reason) for one in planned.steps] == [
        (Result.UNCHANGED, "it is not installed")
    ]
    assert planned.work == ()
