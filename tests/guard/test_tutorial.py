"""The guide with the guard on: every example prints, and every construct does, what it did."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from demo_site.tutorial import runner
from demo_site.tutorial.examples import Example
from tests.damage import pgid, run


def test_the_whole_guide_comes_out_the_same_and_what_it_ignores_is_on_record(
    guarded: BaseDatabaseWrapper,
) -> None:
    """With psycopg 3 the constructs alone: the examples catch what psycopg 2 raises."""
    if is_psycopg3:
        entries = [one for one in runner.ENTRIES if not isinstance(one, Example)]
        outcomes = [runner.run_construct(one) for one in entries]
    else:
        outcomes = list(runner.run(runner.ENTRIES))
    assert len(outcomes) > 20
    assert [(one.name, one.actual) for one in outcomes if not one.ok] == []
    # One example has an official interface, which ignores the trigger that guards the table.
    assert run("SELECT d.trigger FROM trigger_ops_decision d") == [
        (pgid("tutorial.OfficialInterface:protect_inserts"),)
    ] * (not is_psycopg3)
    assert run('SELECT "table", op, cause FROM trigger_ops_change') == [
        ("tutorial_officialinterface", "INSERT", "ignore")
    ] * (not is_psycopg3)
