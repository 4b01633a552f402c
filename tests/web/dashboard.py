"""Every page of the dashboard: how it is asked, what it takes, and a database with something on each.

The tables are compared with the addresses that there are: a page that is in none fails the tests.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from demo_site.past.models import Receipt
from tests.copies import Copies
from tests.drift.making import make_finding
from tests.management.sessions import demand_approval
from tests.sessions.conftest import CUSTOMER, INVOICE, REASON, RECEIPT, default_at
from tests.web.recorded import entry, look, ran
from trigger_ops import api
from trigger_ops.models import Allowance, Change, DriftFinding
from trigger_ops.web import evidence, freshness
from trigger_ops.web.people import actor_of_user

PREFIX = "trigger_ops_"

PERMISSIONS = sorted(
    {
        *(
            f"{action}_{model._meta.model_name}"
            for model in apps.get_app_config("trigger_ops").get_models()
            for action in model._meta.default_permissions
        ),
        *(
            codename
            for model in apps.get_app_config("trigger_ops").get_models()
            for codename, _told in model._meta.permissions
        ),
    }
)
"""Every permission of the app, by its codename."""

VERBS = {
    "install": "install_trigger",
    "enable": "toggle_trigger",
    "disable": "toggle_trigger",
    "prune": "prune_trigger",
    "uninstall": "prune_trigger",
}
KEY = f'["{RECEIPT}","default","public"]'


@dataclass(frozen=True, eq=False)
class Way:
    """One way to ask a page: what it takes, and what whoever has that is answered.

    What is sent lacks something, so that nothing is done. ``owner`` is whether a session's own
    opener needs none of it.
    """

    page: str
    takes: tuple[str, ...]
    status: int = 200
    method: str = "GET"
    sent: dict[str, Any] = field(default_factory=dict)
    owner: bool = False

    def __str__(self) -> str:
        sent = " ".join(str(value) for name, value in self.sent.items() if name != "chosen")
        return " ".join(part for part in (self.method, self.page, sent) if part)


def _looks() -> Iterator[Way]:
    trigger, session, reviewer = ("view_trigger",), ("view_session",), ("review_session",)
    yield Way("trigger_changelist", trigger)
    yield Way("trigger_detail", trigger)
    yield Way("action_confirm", trigger, 405)
    yield Way("action_run", trigger, 405)
    yield Way("action_result", trigger)
    yield Way("session_changelist", session)
    yield Way("session_detail", session)
    yield Way("session_ask", ("request_session",))
    yield Way("session_review", reviewer, 405)
    for act in ("extend", "end", "revoke"):
        yield Way(f"session_{act}", ("revoke_session",), 405, owner=True)
    for ending in ("json", "csv"):
        yield Way(f"session_{ending}", ("view_session", "view_change"))
    for model in ("ledgerentry", "driftrun", "driftfinding", "allowance", "change"):
        yield Way(f"{model}_changelist", (f"view_{model}",))
        yield Way(f"{model}_change", (f"view_{model}",))
    yield Way("runbook", ())  # is no secret
    yield Way("drift_history", ("view_driftrun",))
    yield Way("destinations", ("view_driftfinding",))
    yield Way("destination_test", ("view_driftfinding",), 405)
    yield Way("allowance_add", reviewer)


def _posts() -> Iterator[Way]:
    def post(page: str, takes: tuple[str, ...], status: int, **options: Any) -> Way:
        return Way(page, takes, status, "POST", **options)

    acting = {
        *("action_confirm", "action_run", "session_ask", "session_review", "session_extend"),
        *("session_end", "session_revoke", "destination_test", "allowance_add"),
        "allowance_changelist",
    }
    for way in _looks():
        if way.page not in acting:
            # What a file takes besides is asked for where there is a file.
            yield post(way.page, way.takes[:1], 405)
    for page, status in (("action_confirm", 200), ("action_run", 400)):
        yield post(page, ("view_trigger",), 404)
        for verb, permission in VERBS.items():
            sent = {"action": verb, "chosen": [KEY], "for": "30m"}
            yield post(page, ("view_trigger", permission), status, sent=sent)
    yield post("session_ask", ("request_session",), 200)
    yield post("session_review", ("review_session",), 400)
    yield post("session_review", ("review_session",), 409, sent={"verdict": "approve"})
    yield post("session_extend", ("revoke_session",), 409, sent={"longer": "5m"}, owner=True)
    yield post("session_revoke", ("revoke_session",), 409, sent={"reason": "stop"}, owner=True)
    yield post("session_end", ("revoke_session",), 409, owner=True)
    test = ("view_driftfinding", "review_session")
    yield post("destination_test", test, 302, sent={"destination": "team"})
    yield post("allowance_add", ("review_session",), 422)
    yield post("allowance_changelist", ("view_allowance",), 200)
    end = {"action": "expire", "index": 0, "_selected_action": [1]}
    yield post("allowance_changelist", ("view_allowance", "review_session"), 302, sent=end)


LOOKS = tuple(_looks())
POSTS = tuple(_posts())
ASKED = {way.page: way for way in LOOKS}


def pages(site: admin.AdminSite = admin.site) -> list[tuple[str, str]]:
    """Return the name without its prefix and the route of every page of ours in a site."""
    found: list[tuple[str, str]] = []

    def walk(patterns: list[Any], before: str) -> None:
        for one in patterns:
            route = f"{before}{one.pattern}"
            if isinstance(one, URLResolver):
                walk(one.url_patterns, route)
            elif isinstance(one, URLPattern) and (
                route.startswith("trigger_ops/") or str(one.name).startswith(PREFIX)
            ):
                found.append((str(one.name).removeprefix(PREFIX), route))

    walk(site.get_urls(), "")
    return found


NOWHERE: dict[str, dict[str, Any]] = {
    "trigger_detail": {"uri": INVOICE},
    "runbook": {"code": "C001"},
    "action_result": {"run": uuid.UUID(int=0)},
    **{
        f"session_{one}": {"session": 1}
        for one in ("detail", "review", "extend", "end", "revoke", "json", "csv")
    },
    "driftrun_change": {"object_id": uuid.UUID(int=0)},
    **{
        f"{one}_change": {"object_id": 1}
        for one in ("ledgerentry", "driftfinding", "allowance", "change")
    },
}
"""Where pages are of what there is not."""


@dataclass
class World:
    """What there is, and who is there."""

    owner: User | None = None
    at: dict[str, dict[str, Any]] = field(default_factory=lambda: NOWHERE)
    clients: dict[str, Client] = field(default_factory=dict)

    def address(self, page: str, *, site: str = "admin") -> str:
        """Return the address of a page in a site."""
        return reverse(f"admin:{PREFIX}{page}", kwargs=self.at.get(page), current_app=site)

    def ask(self, way: Way, client: Client, *, site: str = "admin", **query: Any) -> Any:
        """Ask a page in one of its ways."""
        to = self.address(way.page, site=site)
        return client.get(to, query) if way.method == "GET" else client.post(to, way.sent)

    def login(self, *codenames: str, staff: bool = True, superuser: bool = False) -> Client:
        """Return the login of somebody who has these permissions of ours."""
        key = " ".join([str(staff), str(superuser), *sorted(codenames)])
        if key not in self.clients:
            user = User(username=f"user{len(self.clients)}", is_staff=staff)
            user.is_superuser = superuser
            user.save()
            ours = Permission.objects.filter(content_type__app_label="trigger_ops")
            user.user_permissions.set(ours.filter(codename__in=codenames))
            assert user.user_permissions.count() == len(codenames)
            self.clients[key] = login(user)
        return self.clients[key]

    @property
    def boss(self) -> Client:
        """The login of a superuser."""
        return self.login(superuser=True)

    @property
    def boss_user(self) -> User:
        """That superuser."""
        return User.objects.get(pk=self.boss.session[SESSION_KEY])


def login(user: User, **options: Any) -> Client:
    """Return the browser of somebody; what fails is an answer there, as it is in production."""
    client = Client(raise_request_exception=False, **options)
    client.force_login(user)
    return client


def make_world() -> World:
    """Put something on record for each page."""
    owner = User.objects.create_user("owner", is_staff=True)
    actor, named = actor_of_user(owner), {"reason": REASON, "surface": "admin"}
    active = api.open_session(RECEIPT, actor=actor, **named)
    Receipt.objects.create(id=1, number="A1")
    with api.session(id=active.id, actor=actor):
        Receipt.objects.filter(id=1).update(number="B1")
    demand_approval()
    waits = api.open_session(CUSTOMER, actor=actor, **named)
    look(make_finding(), make_finding(trigger="pgtrigger_other", uri="past.Other:x"))
    ran(timezone.now())
    allowed, found = DriftFinding.objects.order_by("pk")
    api.allow(str(allowed.pk), owner="user:owner", reason=REASON, lasts=timezone.timedelta(days=1))
    done = entry(uri=INVOICE, database="default", schema="public")
    live = {"session": active.id}
    return World(
        owner=owner,
        at={
            "trigger_detail": {"uri": INVOICE},
            "runbook": {"code": "C001"},
            "action_result": {"run": done.run},
            **{f"session_{one}": live for one in ("detail", "extend", "end", "revoke")},
            **{f"session_{one}": live for one in ("json", "csv")},
            "session_review": {"session": waits.id},
            "ledgerentry_change": {"object_id": done.pk},
            "driftrun_change": {"object_id": found.events.get().run},
            "driftfinding_change": {"object_id": found.pk},
            "allowance_change": {"object_id": Allowance.objects.get().pk},
            "change_change": {"object_id": Change.objects.get().pk},
        },
    )


@pytest.fixture(scope="module")
def world(
    copies: Callable[[str], Copies], guarded_template: str, django_db_blocker: Any
) -> Iterator[World]:
    """Let `default` be a guarded database with something on each page, for a whole module.

    Its tests ask and change nothing.
    """
    with django_db_blocker.unblock():
        name = copies(guarded_template).take()
        evidence.forget()
        freshness.forget()
        with default_at(NAME=name):
            yield make_world()
        connections.close_all()
        copies(guarded_template).give_back(name)
    evidence.forget()
    freshness.forget()


def named_permission(answer: Any) -> str:
    """Return the permission that a page says is missing, "" where it says nothing of the kind."""
    found = re.search(r"<code>trigger_ops\.(\w+)</code>: ask", answer.content.decode())
    return found[1] if found else ""
