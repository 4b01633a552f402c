"""What the tests of the ``session`` verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connections

from demo_site.past.models import Receipt
from tests.damage import run
from tests.management.conftest import Result, Site
from trigger_ops import api
from trigger_ops.records import Actor, SessionRecord

Run = Callable[..., Result]

RECEIPT = "past.Receipt:append_only"
SOFT_DELETE = "tutorial.SoftDelete:soft_delete"
REASON = "the numbers were typed wrong"
HOSTILE = "<script>alert(1)</script> \x1b[2J\u202e 100% %s; DROP TABLE x --\nsecond line"
PASSWORD = "correct horse"


def receipts(*numbers: str) -> None:
    """Write receipts with these numbers."""
    Receipt.objects.bulk_create(Receipt(number=number) for number in numbers)


def numbers() -> list[str]:
    """Return the numbers of all receipts."""
    return list(Receipt.objects.order_by("pk").values_list("number", flat=True))


def opened(*selectors: str, **options: Any) -> SessionRecord:
    """Open a session for others to use."""
    return api.open_session(*(selectors or (RECEIPT,)), **{"reason": REASON, **options})


def demand_approval(needs: int = 1) -> None:
    """Have every trigger want a session that somebody else approves."""
    run("UPDATE trigger_ops_guard SET policy = 'four_eyes', approvals = %s", needs)


def shown(session: int, pgtrigger: Run) -> dict[str, Any]:
    """Return what ``session show`` says of a session."""
    result = pgtrigger("session", "show", str(session), "--format", "json")
    assert (result.code, result.err) == (0, "")
    return result.document


def newest() -> SessionRecord:
    """Return the session that was opened last."""
    return api.list_sessions(limit=1)[0]


def make_user(name: str, *, may: bool = True, **fields: Any) -> User:
    """Make a user, who may review sessions or not."""
    user = User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)
    if may:
        user.user_permissions.add(Permission.objects.get(codename="review_session"))
    return user


def reviewer(name: str = "eve", key: str = "") -> Actor:
    """Return somebody who reviews."""
    return Actor(name=f"user:{name}", key=key)


def site_at_guarded() -> Site:
    """Return processes that work on the database that `default` is now."""
    names = {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "archive")}
    return Site(names)


def lines(result: Result) -> list[dict[str, Any]]:
    """Return what was printed, a JSON document a line."""
    return [json.loads(line) for line in result.out.splitlines()]
