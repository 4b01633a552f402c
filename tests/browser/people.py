"""Who visits the demo site in tests, and what they do there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

from tests.site import Site

PHONE: dict[str, Any] = {
    "viewport": {"width": 375, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}

_WATCH = """
addEventListener('securitypolicyviolation', event =>
    console.error('refused by the policy:', event.violatedDirective, event.blockedURI));
"""


@dataclass
class Demo:
    """A demo site that is served; ``cookies`` are of those who have logged in before."""

    url: str
    site: Site
    cookies: dict[str, Any] = field(default_factory=dict)


class Visitor:
    """Somebody with a browser of their own, logged in. ``amiss`` is what should not have happened."""

    def __init__(
        self,
        demo: Demo,
        name: str,
        new_context: Callable[..., BrowserContext],
        options: dict[str, Any],
    ) -> None:
        self.amiss: list[str] = []
        self._demo = demo
        self._expected = False
        self._runs_scripts = options.get("java_script_enabled", True)
        given = {"locale": "en-US", "timezone_id": "UTC", **DESK, **options}
        self._context = new_context(storage_state=demo.cookies.get(name), **given)
        self._context.add_init_script(_WATCH)
        self.page = self._context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.amiss.append(f"script: {error}"))
        self.page.on("request", self._fetched)
        if name and name not in demo.cookies:
            self.log_in(name)
            demo.cookies[name] = self._context.storage_state()

    def log_in(self, name: str) -> None:
        """Log in to the admin."""
        self.opens("/admin/login/?next=/admin/")
        self.page.locator("[name=username]").fill(name)
        self.page.locator("[name=password]").fill("demo")
        self.page.locator("[type=submit]").click()

    def opens(self, path: str, *, status: int = 200) -> Page:
        """Open a page of the site."""
        self._expected = status >= 400
        response = self.page.goto(f"{self._demo.url}{path}")
        assert response is not None
        assert response.status == status, self.text()
        return self.page

    def text(self) -> str:
        """Return what stands in the main part of the page, on one line."""
        return " ".join(self.page.locator("main, body").first.inner_text().split())

    def clicks(self, name: str, *, role: Any = "button", exact: bool = False) -> None:
        """Click what has a name, and wait for the page that comes of it."""
        self.page.get_by_role(role, name=name, exact=exact).first.click()
        self.page.wait_for_load_state()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let a tool of the tests do in the page what a page of ours may not."""
        before = list(self.amiss)
        yield
        self.amiss[:] = before

    def violations(self, *rules: str, within: str | None = None) -> list[str]:
        """Return what axe finds wrong for people who see, hear or point otherwise than most.

        By all of its rules, those of its best practices too, or by some; on the whole page, or
        within what a selector finds. Axe is a script that waits for itself: where scripts are off
        it would never answer, and is not asked.
        """
        if not self._runs_scripts:
            return []
        options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
        with self.unheard():
            found = Axe().run(self.page, context=within, options=options).response["violations"]
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]

    def turns(self, scheme: Any) -> None:
        """Turn light or dark, and wait until every colour has changed, or for two seconds."""
        self.page.emulate_media(color_scheme=scheme)
        for _ in range(40):
            if not self.page.evaluate("document.getAnimations().length"):
                break
            self.page.wait_for_timeout(50)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if not (self._expected and message.text.startswith("Failed to load resource")):
            self.amiss.append(f"console: {message.text} ({self.page.url})")

    def _fetched(self, request: Request) -> None:
        if not request.url.startswith((self._demo.url, "data:", "blob:")):
            self.amiss.append(f"fetched: {request.url}")
