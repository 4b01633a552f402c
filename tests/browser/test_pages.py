"""Every page in light and dark, on a desk and on a phone: nothing is amiss, and anybody can use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.people import DESK, PHONE, Demo, Visitor

INVOICE = "past.Invoice:protect_deletes"

#: Path of each page by its name, with the data of the demo.
PAGES = {
    "front": "/",
    "index": "/admin/",
    "triggers": "/admin/trigger_ops/trigger/",
    "triggers narrowed down": "/admin/trigger_ops/trigger/?q=state:tampered+app:past",
    "no trigger found": "/admin/trigger_ops/trigger/?q=nothing-has-this-name",
    "trigger": f"/admin/trigger_ops/trigger/at/{INVOICE}/",
    "trigger unified": f"/admin/trigger_ops/trigger/at/{INVOICE}/?view=unified",
    "sessions": "/admin/trigger_ops/session/",
    "session asked for": "/admin/trigger_ops/session/ask/",
    "session ended": "/admin/trigger_ops/session/1/",
    "session active": "/admin/trigger_ops/session/2/",
    "session pending": "/admin/trigger_ops/session/3/",
    "ledger": "/admin/trigger_ops/ledgerentry/",
    "ledger entry": "/admin/trigger_ops/ledgerentry/2/change/",
    "runs": "/admin/trigger_ops/driftrun/",
    "drift history": "/admin/trigger_ops/driftrun/history/",
    "findings": "/admin/trigger_ops/driftfinding/",
    "finding": "/admin/trigger_ops/driftfinding/1/change/",
    "destinations": "/admin/trigger_ops/driftfinding/told/",
    "allowances": "/admin/trigger_ops/allowance/",
    "allowance": "/admin/trigger_ops/allowance/1/change/",
    "allowance given": "/admin/trigger_ops/allowance/add/",
    "changes": "/admin/trigger_ops/change/",
    "change": "/admin/trigger_ops/change/1/change/",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_for_everybody(page: str, demo: Demo, visit: Callable[..., Visitor]) -> None:
    visitor = visit(demo, color_scheme="light", **DESK)
    visitor.opens(PAGES[page])
    assert visitor.violations() == []
    visitor.turns("dark")
    assert visitor.violations("color-contrast", "link-in-text-block") == []
    visitor.page.set_viewport_size(PHONE["viewport"])
    assert visitor.overflow() <= 0
    assert visitor.violations("scrollable-region-focusable") == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_the_same_without_scripts(
    page: str, demo: Demo, visit: Callable[..., Visitor]
) -> None:
    read: dict[bool, Any] = {}
    for scripts in (True, False):
        visitor = visit(demo, java_script_enabled=scripts)
        visitor.opens(PAGES[page])
        main = visitor.page.locator("main")
        read[scripts] = main.locator("h1, h2, th, button").all_inner_texts()
    assert read[True] == read[False]
