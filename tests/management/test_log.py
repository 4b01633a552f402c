"""``pgtrigger log``: the ledger, for people and for programs."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.damage import run
from tests.management.conftest import Result
from trigger_ops.ledger.entries import Author, Run, write_started
from trigger_ops.models import LedgerEntry
from trigger_ops.states import Verb

Runner = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE = "past.Invoice:protect_deletes"
CUSTOMER = "past.Customer:read_only_email"
HOSTILE = '=cmd|"/C calc"!A0\n\x1b[2J\u202e 100% %s; DROP TABLE x --'


@pytest.fixture
def history(pgtrigger: Runner) -> list[str]:
    """Three runs; return their IDs, oldest first."""
    assert pgtrigger("disable", INVOICE, "--reason", "first").code == 0
    assert pgtrigger("enable", INVOICE, "--reason", HOSTILE).code == 0
    assert pgtrigger("uninstall", CUSTOMER, "--reason", "third").code == 0
    runs = LedgerEntry.objects.order_by("id").values_list("run", flat=True)
    return list(dict.fromkeys(map(str, runs)))


def entries(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result
    assert result.err == ""
    document = result.document
    assert (document["schema"], document["exit_code"]) == ("trigger_ops.log/1", 0)
    return list(document["entries"])


@pytest.mark.parametrize("wanted", ["text", "table", "csv", "json"])
def test_an_empty_ledger_is_no_error(wanted: str, pgtrigger: Runner) -> None:
    result = pgtrigger("log", "--format", wanted)
    assert (result.code, result.err) == (0, "")
    shown = {"text": "", "table": "", "csv": "id,run,kind,", "json": '{\n  "schema": '}
    assert result.out.startswith(shown[wanted])
    assert bool(result.out) == bool(shown[wanted])


def test_the_text_has_a_block_a_run_newest_first(history: list[str], pgtrigger: Runner) -> None:
    lines = pgtrigger("log").out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[2] for line in heads] == ["uninstall", "enable", "disable"]
    assert heads[-1].endswith(": first (done: 1 switched)")
    assert "\\x1b[2J\\u202e" in heads[1]
    assert "unfinished" not in "\n".join(lines)


@pytest.mark.parametrize("wanted", ["text", "table", "csv", "json"])
def test_a_hostile_reason_reaches_no_terminal_and_no_formula(
    wanted: str, history: list[str], pgtrigger: Runner
) -> None:
    result = pgtrigger("log", "--format", wanted)
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out or wanted == "json"
    if wanted == "csv":
        rows = list(csv.DictReader(io.StringIO(result.out)))
        assert len(rows) == 10
        assert not any(row["reason"].startswith("=") for row in rows)
    if wanted == "json":
        assert {one["reason"] for one in entries(result)} == {"first", HOSTILE, "third"}


@pytest.mark.parametrize(
    ("arguments", "verbs"),
    [
        (("--verb", "enable"), {"enable"}),
        (("--verb", "prune"), set()),
        ((CUSTOMER,), {"uninstall"}),
        (("past.Invoice",), {"disable", "enable"}),
        (("past",), {"disable", "enable", "uninstall"}),
        (("past.*:read_only_*",), {"uninstall"}),
        (("nobody.Knows:this",), set()),
        (("--since", "1d"), {"disable", "enable", "uninstall"}),
        (("--limit", "1"), {"uninstall"}),
        (("--actor", "os:nobody@nowhere"), set()),
        (("--run", str(uuid.UUID(int=0))), set()),
        (("-d", "archive"), set()),
        (("--all-databases",), {"disable", "enable", "uninstall"}),
    ],
)
def test_filters_keep_what_they_say(
    arguments: tuple[str, ...], verbs: set[str], history: list[str], pgtrigger: Runner
) -> None:
    found = entries(pgtrigger("log", "--format", "json", *arguments))
    assert {one["verb"] for one in found} == verbs
    assert [one["id"] for one in found] == sorted((one["id"] for one in found), reverse=True)


def test_one_run_is_found_by_its_id(history: list[str], pgtrigger: Runner) -> None:
    found = entries(pgtrigger("log", "--format", "json", "--run", history[1]))
    assert [one["kind"] for one in found] == ["finished", "statement", "started"]
    assert {one["run"] for one in found} == {history[1]}
    actor = found[0]["actor"]
    assert len(entries(pgtrigger("log", "--format", "json", "--actor", actor))) == 10


def test_a_statement_has_its_undo_lock_and_both_states(
    history: list[str], pgtrigger: Runner
) -> None:
    (one,) = (
        entry
        for entry in entries(pgtrigger("log", "--format", "json", "--run", history[0]))
        if entry["kind"] == "statement"
    )
    assert one["sql"].startswith('ALTER TABLE "public"."past_invoice" DISABLE TRIGGER ')
    assert " ENABLE TRIGGER " in one["undo"]
    assert one["lock"] == "SHARE ROW EXCLUSIVE"
    assert (one["before"]["enabled"], one["after"]["enabled"]) == ("ENABLED", "DISABLED")


def test_a_run_that_was_killed_is_unfinished(pgtrigger: Runner) -> None:
    killed = Run(id=uuid.uuid4(), verb=Verb.PRUNE, author=Author(actor="os:a@b", reason="why"))
    write_started("default", "public", killed, detail="everything: 3 to change")
    assert pgtrigger("log").out.splitlines()[0].endswith("prune by os:a@b: why (unfinished)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--run", "nope"), '"nope" is no run: take its ID from pgtrigger log.'),
        (("--since", "yesterday"), '"yesterday" is no duration'),
        (("--limit", "0"), "--limit must be a number, and at least 1."),
        (("-d", "nope"), 'has no alias "nope"'),
        (("--actor", "a\0b"), "holds a character that no database can take."),
        (("a\udcff",), "holds a character that no database can take."),
    ],
)
def test_what_is_asked_for_wrongly_is_usage(
    arguments: tuple[str, ...], sentence: str, pgtrigger: Runner
) -> None:
    result = pgtrigger("log", *arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err


@pytest.mark.parametrize(
    "options", [{"format": "xml"}, {"verb": "session"}, {"limit": "many"}, {"limit": None}]
)
def test_a_wrong_value_given_to_call_command_is_usage(
    options: dict[str, Any], pgtrigger: Runner
) -> None:
    assert pgtrigger("log", **options).code == 2


@pytest.mark.parametrize("option", ["run", "verb", "actor", "since"])
def test_an_empty_filter_is_usage(option: str, pgtrigger: Runner) -> None:
    result = pgtrigger("log", **{option: ""})
    assert (result.code, result.out) == (2, "")
    assert f"--{option} is empty: say which." in result.err


def test_a_database_without_our_tables_has_no_ledger(pgtrigger: Runner) -> None:
    run("ALTER TABLE trigger_ops_ledgerentry RENAME TO hidden")
    result = pgtrigger("log")
    assert (result.code, result.out) == (4, "")
    assert 'There is no ledger on "default": run manage.py migrate trigger_ops' in result.err


def test_a_database_that_is_not_postgresql_has_no_ledger(pgtrigger: Runner) -> None:
    assert pgtrigger("log", "-d", "lite").code == 4
