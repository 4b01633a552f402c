"""Allowances in the admin: how one is given, to whom that is open, and how one ends."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from tests.damage import run
from tests.drift.making import make_finding
from tests.web.once import nonce
from tests.web.recorded import address, log_in, look, read, see, words
from trigger_ops import api
from trigger_ops.drift import Finding
from trigger_ops.drift.life import Seen, by_key, follow
from trigger_ops.ledger.allowances import read_allowances
from trigger_ops.ledger.findings import read_open_findings, write_steps
from trigger_ops.ledger.recording import recording
from trigger_ops.models import Allowance, DriftFinding
from trigger_ops.states import Level
from trigger_ops.web import freshness

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

REASON = "INC-12: known, and mended on Monday"
ALL = ("view_allowance", "view_driftfinding", "review_session")
FINDING = make_finding()
OTHER = make_finding(trigger="pgtrigger_other", uri="past.Other:x", level=Level.WARNING)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    freshness.forget()
    yield
    freshness.forget()


@pytest.fixture
def number() -> int:
    """Put a finding on record; return its number."""
    look(FINDING)
    return int(DriftFinding.objects.get().pk)


def send(client: Client, **fields: Any) -> HttpResponse:
    given = {"reason": REASON, "lasts": "7d", "nonce": nonce(client), **fields}
    response: HttpResponse = client.post(address("allowance_add"), given)
    return response


def check_again(*seen: Finding) -> list[str]:
    """Record a check that saw these and knows who answers for them; return what happened."""
    with recording() as book:
        steps = follow(
            read_open_findings(book),
            Seen(findings=by_key(seen)),
            read_allowances(book),
            now=book.now,
        )
        made = [step for step in steps if step.kind is not None]
        write_steps(book, uuid.uuid4(), made, ())
    return [str(step.kind) for step in made]


def allow(number: int) -> Allowance:
    made = api.allow(str(number), owner="bob", reason=REASON, lasts=dt.timedelta(days=1))
    return Allowance.objects.get(pk=made.id)


def expire(client: Client, *rows: Allowance) -> HttpResponse:
    chosen = {"action": "expire", "index": 0, "_selected_action": [row.pk for row in rows]}
    page = address("allowance_changelist")
    response: HttpResponse = client.post(page, {**chosen, "nonce": nonce(client)})
    return response


# Giving one --------------------------------------------------------------------------------------


def test_a_finding_is_allowed_as_it_is_for_a_while(number: int) -> None:
    client = log_in(*ALL)
    response = send(client, finding=number)
    assert (response.status_code, response["Location"]) == (302, address("allowance_changelist"))
    row = Allowance.objects.get()
    assert (row.owner, row.reason, row.digest) == ("user:ann", REASON, FINDING.digest)
    assert row.expires - row.since == dt.timedelta(days=7)
    told = read(client, address("allowance_changelist"))
    assert "The finding is allowed" in told
    assert "✔ live past.Invoice:protect_deletes default user:ann" in told
    logged = LogEntry.objects.get()
    assert (logged.object_id, logged.action_flag) == (str(row.pk), 1)
    assert check_again(FINDING) == ["allowed"]


def test_the_form_offers_what_nobody_answers_for_the_worst_first(number: int) -> None:
    look(FINDING, OTHER)
    client = log_in(*ALL)
    page = address("allowance_add")
    offered = re.findall(r"<option [^>]*>([^<]*)", see(client, page))
    assert offered == [
        "CRITICAL C001 past.Invoice:protect_deletes (default)",
        "WARNING C001 past.Other:x (default)",
    ]
    second = DriftFinding.objects.latest("pk").pk
    assert f'<option value="{second}" selected>' in see(client, page, finding=str(second))
    allow(number)
    assert re.findall(r"<option [^>]*>([^<]*)", see(client, page)) == offered[1:]
    look()
    assert "There is no open finding" in read(client, page)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": "x"}, "reason"),
        ({"reason": "aaaaaaaaaaaaaaaaaaaa"}, "reason"),
        ({"lasts": "soon"}, "is no duration: write 250ms"),
        ({"lasts": "0d"}, "more than nothing"),
        ({"lasts": "400d"}, "at most 366 days"),
        ({"finding": "999999"}, "somebody answers for it already"),
        ({"finding": "x' OR 1=1"}, "somebody answers for it already"),
        ({"finding": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_on_the_form(number: int, fields: dict[str, str], told: str) -> None:
    response = send(log_in(*ALL), **{"finding": number, **fields})
    assert response.status_code == 422
    markup = response.content.decode()
    assert told in words(markup)
    assert html.escape(fields.get("reason", REASON)) in markup
    assert not Allowance.objects.exists()


def test_the_same_form_sent_twice_allows_once(number: int) -> None:
    client = log_in(*ALL)
    assert send(client, finding=number).status_code == 302
    assert send(client, finding=number).status_code == 422
    assert Allowance.objects.count() == 1


@pytest.mark.parametrize("given", [(), ("view_allowance", "view_driftfinding", "view_trigger")])
def test_it_takes_the_permission_to_review(number: int, given: tuple[str, ...]) -> None:
    client = log_in(*given)
    assert "trigger_ops.review_session" in read(client, address("allowance_add"), status=403)
    response = send(client, finding=number)
    assert response.status_code == 403
    assert "trigger_ops.review_session" in words(response.content.decode())
    assert not Allowance.objects.exists()


def test_whoever_may_not_see_allowances_lands_elsewhere(number: int) -> None:
    response = send(log_in("review_session", "view_trigger"), finding=number)
    assert response["Location"] == address("trigger_changelist")


def test_a_form_from_elsewhere_is_refused(number: int) -> None:
    client = log_in(*ALL, csrf=True)
    assert send(client, finding=number).status_code == 403
    assert not Allowance.objects.exists()


def test_without_tables_there_is_a_sentence() -> None:
    client = log_in(*ALL)
    run("DROP TABLE trigger_ops_allowance CASCADE")
    response = client.get(address("allowance_add"))
    assert response.status_code in (400, 503)
    assert "manage.py migrate" in words(response.content.decode())


# Ending one --------------------------------------------------------------------------------------


def test_chosen_allowances_end_and_the_finding_is_told_again(number: int) -> None:
    look(FINDING, OTHER)
    rows = [allow(number), allow(DriftFinding.objects.latest("pk").pk)]
    assert check_again(FINDING, OTHER) == ["allowed", "allowed"]
    client = log_in(*ALL)
    assert expire(client, *rows).status_code == 302
    assert "2 allowances have ended" in read(client, address("allowance_changelist"))
    for row in Allowance.objects.all():
        assert row.ended is not None
        assert row.ended_by == "user:ann"
    assert LogEntry.objects.filter(action_flag=2).count() == 2
    assert check_again(FINDING, OTHER) == ["returned", "returned"]


def test_one_that_is_over_is_not_ended_again(number: int) -> None:
    row = allow(number)
    api.expire_allowance(row.pk, by="bob")
    client = log_in(*ALL)
    expire(client, row)
    assert "No live allowance has the number" in read(client, address("allowance_changelist"))
    row.refresh_from_db()
    assert row.ended_by == "bob"


def test_ending_one_takes_the_permission_to_review(number: int) -> None:
    row = allow(number)
    client = log_in("view_allowance")
    response = expire(client, row)
    assert response.status_code == 403
    assert "trigger_ops.review_session" in words(response.content.decode())
    row.refresh_from_db()
    assert row.ended is None
    assert "expire" not in see(client, address("allowance_changelist")).partition("<main")[2]
    assert "End this allowance" not in see(client, address("allowance_change", object_id=row.pk))


def test_its_page_has_a_button_that_ends_it(number: int) -> None:
    row = allow(number)
    client = log_in(*ALL)
    page = address("allowance_change", object_id=row.pk)
    markup = see(client, page)
    form = re.search(
        r'<form method="post" action="([^"]+)" class="tops-act">(.*?)</form>', markup, re.S
    )
    assert form
    assert "csrfmiddlewaretoken" in form[2]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', form[2]))
    fields.pop("csrfmiddlewaretoken")
    client.post(form[1], fields)
    row.refresh_from_db()
    assert row.ended_by == "user:ann"
    assert "End this allowance" not in see(client, page)
    assert "○ ended" in read(client, page)


@pytest.mark.parametrize(("since", "lasts", "standing"), [(0, 1, "✔ live"), (2, 1, "○ expired")])
def test_a_standing_is_by_the_clock(number: int, since: int, lasts: int, standing: str) -> None:
    row = allow(number)
    began = timezone.now() - dt.timedelta(days=since)
    Allowance.objects.update(since=began, expires=began + dt.timedelta(days=lasts))
    client = log_in(*ALL)
    assert standing in read(client, address("allowance_changelist"))
    assert standing in read(client, address("allowance_change", object_id=row.pk))
    chosen = standing.split()[1]
    assert "1 allowance" in read(client, address("allowance_changelist"), standing=chosen)


def test_its_page_says_whether_the_finding_is_as_it_was(number: int) -> None:
    row = allow(number)
    client = log_in(*ALL)
    page = address("allowance_change", object_id=row.pk)
    assert "still open as it was allowed" in read(client, page)
    look(make_finding("another thing"))
    assert "still open it has changed" in read(client, page)
