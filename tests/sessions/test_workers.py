"""Who worked in a session that is used by its id: put on record, and told by its report."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import make_role, run
from tests.sessions.conftest import REASON, RECEIPT, Written, default_at, renumber, session
from trigger_ops import api
from trigger_ops.exceptions import SessionOver, SessionRefused
from trigger_ops.records import Actor
from trigger_ops.sessions.actors import operating_system_actor


def approved(*, needs: int = 1, opener: str = "user:ada") -> int:
    """Open a session that so many approve: bob, cy."""
    run("UPDATE trigger_ops_guard SET policy = 'four_eyes', approvals = %s", needs)
    number = api.open_session(RECEIPT, reason=REASON, actor=opener).id
    for name in ("bob", "cy")[:needs]:
        api.review_session(number, reviewer=Actor(name=f"user:{name}"), verdict="approve")
    return number


def entered(number: int) -> list[str]:
    return [one.actor for one in api.show_session(number).events if one.kind == "entered"]


@pytest.mark.parametrize(
    ("actor", "notes", "findings"),
    [
        ("user:ada", (), ()),
        ("os:ada@web1", (), ()),
        ("user:mallory", ("user:mallory worked in the session, which user:ada opened.",), ()),
        ("os:deploy@web1", ("os:deploy@web1 worked in the session, which user:ada opened.",), ()),
        ("user:bob", (), ("user:bob worked in the session, and had reviewed it.",)),
        ("user:BOB", (), ("user:BOB worked in the session, and had reviewed it as user:bob.",)),
        (
            "os:cy@web1",
            (),
            ("os:cy@web1 worked in the session, and had reviewed it as user:cy.",),
        ),
    ],
)
def test_whoever_works_in_a_session_is_on_record(
    guarded: BaseDatabaseWrapper,
    receipt: Receipt,
    actor: str,
    notes: tuple[str, ...],
    findings: tuple[str, ...],
) -> None:
    number = approved(needs=2)
    with api.session(id=number, actor=actor):
        assert renumber(receipt) == 1
    api.end_session(number, actor="user:ada")
    (event,) = [one for one in api.show_session(number).events if one.kind == "entered"]
    assert (event.actor, event.session) == (actor, number)
    assert event.detail == {"host": socket.gethostname(), "pid": os.getpid()}
    report = api.session_report(number)
    assert (report.notes, report.findings) == (notes, findings)
    assert report.clean is not bool(findings)


def test_it_is_told_once_for_each_block_and_outlives_a_rollback(
    guarded: BaseDatabaseWrapper, receipt: Receipt
) -> None:
    number = approved()
    with api.session(id=number):
        for _ in range(3):
            renumber(receipt)
        with transaction.atomic():
            renumber(receipt)
    assert entered(number) == [operating_system_actor()]
    with transaction.atomic(), api.session(id=number, actor="user:dee"):
        renumber(receipt)
        transaction.set_rollback(True)
    assert entered(number) == [operating_system_actor(), "user:dee"]
    api.end_session(number)
    assert len(api.session_report(number).notes) == 2


def test_a_session_that_its_block_opens_has_an_opener_and_no_more(
    guarded: BaseDatabaseWrapper, written: Written
) -> None:
    with session(actor="user:ada") as running:
        pass
    assert written.events(running.id) == ["requested", "activated", "ended"]


@pytest.mark.parametrize("why", ["pending", "ended", "another role", "read-only"])
def test_who_cannot_work_in_it_is_none_who_did(
    guarded: BaseDatabaseWrapper, receipt: Receipt, why: str
) -> None:
    number = approved(needs=2 if why == "pending" else 1)
    if why == "pending":
        number = api.open_session(RECEIPT, reason=REASON, actor="user:ada").id
    if why == "ended":
        api.end_session(number)
    if why in ("pending", "ended"):
        block = api.session(id=number, actor="user:bob")
        with pytest.raises((SessionRefused, SessionOver)):
            block.__enter__()
    if why == "another role":
        role = make_role("other", options="LOGIN PASSWORD 'other' SUPERUSER")
        with default_at(USER=role, PASSWORD="other"), api.session(id=number, actor="user:bob"):
            pass
        run("DROP ROLE {role}", role=role)
    if why == "read-only":
        options: dict[str, Any] = {**guarded.settings_dict["OPTIONS"]}
        options["options"] = "-c default_transaction_read_only=on"
        with default_at(OPTIONS=options), api.session(id=number, actor="user:bob"):
            assert Receipt.objects.count() == 1
        connections["default"].ensure_connection()
    assert entered(number) == []
