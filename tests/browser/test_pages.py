"""Every page in light and dark, on a desk and on a phone: nothing is amiss, and anybody can use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.urls import URLResolver, resolve

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
    "page of a finding": "/admin/trigger_ops/trigger/findings/C001/",
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

#: Addresses that are not among these pages: what comes of a form, which the journeys look at,
#: those that only take one, and files.
JOURNEYS = {"action_confirm", "action_result", "driftrun_change"}
FORMS = {
    *("action_run", "session_review", "session_extend", "session_revoke", "session_end"),
    "destination_test",
}
FILES = {"session_json", "session_csv"}


def test_no_page_is_left_out() -> None:
    found = {
        pattern.name.removeprefix("trigger_ops_")
        for app in admin.site.get_urls()
        if isinstance(app, URLResolver)
        for pattern in app.url_patterns
        if getattr(pattern, "name", None) and pattern.name.startswith("trigger_ops_")
    }
    resolved = [resolve(path.partition("?")[0]).url_name for path in PAGES.values()]
    shown = {
        name.removeprefix("trigger_ops_") for name in resolved if name and "trigger_ops" in name
    }
    assert found == shown | JOURNEYS | FORMS | FILES


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


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("ann", "/admin/trigger_ops/allowance/", 403),
        ("ann", "/admin/trigger_ops/session/999/", 404),
        ("ann", "/admin/trigger_ops/trigger/?q=state:tampred", 200),
    ],
)
def test_what_is_refused_is_told_to_everybody(
    name: str, path: str, status: int, demo: Demo, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(demo, name)
    visitor.opens(path, status=status)
    assert visitor.violations() == []


def test_the_pages_speak_german(demo: Demo, visit: Callable[..., Visitor]) -> None:
    visitor = visit(demo, locale="de-DE")
    visitor.opens(PAGES["triggers"])
    assert "4 Trigger brauchen Aufmerksamkeit" in visitor.text()
    assert visitor.page.locator("html").get_attribute("lang") == "de"
    assert visitor.violations() == []
    assert visitor.overflow() <= 0
