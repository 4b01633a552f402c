"""Every page of the dashboard, asked in every way, by everybody; and where its links lead."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import resolve

from tests.sessions.conftest import guarded_template, migrated_database
from tests.site import ROOT
from tests.web.dashboard import (
    ASKED,
    LOOKS,
    PERMISSIONS,
    POSTS,
    PREFIX,
    Way,
    World,
    login,
    named_permission,
    pages,
    world,
)

__all__ = ["guarded_template", "migrated_database", "world"]

TEAM = {"name": "team", "backend": "email", "to": ["ops@example.org"]}
WAYS = (*LOOKS, *POSTS)


@pytest.fixture(autouse=True)
def told(settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [TEAM]}


Role = tuple[set[str], tuple[Way, ...]]


def _roles() -> Iterator[tuple[str, Role]]:
    """Yield who asks: which permissions of ours that person has, and what is asked."""
    everything = set(PERMISSIONS)
    yield "anonymous", (set(), WAYS)
    yield "outsider", (everything, WAYS)
    yield "nobody", (set(), WAYS)
    yield "owner", (set(), WAYS)
    yield "superuser", (everything, WAYS)
    for one in PERMISSIONS:
        yield f"only {one}", ({one}, WAYS)
        # What does not take it is the superuser's as well.
        taking = tuple(way for way in WAYS if one in way.takes)
        yield f"all but {one}", (everything - {one}, taking)
    for way in WAYS:
        if len(way.takes) > 1:
            same = tuple(one for one in WAYS if one.takes == way.takes)
            yield " and ".join(way.takes), ({*way.takes}, same)


ROLES: dict[str, Role] = dict(_roles())


def client_of(role: str, world: World) -> Client:
    if role == "anonymous":
        return Client(raise_request_exception=False)
    if role == "owner":
        return world.clients.setdefault("owner", login(world.owner))
    if role == "superuser":
        return world.boss
    return world.login(*ROLES[role][0], staff=role != "outsider")


def expected(way: Way, role: str) -> str:
    """Return what a role is answered."""
    if role in ("anonymous", "outsider"):
        return "log in first"
    takes = () if way.owner and role == "owner" else way.takes
    lacks = [one for one in takes if one not in ROLES[role][0]]
    return f"403 {lacks[0]}" if lacks else str(way.status)


def summary(answer: Any) -> str:
    if answer.status_code == 403:
        return f"403 {named_permission(answer)}"
    if answer.status_code == 302 and answer["Location"].startswith("/admin/login/"):
        return "log in first"
    return str(answer.status_code)


def test_every_page_is_in_the_tables() -> None:
    names = [name for name, _route in pages()]
    assert sorted(names) == sorted({*names})
    assert {way.page for way in LOOKS} == {*names}
    assert {way.page for way in POSTS} == {*names}


def test_every_permission_is_documented() -> None:
    text = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
    documented = {*re.findall(r"`trigger_ops\.(\w+)`", text)}
    models = {"ledgerentry", "driftrun", "driftfinding", "allowance"}
    assert documented | {f"view_{model}" for model in models} == {*PERMISSIONS}


@pytest.mark.parametrize("role", ROLES)
def test_everybody_gets_as_far_as_permitted_and_no_link_leads_further(
    role: str, world: World
) -> None:
    client = client_of(role, world)
    answers = {way: world.ask(way, client) for way in ROLES[role][1]}
    assert {str(way): summary(answer) for way, answer in answers.items()} == {
        str(way): expected(way, role) for way in answers
    }
    assert {str(way): found for way in answers if (found := dead_ends(answers[way], role))} == {}


def test_nothing_is_sent_from_another_site(world: World) -> None:
    client = login(world.boss_user, enforce_csrf_checks=True)
    for way in POSTS:
        answer = world.ask(way, client)
        assert (answer.status_code, b"CSRF" in answer.content) == (403, True), way


OFFERS: dict[str, dict[str, tuple[str, ...]]] = {
    "trigger_changelist": {
        "install_trigger": ('<option value="install">', 'name="chosen"'),
        "toggle_trigger": ('<option value="enable">', '<option value="disable">'),
        "prune_trigger": ('<option value="prune">', '<option value="uninstall">'),
    },
    "trigger_detail": {
        "install_trigger": ('name="action" value="install"',),
        "toggle_trigger": ('name="action" value="disable"',),
        "prune_trigger": ('name="action" value="uninstall"',),
        "view_ledgerentry": ('href="/admin/trigger_ops/ledgerentry/?q=',),
        "view_driftfinding": ('href="/admin/trigger_ops/driftfinding/?q=',),
        "view_session": ('href="/admin/trigger_ops/session/?q=',),
    },
    "session_changelist": {
        "request_session": ('href="{session_ask}"',),
        "review_session": ('action="{session_review}"', 'name="verdict"'),
    },
    "session_detail": {
        "revoke_session": ("{session_extend}", "{session_end}", "{session_revoke}"),
        "view_change": ("{session_json}", "{session_csv}", "<del>A1</del>"),
        "view_trigger": ('href="/admin/trigger_ops/trigger/at/past.Receipt:append_only/',),
    },
    "ledgerentry_change": {"view_trigger": ("{action_result}", "{trigger_detail}")},
    "driftrun_change": {
        "view_driftfinding": (
            'href="/admin/trigger_ops/driftfinding/?run=',
            "{driftfinding_change}",
        )
    },
    "drift_history": {"view_driftfinding": ("/driftfinding/?standing=open",)},
    "driftfinding_changelist": {"view_driftrun": ('href="{drift_history}"',)},
    "driftfinding_change": {
        "view_trigger": ("/trigger/at/past.Other:x/",),
        "view_driftrun": ("{driftrun_change}",),
        "view_allowance": ("Nobody answers for it.",),
        "review_session": ("{allowance_add}?finding=",),
    },
    "destinations": {"review_session": ('action="{destination_test}"',)},
    "allowance_changelist": {
        "review_session": ('<option value="expire">', 'href="{allowance_add}"')
    },
    "allowance_change": {
        "review_session": ('value="expire"',),
        "view_driftfinding": ('href="/admin/trigger_ops/driftfinding/',),
    },
    "change_change": {"view_session": ("{session_detail}",)},
}
"""What is on a page for those who have one permission more than the page takes."""


@pytest.mark.parametrize("where", OFFERS)
def test_what_takes_a_permission_is_on_the_page_of_those_who_have_it(
    where: str, world: World
) -> None:
    way = ASKED[where]
    addresses = {name: world.address(name) for name, _route in pages()}

    def seen(*permissions: str) -> str:
        markup = world.ask(way, world.login(*way.takes, *permissions)).content.decode()
        return markup.partition('<div id="content"')[2] or markup

    without, missing, there = seen(), [], []
    for permission, marks in OFFERS[where].items():
        markup = seen(permission)
        for mark in (one.format(**addresses) for one in marks):
            there += [mark] if mark in without else []
            missing += [mark] if mark not in markup else []
    assert (missing, there) == ([], [])


# Where a page leads -------------------------------------------------------------------------------


def dead_ends(answer: Any, role: str) -> list[str]:
    """Return which links and forms of a page are of no use to whoever sees it."""
    if answer.streaming or not answer["Content-Type"].startswith("text/html"):
        return []
    markup = re.sub(r'href="#[^"]*"', "", answer.content.decode())
    here = answer.request["PATH_INFO"]
    found = []
    for to in re.findall(r'<a [^>]*?href="([^"]*)"', markup):
        way = _way_of(here, to, LOOKS)
        if way is not None and expected(way, role) != str(way.status):
            found.append(f"{html.unescape(to)}: {expected(way, role)}")
    for to, inside in re.findall(
        r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', markup, re.S
    ):
        for verb in re.findall(r'name="action" value="(\w+)"', inside) or [""]:
            way = _way_of(here, to, POSTS, verb)
            if way is not None and expected(way, role) != str(way.status):
                found.append(f"{html.unescape(to)} {verb}: {expected(way, role)}")
    return found


def _way_of(here: str, to: str, ways: tuple[Way, ...], verb: str = "") -> Way | None:
    """Return the way to ask a page that an address is of; None where it is none of ours."""
    path = urlsplit(urljoin(f"http://testserver{here}", html.unescape(to))).path
    if not path.startswith("/admin/trigger_ops/"):
        return None
    name = str(resolve(path).url_name).removeprefix(PREFIX)
    asked = [way for way in ways if way.page == name and way.sent.get("action", "") == verb]
    # What an acting page takes when nothing is amiss is what its longest row takes.
    return max(asked, key=lambda way: len(way.takes), default=None)
