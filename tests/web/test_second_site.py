"""The dashboard in an AdminSite of the project's own: every page is there, and leads nowhere else."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import AlreadyRegistered
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from demo_site.past.models import Receipt
from tests.damage import run
from tests.sessions.conftest import guarded, guarded_template, migrated_database
from tests.web.dashboard import LOOKS, World, make_world, named_permission, pages, world
from tests.web.second_site import staff
from trigger_ops import api
from trigger_ops.admin import register
from trigger_ops.models import Change
from trigger_ops.states import SessionState
from trigger_ops.web import evidence, freshness

__all__ = ["guarded", "guarded_template", "migrated_database", "world"]

pytestmark = pytest.mark.urls("tests.web.second_site")

PAST = "past/receipt/1/change/"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    evidence.forget()
    freshness.forget()


def ways_out(markup: str) -> set[str]:
    """Return the first part of every address that a page leads to."""
    found = re.findall(r'(?:href|action|src|value)="(/[^"]*)"', markup)
    return {html.unescape(to).split("/")[1] for to in found}


def test_it_has_every_page() -> None:
    assert pages(staff) == pages()


def test_it_is_registered_once() -> None:
    site = AdminSite("third")
    register(site)
    with pytest.raises(AlreadyRegistered):
        register(site)


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param("both", marks=pytest.mark.urls("tests.web.second_site")),
        pytest.param("this one alone", marks=pytest.mark.urls("tests.web.staff_alone")),
    ],
)
def test_every_page_is_shown_and_leads_nowhere_else(addresses: str, world: World) -> None:
    for way in LOOKS:
        answer = world.ask(way, world.boss, site="staff")
        assert answer.status_code == way.status, way
        if not answer.streaming and answer["Content-Type"].startswith("text/html"):
            markup = answer.content.decode()
            # "View site" leads to the front page of the project.
            assert ways_out(markup) == {"staff", "static", ""}, way
            assert '<a href="/staff/">' in markup, way


def test_permissions_hold_there(world: World) -> None:
    nobody = world.login()
    for way in LOOKS:
        answer = world.ask(way, nobody, site="staff")
        expected = (403, way.takes[0]) if way.takes else (way.status, "")
        assert (answer.status_code, named_permission(answer)) == expected, way
        assert ways_out(answer.content.decode()) == {"staff", "static", ""}, way
        answer = world.ask(way, Client(), site="staff")
        assert answer["Location"].startswith("/staff/login/?next=/staff/"), way


# Sessions -----------------------------------------------------------------------------------------


@pytest.fixture
def working(guarded: BaseDatabaseWrapper) -> tuple[Client, int]:
    """Let a superuser work in a session that is active; return the login, and the session."""
    world = make_world()
    run("UPDATE trigger_ops_guard SET policy = 'record'")  # as when it was opened
    world.owner.is_superuser = True
    world.owner.save()
    client = Client(raise_request_exception=False)
    client.force_login(world.owner)
    number = int(world.at["session_detail"]["session"])
    kept = client.session
    kept["trigger_ops.session"] = [number, "default"]
    kept.save()
    return client, number


def banner(client: Client, page: str) -> str:
    markup = client.get(page).content.decode()
    found = re.search(r'<aside class="tops-banner".*?</aside>', markup, re.S)
    return found[0] if found else ""


@pytest.mark.parametrize("site", ["staff", "admin"])
def test_the_banner_is_of_the_site_that_one_is_in(site: str, working: tuple[Client, int]) -> None:
    client, number = working
    named = ("", "trigger_ops/trigger/", "past/receipt/", PAST, "password_change/")
    for page in (*named, *(["own/"] if site == "staff" else [])):
        shown = banner(client, f"/{site}/{page}")
        assert f'action="/{site}/trigger_ops/session/{number}/end/"' in shown, page
        assert ways_out(shown) == {site}, page


@pytest.mark.parametrize("site", ["staff", "admin"])
def test_its_button_ends_the_session_and_stays_in_the_site(
    site: str, working: tuple[Client, int]
) -> None:
    client, number = working
    shown = banner(client, f"/{site}/past/receipt/")
    (to,) = re.findall(r'action="([^"]*)"', shown)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown))
    answer = client.post(to, fields)
    assert answer["Location"] == f"/{site}/trigger_ops/session/{number}/"
    assert api.find_session(number).state is SessionState.ENDED
    assert banner(client, f"/{site}/past/receipt/") == ""


def test_what_is_saved_there_is_in_the_session(working: tuple[Client, int]) -> None:
    client, number = working
    before = Change.objects.count()
    answer = client.post(f"/staff/{PAST}", {"number": "C1"})
    assert (answer.status_code, answer["Location"]) == (302, "/staff/past/receipt/")
    assert Receipt.objects.get(id=1).number == "C1"
    assert Change.objects.filter(session=number).count() == before + 1


def test_a_site_without_our_pages_has_the_banner_without_a_button(
    working: tuple[Client, int],
) -> None:
    client, number = working
    shown = banner(client, "/elsewhere/past/receipt/")
    assert f"Session {number} is active." in shown
    assert ways_out(shown) == set()
    answer: Any = client.post(f"/elsewhere/{PAST}", {"number": "C1"})
    assert answer.status_code == 302
    assert Receipt.objects.get(id=1).number == "C1"
