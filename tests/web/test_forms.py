"""Forms that act: each carries the token and a text of its own, and acts once."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core import mail
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.sessions.conftest import (
    RECEIPT,
    guarded,
    guarded_template,
    migrated_database,
)
from tests.web.dashboard import ASKED, KEY, LOOKS, Way, World, make_world, world
from tests.web.session_people import words
from trigger_ops import api
from trigger_ops.models import Allowance, LedgerEntry, Review, Session, SessionEvent
from trigger_ops.web import evidence, freshness

__all__ = ["guarded", "guarded_template", "migrated_database", "world"]

pytestmark = pytest.mark.urls("tests.web.second_site")

TEAM = {"name": "team", "backend": "email", "to": ["ops@example.org"]}
REASON = "the numbers of Friday were wrong"


@pytest.fixture(autouse=True)
def told(settings: Any) -> Iterator[None]:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [TEAM]}
    evidence.forget()
    freshness.forget()
    yield
    evidence.forget()
    freshness.forget()


def forms(markup: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Return the address of each form that posts, and what it sends of itself."""
    found = []
    for head, inside in re.findall(r'<form([^>]*method="post"[^>]*)>(.*?)</form>', markup, re.S):
        to = re.search(r'action="([^"]*)"', head)
        fields: dict[str, list[str]] = {}
        for tag in re.findall(r"<input[^>]*>", inside):
            given = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if given.get("type") == "hidden" and "name" in given:
                fields.setdefault(given["name"], []).append(html.unescape(given.get("value", "")))
        found.append((html.unescape(to[1]) if to else "", fields))
    return found


def confirmation(world: World, site: str = "admin") -> Any:
    """Ask to disable a trigger: the page that shows what would be done."""
    sent = {"action": "disable", "chosen": [KEY], "for": "30m"}
    return world.ask(Way("action_confirm", (), method="POST", sent=sent), world.boss, site=site)


def test_every_form_that_acts_has_the_token_and_a_text_of_its_own(world: World) -> None:
    acting = {
        world.address(name): name
        for name in (
            *("action_run", "session_ask", "session_review", "session_extend", "session_end"),
            *("session_revoke", "destination_test", "allowance_add", "allowance_changelist"),
        )
    }
    reached, texts = set(), []
    answers = [(way.page, world.ask(way, world.boss)) for way in LOOKS if way.status == 200]
    for name, answer in [*answers, ("action_confirm", confirmation(world))]:
        if answer.streaming or not answer["Content-Type"].startswith("text/html"):
            continue
        for to, fields in forms(answer.content.decode()):
            act = acting.get(to or world.address(name))
            if act is not None:
                reached.add(act)
                assert fields["csrfmiddlewaretoken"][0], (name, act)
                texts += fields["nonce"]
    assert reached == set(acting.values())
    assert all(texts)
    assert len(texts) == len({*texts})


# Sent twice ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """A form: where it is, what is typed, what is counted, and what would let it act again."""

    on: str
    typed: dict[str, Any]
    count: Callable[[], int]
    status: int = 409
    again: Callable[[], Any] = lambda: None


def events(kind: str) -> Callable[[], int]:
    return lambda: SessionEvent.objects.filter(kind=kind).count()


def end_allowances() -> None:
    for one in Allowance.objects.filter(ended=None):
        api.expire_allowance(one.pk, by="bob")


ACTS = {
    "action_run": Act(
        "",
        {"reason": REASON, "typed": "append_only"},
        lambda: LedgerEntry.objects.filter(kind="started").count(),
    ),
    "session_ask": Act(
        "session_ask",
        {"triggers": [RECEIPT], "reason": REASON, "duration": "15m"},
        lambda: Session.objects.count(),
        302,
    ),
    "session_review": Act("session_changelist", {"verdict": "approve"}, Review.objects.count),
    "session_extend": Act("session_detail", {"longer": "1m"}, events("extended")),
    "session_end": Act("session_detail", {}, events("ended")),
    "session_revoke": Act("session_detail", {"reason": "enough"}, events("revoked")),
    "destination_test": Act("destinations", {}, lambda: len(mail.outbox), 302),
    "allowance_add": Act(
        "allowance_add",
        {"reason": REASON, "lasts": "7d"},
        Allowance.objects.count,
        409,
        end_allowances,
    ),
    "allowance_changelist": Act(
        "allowance_change", {}, lambda: Allowance.objects.exclude(ended=None).count(), 302
    ),
}


@pytest.mark.parametrize("site", ["admin", "staff"])
@pytest.mark.parametrize("name", ACTS)
def test_a_form_that_is_sent_twice_acts_once_and_stays_in_its_site(
    name: str, site: str, guarded: BaseDatabaseWrapper
) -> None:
    world, act = make_world(), ACTS[name]
    client = world.boss
    shown = world.ask(ASKED[act.on], client, site=site) if act.on else confirmation(world, site)
    to = world.address(name, site=site)
    (fields,) = [sent for at, sent in forms(shown.content.decode()) if at in (to, "")][:1]
    if name == "allowance_add":
        (fields["finding"],) = [re.findall(r'<option value="(\d+)"', shown.content.decode())]
    before = act.count()
    first = client.post(to, {**fields, **act.typed})
    assert first.status_code == 302, words(first.content)
    assert first["Location"].startswith(f"/{site}/trigger_ops/")
    assert act.count() == before + 1
    act.again()
    second = client.post(to, {**fields, **act.typed})
    told = second if second.status_code != 302 else client.get(second["Location"])
    assert second.status_code == act.status, words(second.content)
    assert "This form was sent before" in words(told.content) or name == "session_ask"
    assert act.count() == before + 1
