"""``pgtrigger plan``: what install would do, for people, for psql and for programs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from tests.damage import gut, make_role, pgid, run
from tests.management.conftest import ROOT, Result, Site
from tests.planner.test_rights import allow_records
from trigger_ops import api
from trigger_ops.models import LedgerEntry
from trigger_ops.states import Status

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE = "past.Invoice:protect_deletes"
CUSTOMER = "past.Customer:read_only_email"
NOTHING = "Nothing to do: the trigger is as it should be.\n"


def drop(uri: str = INVOICE, table: str = "past_invoice") -> None:
    run("DROP TRIGGER {name} ON {table}", name=pgid(uri), table=table)


@pytest.mark.parametrize(
    ("arguments", "code", "err"),
    [
        ((), 0, ""),
        (("--check",), 1, ""),
        (("--check", "--format", "json"), 1, "3 statements for 1 trigger on 1 table; "),
        (("--check", "--format", "sql"), 1, "3 statements for 1 trigger on 1 table; "),
        (("--check", "--format", "sql", "-v0"), 1, "3 statements"),
    ],
)
def test_work_counts_for_the_exit_code_only_if_asked(
    arguments: tuple[str, ...], code: int, err: str, pgtrigger: Run
) -> None:
    drop()
    before = LedgerEntry.objects.count()
    result = pgtrigger("plan", INVOICE, *arguments)
    assert result.code == code
    assert result.err.startswith(err)
    assert result.out != ""
    assert LedgerEntry.objects.count() == before
    assert api.inspect(INVOICE)[0].status is Status.UNINSTALLED


@pytest.mark.parametrize(
    ("arguments", "out"), [((), NOTHING), (("--check",), NOTHING), (("--format", "sql"), "")]
)
def test_where_there_is_nothing_to_do_it_is_clean(
    arguments: tuple[str, ...], out: str, pgtrigger: Run
) -> None:
    assert pgtrigger("plan", INVOICE, *arguments) == Result(0, out, "")


@pytest.mark.parametrize(
    ("weaken", "lock", "count"),
    [
        (drop, "SHARE ROW EXCLUSIVE", 3),
        (lambda: gut(pgid(INVOICE)), "NONE", 1),
        (
            lambda: run("COMMENT ON TRIGGER {t} ON past_invoice IS NULL", t=pgid(INVOICE)),
            "NONE",
            1,
        ),
    ],
    ids=["missing", "another body", "no comment"],
)
def test_a_plan_says_the_strongest_lock_and_the_json_says_each(
    weaken: Callable[[], object], lock: str, count: int, pgtrigger: Run
) -> None:
    weaken()
    statements = f"{count} statement" + ("s" if count > 1 else "")
    text = pgtrigger("plan", INVOICE).out
    assert text.startswith(f"default public.past_invoice: {lock}: ")
    assert text.splitlines()[-1].startswith(f"{statements} for 1 trigger on 1 table; ")
    document = pgtrigger("plan", INVOICE, "--format", "json").document
    assert document["schema"] == "trigger_ops.plan/1"
    assert (document["verb"], document["exit_code"]) == ("install", 0)
    assert len(document["statements"]) == count
    assert lock in {one["lock"] for one in document["statements"]}
    for one in document["statements"]:
        assert {"sql", "database", "schema", "table", "uri", "lock", "timeout"} <= set(one)
        assert {"hazards", "undo", "reason"} <= set(one)


def test_the_json_on_stdout_is_the_file_and_the_file_is_a_plan(
    tmp_path: Path, pgtrigger: Run
) -> None:
    drop()
    path = tmp_path / "plan.json"
    shown = pgtrigger("plan", INVOICE, "--format", "json", "--out", str(path))
    assert shown.out.rstrip("\n") == path.read_text().rstrip("\n")
    assert not path.stat().st_mode & stat.S_IXUSR
    assert pgtrigger("install", "--plan", str(path)).code == 0
    assert api.inspect(INVOICE)[0].status is Status.INSTALLED


def test_a_plan_from_stdout_is_a_plan(tmp_path: Path, pgtrigger: Run) -> None:
    drop()
    path = tmp_path / "plan.json"
    path.write_text(pgtrigger("plan", INVOICE, "--format", "json").out)
    assert pgtrigger("install", "--plan", str(path)).code == 0


def test_the_sql_is_a_script_that_does_the_same(pgtrigger: Run) -> None:
    drop()
    gut(pgid(CUSTOMER))
    script = pgtrigger("plan", "past", "--format", "sql").out
    with connection.cursor() as cursor:  # the test's transaction is open already
        cursor.execute(script.replace("\nBEGIN;", "").replace("\nCOMMIT;", ""))
    assert [one.status for one in api.inspect("past")] == [Status.INSTALLED] * 7
    assert pgtrigger("plan", "past", "--check").code == 0


def test_what_cannot_be_done_is_4_and_said_once(pgtrigger: Run, tmp_path: Path) -> None:
    drop()
    role = make_role("reader")
    allow_records(role)
    run("SET LOCAL ROLE {role}", role=role)
    try:
        text = pgtrigger("plan", INVOICE)
        script = pgtrigger("plan", INVOICE, "--format", "sql")
        document = pgtrigger("plan", INVOICE, "--format", "json").document
    finally:
        run("RESET ROLE")
    assert (text.code, script.code, document["exit_code"]) == (4, 4, 4)
    assert "cannot be carried out: Role" in text.out
    assert f'Role "{role}" does not own table' in script.err
    assert document["obstacles"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("past.Invoce",), 'did you mean "past.Invoice"?'),
        (("-d", "nope"), 'has no alias "nope"'),
        (("--lock-timeout", "0s"), "more than nothing"),
        (("--out", ""), "--out is empty: say which."),
        (("--out", "no/such/x"), "cannot be written: No such file or directory: 'no/such/x'."),
    ],
)
def test_a_plan_that_is_asked_for_wrongly_is_usage(
    arguments: tuple[str, ...], sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger("plan", *arguments)
    assert result.code == 2
    assert sentence in result.err


def test_a_call_with_an_unknown_format_is_usage(pgtrigger: Run) -> None:
    assert pgtrigger("plan", format="csv").code == 2


def test_a_plan_goes_down_a_pipe_without_colours_and_a_reader_may_leave(site: Site) -> None:
    result = site.manage("pgtrigger", "plan", "--format", "sql", "--lock-timeout", "2s")
    assert (result.code, result.out, result.err) == (0, "", "")
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", "plan"],
        cwd=ROOT,
        env=site.environment({}),
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def test_several_databases_are_one_plan(pgtrigger: Run) -> None:
    drop()
    run(
        "DROP TRIGGER {name} ON awkward_archiveddocument",
        name=pgid("awkward.ArchivedDocument:append_only"),
        using="archive",
    )
    document = json.loads(pgtrigger("plan", "--all-databases", "--format", "json").out)
    assert {one["database"] for one in document["statements"]} == {"default", "archive"}
    assert set(document["server"]) == {"default", "archive"}
