"""Whoever has a session open, and nobody else, is offered the deletes that it lets through."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext

from demo_site.past.models import Invoice, Receipt
from tests.damage import run
from tests.sessions.conftest import INVOICE, RECEIPT
from tests.web.test_middleware import (
    Admin,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
)
from trigger_ops.models import Change

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
]

LIST = "/admin/past/invoice/"
PAGE = f"{LIST}1/change/"
CONFIRMATION = f"{LIST}1/delete/"


@pytest.fixture
def ann(guarded: BaseDatabaseWrapper) -> Admin:
    Invoice.objects.bulk_create(Invoice(id=one, number=f"I{one}", total=1) for one in (1, 2))
    Receipt.objects.create(id=1, number="A1")
    return Admin()


def offers(client: Client) -> list[bool]:
    """Return whether the three pages offer a delete: link, list and confirmation."""
    return [
        "deletelink" in client.get(PAGE).content.decode(),
        'value="delete_selected"' in client.get(LIST).content.decode(),
        client.get(CONFIRMATION).status_code == 200,
    ]


def deleted() -> list[Any]:
    """Return the numbers of the rows whose deletion is on record."""
    return [one.old["number"] for one in Change.objects.filter(op="DELETE").order_by("id")]


def test_a_row_is_deleted_by_what_the_pages_offer(ann: Admin) -> None:
    assert offers(ann.client) == [False, False, False]
    ann.open(INVOICE)
    assert offers(ann.client) == [True, True, True]
    assert ann.client.post(CONFIRMATION, {"post": "yes"}).status_code == 302
    assert deleted() == ["I1"]


def test_rows_are_deleted_by_the_action_that_the_list_offers(ann: Admin) -> None:
    ann.open(INVOICE)
    asked = {"action": "delete_selected", "_selected_action": ["1", "2"]}
    confirmation = ann.client.post(LIST, asked)
    assert "Are you sure" in confirmation.content.decode()
    assert ann.client.post(LIST, {**asked, "post": "yes"}).status_code == 302
    assert sorted(deleted()) == ["I1", "I2"]


def test_a_session_about_another_trigger_offers_nothing(ann: Admin) -> None:
    ann.open(RECEIPT)
    assert offers(ann.client) == [False, False, False]


def test_another_login_is_offered_nothing(ann: Admin) -> None:
    ann.open(INVOICE)
    assert offers(ann.login()) == offers(Admin("bob").client) == [False, False, False]


def test_a_session_that_waits_or_is_over_offers_nothing(ann: Admin) -> None:
    run("UPDATE trigger_ops_guard SET policy = 'four_eyes', approvals = 1")
    waiting = ann.open(INVOICE)
    assert offers(ann.client) == [False, False, False]
    run("SELECT trigger_ops_review(%s, 'user:eve', '', 'approve', '')", waiting.id)
    assert offers(ann.client) == [True, True, True]
    run("SELECT trigger_ops_close(%s, 'ended', 'user:ann', '')", waiting.id)
    assert offers(ann.client) == [False, False, False]


def test_what_a_page_may_offer_costs_no_query(ann: Admin) -> None:
    ann.client.get(PAGE)
    with CaptureQueriesContext(connection) as without:
        ann.client.get(PAGE)
    ann.open(RECEIPT)
    with CaptureQueriesContext(connection) as elsewhere:
        ann.client.get(PAGE)
    ann.open(INVOICE)
    with CaptureQueriesContext(connection) as offered:
        ann.client.get(PAGE)
    assert len(without) < len(elsewhere) == len(offered)
