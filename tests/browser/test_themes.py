"""The pages under other admins' looks: their own style comes through, and they work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.people import Demo, Visitor
from tests.browser.test_pages import INVOICE, PAGES

#: Pages with all that our style sheets style.
READ = ("triggers", "trigger", "session asked for", "session ended", "drift history", "finding")
THEMES = ("unfold", "jazzmin", "grappelli")


@pytest.fixture(scope="module", params=THEMES)
def themed(request: pytest.FixtureRequest, serve: Callable[..., Any]) -> Iterator[Demo]:
    """The demo site under one theme."""
    settings = f"tests.browser.themes.{request.param}"
    with serve(DJANGO_SETTINGS_MODULE=settings) as served:
        yield served


def style(visitor: Visitor, selector: str, name: str) -> str:
    """Return what a browser makes of the style of the first such element."""
    script = "(one, name) => getComputedStyle(one)[name]"
    return str(visitor.page.locator(selector).first.evaluate(script, name))


def test_every_page_opens_and_looks_like_ours(themed: Demo, visit: Callable[..., Visitor]) -> None:
    visitor = visit(themed)
    for name in PAGES:
        if name in ("front", "index"):
            continue
        visitor.opens(PAGES[name])
        assert visitor.page.locator(".tops").count(), name
        expect(visitor.page.locator(".tops *:visible").first).to_be_visible()
        if name in READ:
            ours = ".tops:not(.tops-theirs)"
            assert visitor.violations("color-contrast", within=ours) == [], name
    visitor.opens(PAGES["triggers"])
    assert style(visitor, ".tops-table th", "fontWeight") == "600"
    assert style(visitor, ".tops-state.tops-bad", "color") == "rgb(163, 19, 31)"
    assert style(visitor, ".tops-table td", "borderBottomStyle") == "solid"
    assert style(visitor, ".tops-sentence", "borderLeftStyle") == "solid"
    visitor.opens("/admin/trigger_ops/trigger/at/past.PriceList:read_only/")
    assert style(visitor, ".tops-diff del", "backgroundColor") == "rgb(251, 223, 225)"
    assert style(visitor, ".tops-diff td", "verticalAlign") == "top"
    assert style(visitor, ".tops pre code .hl-k", "color") == "rgb(0, 112, 32)"


def test_a_trigger_is_repaired_under_it(themed: Demo, visit: Callable[..., Visitor]) -> None:
    visitor = visit(themed)
    page = visitor.opens(PAGES["trigger"])
    visitor.clicks("Install…")
    page.get_by_label("Why").fill("INC-77: somebody gutted it")
    page.locator("form.tops-confirm button").click()
    expect(page.locator("body")).to_contain_text("Install: 1 replaced.", ignore_case=True)
    listed = themed.site.manage("pgtrigger", "ls", INVOICE)
    assert listed.stdout == f"INSTALLED ENABLED {INVOICE}\n"


def test_the_banner_is_on_pages_of_a_theme_too(
    themed: Demo, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(themed, "ann")
    page = visitor.opens("/admin/trigger_ops/session/ask/?trigger=past.Receipt:append_only")
    page.get_by_label("Reason").fill("R-1 was typed wrong, see the paper")
    visitor.clicks("Ask for the session")
    visitor.opens("/admin/past/receipt/")
    expect(page.locator(".tops-banner")).to_be_visible()
    page.locator(".tops-banner button").click()
    expect(page.locator(".tops-banner")).to_have_count(0)
