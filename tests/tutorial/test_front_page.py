"""The front page of the demo site: every example with its SQL, and what comes of running it."""

from __future__ import annotations

import html
import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pgtrigger
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db import OperationalError
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.test import Client

from demo_site import samples, views
from demo_site.tutorial import models as tutorial
from demo_site.tutorial import runner
from demo_site.tutorial.examples import EXAMPLES
from demo_site.tutorial.runner import ENTRIES
from tests.damage import gut, pgid
from trigger_ops.web.protected import ProtectedAdminMixin

NAMES = [entry.name for entry in ENTRIES]

running = pytest.mark.django_db(transaction=True, databases=["default", "archive"])


class Reader(HTMLParser):
    """Collects what a strict policy or a reader without sight would stumble over."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def card(page: str, name: str) -> str:
    """Return the part of the front page about one example, as text."""
    found = re.search(rf'<article id="{name}".*?</article>', page, re.S)
    assert found
    return html.unescape(found[0])


def shown(page: str) -> list[str]:
    """Return what stands in the blocks of a page, in their order."""
    return [html.unescape(one) for one in re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.S)]


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_an_example_has_its_model_the_sql_of_its_triggers_and_a_button(
    entry: Any, client: Client
) -> None:
    text = card(client.get("/").content.decode(), entry.name)
    model = getattr(tutorial, entry.name)
    assert f"class {entry.name}(" in text
    triggers = [one for found, one in pgtrigger.registered() if found is model]
    for trigger in triggers:
        assert f"SQL of <code>{trigger.get_uri(model)}</code>" in text
        assert f"CREATE OR REPLACE FUNCTION {trigger.get_pgid(model)}()" in text
    assert len(triggers) == text.count("SQL of <code>") > 0
    assert f'action="/run/{entry.name}/"' in text
    assert 'name="csrfmiddlewaretoken"' in text
    assert f'href="/admin/tutorial/{entry.name.lower()}/"' in text
    expected = entry.output if entry in EXAMPLES else entry.describe(entry.fires)
    assert expected in text


def refuse_inline(page: str, *, seen: bool = True) -> None:
    tags = Reader(page).tags
    assert seen == any(tag == "link" for tag, _ in tags)
    for tag, attributes in tags:
        assert tag not in ("script", "style"), tag
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        for key in ("src", "href", "action"):
            assert not (attributes.get(key) or "").startswith(("http:", "https:", "//", "data:"))
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_pages_hold_to_a_strict_policy(client: Client) -> None:
    response = client.get("/")
    assert response["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in response["Content-Security-Policy"]
    refuse_inline(response.content.decode())
    for name in re.findall(r'href="/static/([^"]+)"', response.content.decode()):
        assert finders.find(name), name


def test_the_front_page_asks_the_database_nothing(client: Client) -> None:
    """Without the mark of pytest-django, any question to it is an error."""
    assert client.get("/").status_code == 200
    assert client.head("/").status_code == 200


@running
@pytest.mark.skipif(is_psycopg3, reason="the snippets catch what psycopg 2 raises")
def test_examples_run_as_often_as_one_likes(client: Client) -> None:
    for _ in range(2):
        for name in ("AppendOnly", "OfficialInterface", "Tracked", "AnyChangeAll"):
            response = client.post(f"/run/{name}/")
            page = response.content.decode()
            assert response.status_code == 200
            assert "As expected" in page
            expected, actual, *_rest = shown(page)
            assert runner.Outcome(name, name, expected, actual).ok
            assert actual.strip()
            assert f"class {name}(" in html.unescape(page)
            refuse_inline(page)


@running
@pytest.mark.skipif(is_psycopg3, reason="the snippets catch what psycopg 2 raises")
def test_all_examples_run_at_once(client: Client) -> None:
    page = client.post("/run/").content.decode()
    assert f"All {len(ENTRIES)} examples did what they should." in page
    assert page.count("As expected") == len(ENTRIES)
    refuse_inline(page)


@running
@pytest.mark.skipif(is_psycopg3, reason="the snippets catch what psycopg 2 raises")
def test_a_trigger_that_does_nothing_is_seen_at_once(client: Client) -> None:
    gut(pgid("tutorial.AppendOnly:append_only"), returning="NEW")
    try:
        page = client.post("/run/AppendOnly/").content.decode()
    finally:
        pgtrigger.install("tutorial.AppendOnly:append_only")
    assert "Different" in page
    assert "AppendOnly: not what the documents say." in page
    expected, actual, *_rest = shown(page)
    assert expected == "Cannot update!\nCannot delete!\n"
    assert "Cannot" not in actual


def test_nothing_runs_by_being_looked_at(client: Client) -> None:
    assert client.get("/run/").status_code == 405
    assert client.get("/run/AppendOnly/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/run/AppendOnly/").status_code == 403
    assert client.post("/").status_code == 405


def test_an_unknown_example_is_one_sentence(client: Client) -> None:
    response = client.post("/run/<b>appendonli/")
    assert response.status_code == 404
    page = response.content.decode()
    assert "There is no example &#x27;&lt;b&gt;appendonli&#x27;; the nearest is" in page


@pytest.mark.django_db
def test_where_examples_cannot_run_a_sentence_says_why(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "is_psycopg3", True)
    response = client.post("/run/AppendOnly/")
    assert response.status_code == 409
    assert "TRIGGER_OPS_DRIVER=psycopg2" in response.content.decode()
    assert response["Content-Security-Policy"]


def test_a_database_that_is_down_is_one_sentence(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_answers(_entries: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(views, "run", nobody_answers)
    response = client.post("/run/AppendOnly/")
    assert response.status_code == 503
    assert "The database does not answer." in response.content.decode()


# The admin of the demo site -----------------------------------------------------------------------

OURS = [model for model in admin.site._registry if model.__module__.startswith("demo_site.")]


def test_every_model_with_a_trigger_is_in_the_admin_by_the_mixin() -> None:
    assert {model for model, _ in pgtrigger.registered()} <= set(OURS)
    for model in OURS:
        found = admin.site.get_model_admin(model)
        assert isinstance(found, ProtectedAdminMixin)
        assert not found.check()


@pytest.mark.django_db(databases=["default", "archive"])
def test_every_page_of_the_admin_opens(client: Client) -> None:
    samples.load()
    client.force_login(User.objects.create_superuser("ann", password="x"))
    assert len(OURS) > 40
    for model in OURS:
        url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(url).status_code == 200, url
        row = model._default_manager.first()
        if row is not None:
            assert client.get(f"{url}{row.pk}/change/").status_code == 200, url
