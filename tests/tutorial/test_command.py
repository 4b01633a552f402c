from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from demo_site.tutorial import runner
from demo_site.tutorial.columns import side_by_side
from demo_site.tutorial.runner import ENTRIES, Outcome
from tests.site import Site


def test_all_examples_run_twice_and_do_what_is_expected(site: Site) -> None:
    for _ in range(2):
        done = site.manage("tutorial")
        assert done.returncode == 0, done.stdout
        assert done.stdout.endswith(f"\n{len(ENTRIES)} examples, 0 different.\n")
    for entry in ENTRIES:
        assert f"\n{entry.name}" in f"\n{done.stdout}"
    assert "  Cannot update! | Cannot update!\n" in done.stdout


def test_named_examples_run_alone_in_the_order_of_the_documents(site: Site) -> None:
    done = site.manage("tutorial", "AnyChangeAll", "FSM")
    assert done.returncode == 0
    titles = [line for line in done.stdout.splitlines() if line.endswith(" ... ok")]
    assert titles == ["FSM ... ok", "AnyChangeAll: AnyChange() ... ok"]


GUT = """
DO $$ DECLARE f regproc; BEGIN
    SELECT tgfoid INTO f FROM pg_trigger
    WHERE tgrelid = 'tutorial_{table}'::regclass AND NOT tgisinternal;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS %L',
        f, 'BEGIN RETURN COALESCE(NEW, OLD); END'
    );
END $$
"""
DISABLE = "ALTER TABLE tutorial_{table} DISABLE TRIGGER USER"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("AppendOnly", GUT),
        ("CannotDelete", DISABLE),
        ("AnyChangeFields", GUT),
        ("StockMove", DISABLE),
    ],
)
def test_a_trigger_that_does_not_fire_is_a_difference(
    site: Site, site_execute: Callable[[str], None], name: str, damage: str
) -> None:
    site_execute(damage.format(table=name.lower()))
    try:
        done = site.manage("tutorial", name, "FSM")
    finally:
        repaired = site.manage("shell", "-v0", "-c", "import pgtrigger; pgtrigger.install()")
        assert repaired.returncode == 0, repaired.stderr
    assert done.returncode == 1
    assert re.search(rf"^{name}\b.* \.\.\. DIFFERENT$", done.stdout, re.MULTILINE)
    assert "FSM ... ok" in done.stdout
    assert done.stdout.endswith("2 examples, 1 different.\n")


@pytest.mark.parametrize("command", ["tutorial", "demo_past"])
def test_a_database_without_tables_is_one_sentence(
    fresh_site: Callable[[str], Site], command: str
) -> None:
    done = fresh_site("bare").manage(command)
    assert (done.returncode, done.stdout) == (4, "")
    assert re.fullmatch("CommandError: The tables .* run manage.py migrate first.\n", done.stderr)


def test_a_missing_table_is_a_difference_not_a_traceback(
    site: Site, site_execute: Callable[[str], None]
) -> None:
    site_execute("ALTER TABLE tutorial_fsm RENAME TO hidden")
    site_execute("ALTER TABLE tutorial_anychangeall RENAME TO hidden_too")
    try:
        done = site.manage("tutorial", "FSM", "AnyChangeAll", "AnyChangeFields")
    finally:
        site_execute("ALTER TABLE hidden RENAME TO tutorial_fsm")
        site_execute("ALTER TABLE hidden_too RENAME TO tutorial_anychangeall")
    assert (done.returncode, done.stderr) == (1, "")
    assert 'relation "tutorial_fsm" does not exist' in done.stdout
    assert 'relation "tutorial_anychangeall" does not exist' in done.stdout
    assert done.stdout.endswith("3 examples, 2 different.\n")


def test_unknown_name_is_answered_with_the_nearest(site: Site) -> None:
    done = site.manage("tutorial", "appendonli")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "CommandError: There is no example 'appendonli'; the nearest is AppendOnly.\n"
    )


def test_psycopg_3_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "is_psycopg3", True)
    with pytest.raises(CommandError, match="TRIGGER_OPS_DRIVER=psycopg2") as refused:
        call_command("tutorial")
    assert refused.value.returncode == 4


@pytest.mark.django_db
def test_an_open_transaction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "is_psycopg3", False)
    with pytest.raises(CommandError, match="inside a transaction") as refused:
        call_command("tutorial", stdout=io.StringIO())
    assert refused.value.returncode == 4


@pytest.mark.parametrize(
    ("expected", "actual", "ok"),
    [
        ("created X object (2)\n", "created X object (17)\n", True),
        ("created X object (2)\n", "created Y object (2)\n", False),
        ("version 2\n", "version 3\n", False),
    ],
)
def test_only_the_ids_of_objects_may_differ(expected: str, actual: str, *, ok: bool) -> None:
    assert Outcome("X", "X", expected, actual).ok is ok


def test_columns_keep_lines_and_wrap_long_ones() -> None:
    assert side_by_side("one\n\n two\n", "one\n") == (
        "  expected | actual\n  -------- | ------\n  one      | one\n           |\n   two     |\n"
    )
    wrapped = side_by_side("word " * 20, "").splitlines()
    assert len(wrapped) == 4
    assert wrapped[3].startswith("    word")
