"""SQL in colours: complete, escaped, and legible on both of the admin's backgrounds."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from hypothesis import given
from hypothesis import strategies as st

from trigger_ops.rendering.wording import printable
from trigger_ops.web import highlighting
from trigger_ops.web.highlighting import COLOURED, PREFIX, highlighted

FUNCTION = """\
CREATE FUNCTION f() RETURNS trigger AS $$
BEGIN -- why
    RAISE EXCEPTION 'no %', NEW."total";
END;
$$ LANGUAGE plpgsql;
"""


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def css() -> str:
    path = finders.find("trigger_ops/pygments.css")
    assert path
    return Path(str(path)).read_text(encoding="utf-8")


def test_the_parts_of_a_function_are_told_apart() -> None:
    markup = highlighted(FUNCTION)
    assert text_of(markup) == FUNCTION
    for part in (
        '<span class="hl-k">CREATE</span>',
        '<span class="hl-k">RAISE</span>',
        '<span class="hl-c1">-- why\n</span>',
    ):
        assert part in markup
    assert "style=" not in markup


@given(st.one_of(st.text(), st.text("$'\"-/*\\\r\n\t<>&;aE%(){} ")))
def test_nothing_is_lost_and_all_is_escaped(text: str) -> None:
    markup = highlighted(text)
    assert text_of(markup) == printable(text, keep="\n\t")
    assert set(re.findall(r"<[^>]*>", markup)) <= {
        "</span>",
        *(f'<span class="{PREFIX}{name}">' for name in COLOURED),
    }


@pytest.mark.parametrize(
    ("text", "coloured"),
    [
        ("SELECT 1;\n" * 4_999, True),
        ("SELECT 1;\n" * 5_000, False),
        ("SELECT '" + "x" * 190_000 + "'", True),
        ("SELECT '" + "x" * 200_000 + "'", False),
        ("SELECT '" + "ü" * 100_000 + "'", False),
    ],
)
def test_a_long_text_is_plain_and_complete(text: str, coloured: bool) -> None:
    markup = highlighted(text)
    assert text_of(markup) == text
    assert ("<span" in markup) == coloured


def test_a_long_text_is_escaped_too() -> None:
    assert highlighted("<b>" * 100_000) == "&lt;b&gt;" * 100_000


def test_a_text_is_painted_once_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlighting, "KEPT", 2)
    first = highlighted("SELECT 'one'")
    assert highlighted("SELECT 'one'") is first
    for number in range(3):
        highlighted(f"SELECT {number}")
    assert len(highlighting._kept) == 2
    assert highlighted("SELECT 'one'") == first
    assert highlighted("SELECT 'one'") is not first


def test_every_colour_has_a_rule_in_light_and_dark() -> None:
    rules = css()
    for name in COLOURED:
        found = re.findall(rf"^(.*)\.tops \.{PREFIX}{name}\b", rules, re.M)
        assert sorted(one.strip() for one in found) == [
            "",
            'html:is([data-theme="dark"], .dark)',
            'html:not([data-theme="light"], .light)',
        ], name


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_is_legible() -> None:
    seen = 0
    for line in css().splitlines():
        if colour := re.search(r"color: (#[0-9a-f]{6})", line):
            dark = "data-theme" in line
            for background in ("#121212", "#212121") if dark else ("#ffffff", "#f8f8f8"):
                assert contrast(colour[1], background) >= 4.5, line
                seen += 1
    assert seen > 30
