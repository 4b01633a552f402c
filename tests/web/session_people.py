"""Who uses the pages of sessions in tests, and what they read there."""

from __future__ import annotations

import html
import re
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.damage import run
from tests.sessions.conftest import REASON, RECEIPT
from tests.web.once import nonce
from trigger_ops import api
from trigger_ops.records import SessionRecord
from trigger_ops.states import SessionState
from trigger_ops.web.people import actor_of_user

EVERY = ("view_session", "request_session", "review_session", "revoke_session", "view_change")


class Person:
    """Staff with some permissions of ours, logged in."""

    def __init__(self, name: str, *permissions: str, csrf: bool = False) -> None:
        self.user = User.objects.create_user(name, f"{name}@example.org", "x", is_staff=True)
        ours = Permission.objects.filter(content_type__app_label="trigger_ops")
        self.user.user_permissions.set(ours.filter(codename__in=permissions))
        assert self.user.user_permissions.count() == len(permissions)
        self.client = Client(enforce_csrf_checks=csrf)
        self.client.force_login(self.user)

    def opens(self, *selectors: str, **named: Any) -> SessionRecord:
        """Open a session in this person's name."""
        asked = {"reason": REASON, "actor": actor_of_user(self.user), "surface": "admin", **named}
        return api.open_session(*(selectors or (RECEIPT,)), **asked)

    def reads(self, page: str, /, *args: Any, status: int = 200, **query: Any) -> str:
        """Return what this person reads of a page, on one line."""
        return words(self.sees(page, *args, status=status, **query))

    def sees(self, page: str, /, *args: Any, status: int = 200, **query: Any) -> str:
        """Return the markup of a page."""
        response = self.client.get(address(page, *args), query)
        assert response.status_code == status, words(response.content.decode())
        return response.content.decode()

    def does(self, act: str, number: int, **fields: Any) -> Any:
        """Post a form about a session that was just opened."""
        return self.client.post(address(act, number), {"nonce": nonce(self.client), **fields})


def address(page: str, *args: Any) -> str:
    """Return the address of a page of sessions in the admin."""
    return reverse(f"admin:trigger_ops_session_{page}", args=args)


def words(markup: str | bytes) -> str:
    """Return what a person reads of markup, on one line."""
    text = markup.decode() if isinstance(markup, bytes) else markup
    inside = re.sub(r"<head>.*?</head>", "", text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())


def state(record: SessionRecord) -> SessionState:
    """Return what a session is now."""
    return api.find_session(record.id).state


def expire(record: SessionRecord) -> None:
    """Let the time of a session be over."""
    run("ALTER TABLE trigger_ops_session DISABLE TRIGGER ALL")
    run(
        "UPDATE trigger_ops_session SET expires = clock_timestamp() - interval '1s',"
        " opened = opened - interval '1 day' WHERE id = %s",
        record.id,
    )
    run("ALTER TABLE trigger_ops_session ENABLE TRIGGER ALL")
