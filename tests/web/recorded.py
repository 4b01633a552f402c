"""Who looks at what was recorded in tests, and what they read there."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tests.ledger.test_findings import look
from trigger_ops.models import DriftRun, DriftTarget, LedgerEntry

__all__ = ["address", "entry", "log_in", "look", "ran", "read", "see", "words"]

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|TRUNCATE|CREATE|ALTER|DROP)\b", re.IGNORECASE)


def log_in(*permissions: str, csrf: bool = False, name: str = "ann") -> Client:
    """Return the browser of staff who have these permissions of ours."""
    user = User.objects.create_user(name, f"{name}@example.org", "x", is_staff=True)
    ours = Permission.objects.filter(content_type__app_label="trigger_ops")
    user.user_permissions.set(ours.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def address(name: str, **kwargs: Any) -> str:
    return reverse(f"admin:trigger_ops_{name}", kwargs=kwargs)


def see(client: Client, url: str, *, status: int = 200, **query: str) -> str:
    """Return the markup of a page."""
    response: HttpResponse = client.get(url, query)
    assert response.status_code == status, words(response.content.decode())
    return response.content.decode()


def read(client: Client, url: str, *, status: int = 200, **query: str) -> str:
    """Return what a person reads of the main part of a page, on one line."""
    return words(see(client, url, status=status, **query))


def words(markup: str) -> str:
    """Return the text of the main part of a page, on one line."""
    _, main, inside = markup.partition("<main")
    inside = inside.partition("</main")[0] if main else markup
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())


def ran(
    ended: dt.datetime,
    *,
    levels: Mapping[str, Mapping[str, int]] | None = None,
    states: Mapping[str, str] | None = None,
    whole: bool = True,
    complete: bool = True,
) -> DriftRun:
    """Put a finished run on record, with its databases."""
    run = DriftRun.objects.create(
        id=uuid.uuid4(),
        source="test",
        began=ended - dt.timedelta(seconds=1),
        finished=ended,
        whole=whole,
        complete=complete,
    )
    DriftTarget.objects.bulk_create(
        DriftTarget(
            run=run,
            database=database,
            state=(states or {}).get(database, "ok"),
            began=run.began,
            finished=ended,
            levels=dict(found),
        )
        for database, found in (levels or {"default": {}}).items()
    )
    return run


def entry(using: str = "default", **fields: Any) -> LedgerEntry:
    """Add a line to a ledger."""
    given = {"run": uuid.uuid4(), "kind": "statement", "verb": "install", **fields}
    return LedgerEntry.objects.using(using).create(**given)
