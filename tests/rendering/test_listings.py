from __future__ import annotations

import csv
import io
import re

import pytest

from tests.rendering.examples import a_listing, a_trigger
from trigger_ops.rendering import colour, listings
from trigger_ops.states import Enabled, Facet, Level, Status

THREE = [
    a_trigger(),
    a_trigger(
        uri="shop.Order:read_only",
        status=Status.UNINSTALLED,
        enabled=Enabled.NOT_APPLICABLE,
        schema=None,
        reason="its table is missing",
    ),
    a_trigger(uri="shop_order:pgtrigger_x_12345", status=Status.FOREIGN),
]


def test_text_is_the_stock_columns_lined_up() -> None:
    assert listings.as_text(THREE[:2], extra=(), colour=False) == (
        "INSTALLED   ENABLED shop.Order:no_del\nUNINSTALLED N/A     shop.Order:read_only"
    )


def test_no_trigger_gives_no_text() -> None:
    assert listings.as_text([], extra=(), colour=True) == ""
    assert listings.as_table(a_listing(), colour=True) == ""


def test_extra_columns_stand_after_the_uri_in_one_order() -> None:
    text = listings.as_text(THREE[:2], extra=("reason", "database", "schema"), colour=False)
    assert text.splitlines() == [
        "INSTALLED   ENABLED shop.Order:no_del    default public -",
        "UNINSTALLED N/A     shop.Order:read_only default -      its table is missing",
    ]


def test_colours_are_the_stock_ones_and_nothing_else_changes() -> None:
    plain = listings.as_text(THREE[:2], extra=(), colour=False)
    painted = listings.as_text(THREE[:2], extra=(), colour=True)
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain
    assert painted.splitlines()[0] == (
        "\x1b[92mINSTALLED\x1b[0m   \x1b[92mENABLED\x1b[0m shop.Order:no_del"
    )


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("enabled", Enabled)
def test_every_status_and_mode_has_a_colour(status: Status, enabled: Enabled) -> None:
    painted = listings.as_text([a_trigger(status=status, enabled=enabled)], extra=(), colour=True)
    assert re.fullmatch(
        rf"\x1b\[9\dm{status}\x1b\[0m \x1b\[9\dm{re.escape(enabled)}\x1b\[0m shop.Order:no_del",
        painted,
    )


def test_every_level_has_a_colour() -> None:
    assert set(colour.LEVEL_COLOURS) == set(Level)


def test_foreign_triggers_are_text_only_when_asked_for() -> None:
    assert listings.shown_in_text(THREE, ()) == THREE[:2]
    assert listings.shown_in_text(THREE, (Status.FOREIGN,)) == THREE


def test_a_hostile_name_cannot_move_the_cursor() -> None:
    text = listings.as_text([a_trigger(uri="t\x1b[2J\nx:y")], extra=(), colour=False)
    assert text == r"INSTALLED ENABLED t\x1b[2J\nx:y"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_folds_to_its_width_and_loses_nothing(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    long = a_trigger(uri="shop.Order:" + "x" * 63, facets=(Facet.BODY, Facet.EVENTS))
    lines = listings.as_table(a_listing(long), colour=False).splitlines()
    assert max(map(len, lines)) <= width
    assert "".join(lines).count("x") == 63 or width == 40


def test_a_table_takes_a_name_that_looks_like_markup_for_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    table = listings.as_table(a_listing(a_trigger(uri="[red]x[/]:y")), colour=False)
    assert "[red]x[/]:y" in table


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR"])
def test_a_table_is_coloured_by_its_argument_alone(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("COLUMNS", "200")
    assert "\x1b" not in listings.as_table(a_listing(a_trigger()), colour=False)
    assert "\x1b[92mINSTALLED\x1b[0m" in listings.as_table(a_listing(a_trigger()), colour=True)


def test_csv_reads_back_as_what_was_listed() -> None:
    one = a_trigger(uri='a,"b\n:c', facets=(Facet.BODY, Facet.CONDITION))
    (row,) = csv.DictReader(io.StringIO(listings.as_csv([one])))
    assert row == {
        "uri": 'a,"b\n:c',
        "database": "default",
        "schema": "public",
        "table": "shop_order",
        "trigger": "pgtrigger_no_del_133cc",
        "status": "INSTALLED",
        "enabled": "ENABLED",
        "facets": "body,condition",
        "registered_hash": "0" * 40,
        "installed_hash": "0" * 40,
        "reason": "",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_csv_cell_starts_a_formula(start: str) -> None:
    text = listings.as_csv([a_trigger(table=f"{start}cmd|' /C calc'!A0")])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["table"] == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(("hidden", "spelled"), [("\t", r"\t"), ("\r", r"\r"), ("\0", r"\x00")])
def test_no_csv_cell_hides_a_character(hidden: str, spelled: str) -> None:
    text = listings.as_csv([a_trigger(table=f"{hidden}=1")])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["table"] == f"{spelled}=1"


def test_csv_of_nothing_is_a_heading() -> None:
    assert listings.as_csv([]).startswith("uri,database,schema,table,trigger,status,enabled,")
