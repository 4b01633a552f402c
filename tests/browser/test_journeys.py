"""What people come for, from the first page to the last, each on a demo site of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.people import DESK, PHONE, Demo, Visitor

#: How somebody looks at the site.
WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", **DESK},
    "dark, on a phone": {"color_scheme": "dark", **PHONE},
    "without scripts": {"java_script_enabled": False},
}

Visit = Callable[..., Visitor]


@pytest.mark.parametrize("way", WAYS)
def test_a_tampered_trigger_is_found_understood_and_repaired(
    way: str, own_demo: Demo, visit: Visit
) -> None:
    ann = visit(own_demo, **WAYS[way])
    page = ann.opens("/admin/")
    page.locator("#content-main").get_by_role("link", name="Triggers", exact=True).click()
    expect(page.locator(".tops-verdict")).to_contain_text("4 need attention: 1 TAMPERED")
    ann.clicks("1 TAMPERED", role="link")
    expect(page.locator(".tops-triggers tbody tr")).to_have_count(1)
    ann.clicks("past.Invoice:protect_deletes", role="link")
    expect(page.locator(".tops-findings dt")).to_contain_text("C001 CRITICAL: The function's body")
    expect(page.locator(".tops-diff del").first).to_be_visible()
    assert "RAISE EXCEPTION" in page.locator(".tops-diff .tops-before").all_inner_texts()[10]

    ann.clicks("Install…")
    expect(page.locator(".tops-moves li")).to_have_count(1)
    expect(page.locator(".tops-moves li")).to_contain_text("Lock: NONE")
    expect(page.locator(".tops-moves pre")).to_contain_text("CREATE OR REPLACE FUNCTION")
    assert ann.violations() == []
    page.get_by_label("Why").fill("INC-77: somebody gutted it")
    page.locator("form.tops-confirm button").click()
    expect(page.locator("h1")).to_contain_text("What was done")
    assert ann.violations() == []
    expect(page.locator(".messagelist")).to_contain_text("Install: 1 replaced.")
    expect(page.locator("main")).to_contain_text("by user:demo: INC-77: somebody gutted it")

    ann.clicks("Back to the triggers", role="link")
    expect(page.locator(".tops-verdict")).to_contain_text("3 need attention")
    ann.opens("/admin/")
    expect(page.locator("#recent-actions-module")).to_contain_text(
        "install past.Invoice:protect_deletes"
    )
    done = own_demo.site.manage("pgtrigger", "ls", "past.Invoice")
    assert done.stdout == "INSTALLED ENABLED past.Invoice:protect_deletes\n"


def test_all_that_is_wrong_is_chosen_and_mended_at_once(own_demo: Demo, visit: Visit) -> None:
    ann = visit(own_demo)
    page = ann.opens("/admin/trigger_ops/trigger/?app=past&status=TAMPERED&status=OUTDATED")
    ann.clicks("Choose all", role="link")
    page.get_by_label("With those chosen").select_option("install")
    ann.clicks("Go on")
    expect(page.locator(".tops-moves li")).to_have_count(3)
    page.get_by_label("Why").fill("INC-77: somebody gutted it")
    # Somebody who is impatient: the form is sent twice.
    form = page.locator("form.tops-confirm")
    fields = dict(form.evaluate("form => [...new FormData(form)]"))
    form.locator("button").click()
    expect(page.locator(".messagelist")).to_contain_text("Install: 2 replaced.")
    url, reads = f"{own_demo.url}/admin/trigger_ops/trigger/act/now/", {"Referer": page.url}
    assert page.request.post(url, form=fields, headers=reads).status in (200, 409)
    log = json.loads(own_demo.site.manage("pgtrigger", "log", "--format", "json").stdout)
    kinds = [one["kind"] for one in log["entries"] if one["verb"] == "install"]
    assert kinds.count("started") == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_session_is_asked_for_approved_used_and_ended(
    way: str, own_demo: Demo, visit: Visit
) -> None:
    ann, ben = visit(own_demo, "ann", **WAYS[way]), visit(own_demo, "ben")
    page = ann.page
    edit = "/admin/past/customer/1/change/"

    ann.opens(edit)
    page.get_by_label("Email").fill("e.holm@example.org")
    ann.clicks("Save", exact=True)
    expect(page.locator(".errornote, .errorlist").first).to_be_visible()
    expect(page.locator("main")).to_contain_text("past.Customer:read_only_email")

    ann.opens("/admin/trigger_ops/session/")
    ann.clicks("Ask for a session", role="link")
    page.get_by_label("past.Customer:read_only_email").check()
    page.get_by_label("Reason").fill("E. Falk is E. Holm now: see form 88")
    page.get_by_label("Ticket").fill("INC-43")
    ann.clicks("Ask for the session")
    expect(page.locator(".messagelist")).to_contain_text("waits for 1 approval of somebody else")
    session = re.search(r"/session/(\d+)/", page.url)
    assert session is not None
    number = session[1]
    expect(page.locator(".tops-banner")).to_contain_text(f"Session {number} waits for approval.")
    ann.opens(edit)
    page.get_by_label("Email").fill("e.holm@example.org")
    ann.clicks("Save", exact=True)
    expect(page.locator(".errornote, .errorlist").first).to_be_visible()

    ben.opens("/admin/trigger_ops/session/")
    asked = ben.page.get_by_role("region", name=f"Session {number}")
    expect(asked).to_contain_text("E. Falk is E. Holm now: see form 88")
    asked.get_by_label("Remark").fill("I saw the form.")
    asked.get_by_role("button", name="Approve").click()
    expect(ben.page.locator(".messagelist")).to_contain_text("is approved, and active from now on")

    ann.opens(edit)
    expect(page.locator(".tops-banner")).to_contain_text(f"Session {number} is active.")
    expect(page.locator(".tops-banner")).to_contain_text(re.compile(r"1[45].minutes left"))
    assert ann.violations(within=".tops-banner") == []
    page.get_by_label("Email").fill("e.holm@example.org")
    ann.clicks("Save", exact=True)
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    ann.clicks("End it now")
    expect(page.locator(".messagelist")).to_contain_text(f"Session {number} is ended")
    expect(page.locator(".tops-banner")).to_have_count(0)

    ann.opens(edit)
    page.get_by_label("Email").fill("somebody.else@example.org")
    ann.clicks("Save", exact=True)
    expect(page.locator(".errornote, .errorlist").first).to_be_visible()

    ben.opens(f"/admin/trigger_ops/session/{number}/")
    expect(ben.page.locator("main")).to_contain_text("Clean 1 row on record.")
    expect(ben.page.locator(".tops-steps")).to_contain_text('UPDATE "past_customer" SET')
    expect(ben.page.locator(".tops-columns del")).to_have_text("falk@example.org")
    expect(ben.page.locator(".tops-columns ins")).to_have_text("e.holm@example.org")
    # Ann may not look at rows.
    ann.opens(f"/admin/trigger_ops/session/{number}/")
    expect(page.locator("main")).not_to_contain_text("e.holm@example.org")


def test_what_is_left_of_a_session_is_counted_down(demo: Demo, visit: Visit) -> None:
    ben = visit(demo, "ben")
    page = ben.opens("/admin/trigger_ops/session/2/")
    left = page.locator("time[data-tops-now]").first
    before = left.inner_text()
    assert re.search(r"3:5\d:\d\d left", before)
    page.wait_for_function(
        "old => document.querySelector('time[data-tops-now]').innerText != old", arg=before
    )

    plain = visit(demo, "ben", java_script_enabled=False)
    plain.opens("/admin/trigger_ops/session/2/")
    assert re.search(r"until .* UTC, 3:5\d:\d\d left|3 hours", plain.text())


def test_drift_is_followed_from_a_day_to_a_trigger(demo: Demo, visit: Visit) -> None:
    ann = visit(demo)
    page = ann.opens("/admin/trigger_ops/driftrun/")
    ann.clicks("Drift over 30 days", role="link")
    assert page.locator("svg.tops-chart").count() == 2
    assert page.locator("svg rect.tops-day").count() == 30
    assert page.locator("svg rect.tops-day-none").count() == 2
    expect(page.locator("svg.tops-chart title").first).to_have_text(
        "The worst finding of each day"
    )
    assert page.locator(".tops-table tbody tr").count() == 30

    page.locator(".tops-table tbody a").first.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody th a").click()
    expect(page.locator("main")).to_contain_text("archive")
    assert ann.violations() == []
    ann.opens("/admin/trigger_ops/driftfinding/?standing=open&level=CRITICAL")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody th a").click()
    expect(page.locator("main")).to_contain_text("manage.py pgtrigger install past.Invoice")
    ann.clicks("The trigger", role="link")
    expect(page.locator("h1")).to_contain_text("past.Invoice:protect_deletes")


def test_a_finding_is_allowed_and_taken_back(own_demo: Demo, visit: Visit) -> None:
    ann = visit(own_demo)
    page = ann.opens("/admin/trigger_ops/driftfinding/?standing=open&level=ERROR")
    page.locator("#result_list tbody th a").click()
    ann.clicks("Allow it for a while", role="link")
    page.get_by_label("Reason").fill("CHG-50: corrections until Friday")
    ann.clicks("Allow it")
    expect(page.locator(".messagelist")).to_be_visible()
    expect(page.locator("main")).to_contain_text("CHG-50: corrections until Friday")


def test_an_example_of_the_tutorial_runs_on_the_front_page(own_demo: Demo, visit: Visit) -> None:
    ann = visit(own_demo)
    page = ann.opens("/")
    card = page.locator("article#AppendOnly")
    expect(card).to_contain_text("class AppendOnly")
    expect(card).to_contain_text("CREATE TRIGGER")
    card.get_by_role("button", name="Run AppendOnly").click()
    expect(page.locator("h1")).to_contain_text("AppendOnly, run")
    expect(page.locator("main")).to_contain_text(
        "As expected Expected Cannot update! Cannot delete! Actual Cannot update!"
    )
    assert ann.violations() == []


def test_what_a_trigger_refuses_is_a_message_in_ones_own_admin(
    own_demo: Demo, visit: Visit
) -> None:
    ann = visit(own_demo)
    page = ann.opens("/admin/past/receipt/1/change/")
    assert page.locator("a.deletelink").count() == 0
    page.get_by_label("Number").fill("R-1000")
    ann.clicks("Save", exact=True)
    expect(page.locator("main")).to_contain_text("past.Receipt:append_only")
    expect(page.get_by_label("Number")).to_have_value("R-1000")
    ann.opens("/admin/past/receipt/")
    expect(page.locator("#result_list")).to_contain_text("R-1")
    expect(page.locator("#result_list")).not_to_contain_text("R-1000")
