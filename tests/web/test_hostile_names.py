"""Triggers with hostile names, and many at once: shown, confirmed, carried out and told as text."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from typing import Any

import pgtrigger
import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from demo_site.past.models import Invoice
from tests.applier.conftest import default_at, make_database, migrated_database, own_database
from tests.damage import run
from tests.web.test_acting import CONFIRM, REASON, RUN, form_of, text_of
from trigger_ops import api
from trigger_ops.models import LedgerEntry
from trigger_ops.web import evidence

__all__ = ["default_at", "make_database", "migrated_database", "own_database"]

LIST = "/admin/trigger_ops/trigger/"


@pytest.fixture(autouse=True)
def unseen() -> Iterator[None]:
    evidence.forget()
    yield
    evidence.forget()


@pytest.fixture
def ann(own_database: BaseDatabaseWrapper) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    return client


HOSTILE = [
    'odd"name; --',
    "<script>alert(1)</script>",
    "it's % %s {0} \\",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil",
    "a:b/c?d#e&f",
    "..",
]


def orphan(part: str) -> str:
    """Leave a trigger behind that looks as if this project had made it; return its name."""
    name = f"pgtrigger_{part}_0a1b2"
    run(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        name=name,
    )
    run(
        "CREATE TRIGGER {name} BEFORE DELETE ON past_invoice FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=name,
    )
    run("COMMENT ON TRIGGER {name} ON past_invoice IS '" + "0" * 40 + "'", name=name)
    return name


@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_name_is_text_on_every_page_from_the_list_to_the_ledger(
    part: str, ann: Client
) -> None:
    name = orphan(part)

    def see(answer: Any, status: int = 200) -> str:
        assert answer.status_code == status, text_of(answer)
        markup: str = answer.content.decode()
        assert "<script>alert" not in markup
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in markup
        return markup

    told = name.replace("\N{RIGHT-TO-LEFT OVERRIDE}", r"\u202e")
    markup = see(ann.get(LIST, {"status": "PRUNE"}))
    (key,) = re.findall(r'name="chosen" value="([^"]*)"', markup)
    (to,) = re.findall(r'<a href="(/admin/trigger_ops/trigger/at/[^"]*)"', markup)
    detail = ann.get(html.unescape(to))
    see(detail)
    assert told in text_of(detail)
    shown = ann.post(CONFIRM, {"action": "prune", "chosen": [html.unescape(key)]})
    assert f"Type {told} to confirm" in html.unescape(re.sub("<[^>]*>", "", see(shown)))
    done = ann.post(RUN, {**form_of(shown), "reason": f"{REASON} {part}", "typed": told})
    assert done.status_code == 302, text_of(done)
    assert run("SELECT count(*) FROM pg_trigger WHERE tgname = %s", name) == [(0,)]
    see(ann.get(done["Location"]))
    see(ann.get("/admin/trigger_ops/ledgerentry/"))
    for entry in LedgerEntry.objects.all():
        see(ann.get(f"/admin/trigger_ops/ledgerentry/{entry.pk}/change/"))
    recent = ann.get("/admin/")
    see(recent)
    assert told in text_of(recent)


# Many ---------------------------------------------------------------------------------------------

MANY = 200


@pytest.fixture
def many(own_database: BaseDatabaseWrapper) -> Iterator[list[str]]:
    """Register and install 200 triggers more."""
    model: Any = Invoice
    made = [
        pgtrigger.Protect(name=f"extra_{number:03}", operation=pgtrigger.Delete)
        for number in range(MANY)
    ]
    try:
        with connections["default"].cursor() as cursor:
            for one in made:
                one.register(model)
                cursor.execute(one.compile(model).install_sql)
        yield [f"past.Invoice:{one.name}" for one in made]
    finally:
        for one in made:
            one.unregister(model)


def test_two_hundred_rows_are_acted_on_at_once(many: list[str], ann: Client) -> None:
    began = time.process_time()
    asked = {"q": "extra_", "database": "default", "per_page": "200", "choose": "page"}
    markup = ann.get(LIST, asked).content.decode()
    keys = re.findall(r'name="chosen" value="([^"]*)"[^>]* checked>', markup)
    assert len(keys) == MANY
    shown = ann.post(
        CONFIRM, {"action": "disable", "chosen": [html.unescape(key) for key in keys]}
    )
    assert "Type 200 to confirm" in text_of(shown)
    assert text_of(shown).count("DISABLE TRIGGER") == MANY
    done = ann.post(RUN, {**form_of(shown), "reason": REASON, "typed": "200"})
    assert done.status_code == 302, text_of(done)
    result = ann.get(done["Location"])
    assert "Disable: 200 switched." in text_of(result)
    assert all(uri in text_of(result) for uri in (many[0], many[-1]))
    assert {one.enabled.value for one in api.inspect(*many)} == {"DISABLED"}
    assert time.process_time() - began < 15
