"""The pictures of the documentation are taken here: ``make screenshots`` puts them into docs.

An ordinary run takes them too, and throws them away: so it is certain that they can be taken, and
that each that the documentation shows is one of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.browser.people import PHONE, Demo, Visitor
from tests.browser.test_pages import PAGES
from tests.site import ROOT

SHOWN = ROOT / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 800}


class Picture(NamedTuple):
    """A page, and how it is looked at."""

    page: str
    look: dict[str, Any]


PICTURES = {
    "triggers": Picture("triggers", {"color_scheme": "light"}),
    "trigger-dark": Picture("trigger", {"color_scheme": "dark"}),
    "session": Picture("session ended", {"color_scheme": "light"}),
    "sessions-phone": Picture("sessions", {**PHONE, "color_scheme": "light"}),
    "drift-history": Picture("drift history", {"color_scheme": "light"}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_taken(
    name: str, demo: Demo, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    picture = PICTURES[name]
    visitor = visit(demo, **{"viewport": SIZE, **picture.look})
    page = visitor.opens(PAGES[picture.page])
    folder = SHOWN if os.environ.get("SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.png"
    page.screenshot(path=file)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 20_000, "nearly nothing is on it"


def test_the_documentation_shows_these_pictures_and_no_others() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        Path(path).name
        for page in pages
        for path in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == {f"{name}.png" for name in PICTURES}
    assert {one.name for one in SHOWN.iterdir()} == shown
