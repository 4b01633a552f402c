from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Callable

import pgtrigger as library
import pytest
from django.core.management import call_command
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from demo_site.past import damage
from tests.management.conftest import Result

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

KEYS = {
    "uri",
    "database",
    "schema",
    "table",
    "trigger",
    "status",
    "enabled",
    "facets",
    "registered_hash",
    "installed_hash",
    "reason",
}


def stock_ls(capsys: pytest.CaptureFixture[str], *uris: str) -> str:
    """Return what the library's own command prints, without its colour codes."""
    call_command(StockCommand(), "ls", *uris)
    return re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out)


def test_ls_of_a_healthy_project_is_the_stock_output(
    pgtrigger: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = stock_ls(capsys)
    assert stock.count("\nINSTALLED ENABLED ") > 50
    assert pgtrigger("ls") == Result(0, stock, "")
    assert capsys.readouterr() == ("", "")


def test_ls_of_what_stock_sees_too_is_the_stock_output(
    pgtrigger: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for change in (damage.outdate, damage.disable, damage.orphan):
        change()
    library.uninstall("past.Receipt:append_only")
    stock = stock_ls(capsys)
    for words in ("OUTDATED ", "DISABLED ", "PRUNE ", "UNINSTALLED N/A "):
        assert words in stock
    assert pgtrigger("ls").out == stock


def test_ls_of_named_triggers_is_the_stock_output(
    pgtrigger: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    uris = ("past.Receipt:append_only", "past.Invoice:protect_deletes")
    assert pgtrigger("ls", *uris).out == stock_ls(capsys, *uris)


def test_ls_does_not_believe_a_comment(pgtrigger: Run) -> None:
    damage.gut()
    shown = pgtrigger("ls", "past.Invoice").out
    assert shown == "TAMPERED ENABLED past.Invoice:protect_deletes\n"


def test_the_forms_that_scripts_use_keep_working(pgtrigger: Run) -> None:
    uri = "past.Receipt:append_only"
    line = f"INSTALLED ENABLED {uri}\n"
    assert pgtrigger("ls", uri, database="default").out == line
    assert pgtrigger("ls", uri, schema=["public"]).out == line
    assert pgtrigger("ls", uri, "-d", "default", "-s", "public").out == line


def test_nothing_registered_is_no_crash(pgtrigger: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_ops.api.inspecting.registered_triggers", list)
    assert pgtrigger("ls", "--status", "tampered") == Result(0, "", "")


def test_foreign_triggers_show_only_when_asked_for(pgtrigger: Run) -> None:
    damage.foreign()
    assert damage.AUDIT not in pgtrigger("ls").out
    asked = pgtrigger("ls", "--status", "foreign").out
    assert asked == f"FOREIGN ENABLED past_shipment:{damage.AUDIT}\n"
    listed = pgtrigger("ls", "--format", "json").document["summary"]
    assert listed["FOREIGN"] == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("--long",),
            (
                "INSTALLED DISABLED past.Payroll:read_only_employee "
                "default public past_payroll enabled -"
            ),
        ),
        (
            ("-d", "default", "-d", "archive"),
            "INSTALLED DISABLED past.Payroll:read_only_employee default",
        ),
        (
            ("--schema-glob", "publ*"),
            "INSTALLED DISABLED past.Payroll:read_only_employee public",
        ),
        (
            ("--all-schemas", "--all-databases"),
            "INSTALLED DISABLED past.Payroll:read_only_employee default public",
        ),
    ],
)
def test_more_places_add_columns_after_the_uri(
    arguments: tuple[str, ...], line: str, pgtrigger: Run
) -> None:
    damage.disable()
    lines = pgtrigger("ls", "past.Payroll", *arguments).out.splitlines()
    assert line in [" ".join(one.split()) for one in lines]


def test_status_keeps_only_what_was_asked_for(pgtrigger: Run) -> None:
    damage.disable()
    damage.outdate()
    result = pgtrigger("ls", "--status", "outdated", "--status", "TAMPERED")
    assert result.out == "OUTDATED ENABLED past.PriceList:read_only\n"


def test_json_has_the_documented_keys(pgtrigger: Run) -> None:
    damage.gut()
    document = pgtrigger("ls", "past", "--format", "json").document
    assert set(document) == {"schema", "complete", "exit_code", "summary", "triggers"}
    assert document["schema"] == "trigger_ops.ls/1"
    assert document["summary"] == {"INSTALLED": 6, "TAMPERED": 1}
    assert all(set(trigger) == KEYS for trigger in document["triggers"])
    (gutted,) = [one for one in document["triggers"] if one["status"] == "TAMPERED"]
    assert gutted["facets"] == ["body"]
    assert gutted["installed_hash"] == gutted["registered_hash"] != ""


def test_csv_and_table_list_the_same_triggers(
    pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    rows = list(csv.DictReader(io.StringIO(pgtrigger("ls", "past", "--format", "csv").out)))
    assert len(rows) == 7
    table = pgtrigger("ls", "past", "--format", "table").out
    assert all(row["uri"] in table for row in rows)


def test_check_makes_a_difference_an_exit_code(pgtrigger: Run) -> None:
    assert pgtrigger("ls", "past", "--check").code == 0
    damage.disable()
    assert pgtrigger("ls", "past").code == 0
    result = pgtrigger("ls", "past", "--check")
    assert (result.code, result.err) == (1, "1 of 7 triggers differs from the code.\n")
    assert "DISABLED" in result.out


def test_colour_is_forced_or_absent(pgtrigger: Run) -> None:
    forced = pgtrigger("ls", "past.Receipt", force_color=True).out
    assert forced == "\x1b[92mINSTALLED\x1b[0m \x1b[92mENABLED\x1b[0m past.Receipt:append_only\n"
    assert "\x1b" not in pgtrigger("ls", "past.Receipt", no_color=True).out


def test_no_handler_is_added_to_a_logger(pgtrigger: Run) -> None:
    before = {name: list(logging.getLogger(name).handlers) for name in ("pgtrigger", "")}
    for verb in ("ls", "diff", "check"):
        pgtrigger(verb, verbosity=0)
    after = {name: list(logging.getLogger(name).handlers) for name in before}
    assert after == before
