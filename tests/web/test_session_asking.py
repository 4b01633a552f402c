"""The form that asks for a session: what it offers, what it refuses, and what it opens, once."""

from __future__ import annotations

import html
import re
import threading
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import gut, pgid, run
from tests.management.sessions import demand_approval
from tests.sessions.conftest import (
    CUSTOMER,
    INVOICE,
    REASON,
    RECEIPT,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from tests.web.session_people import EVERY, Person, address, words
from trigger_ops import api
from trigger_ops.models import Policy, Session
from trigger_ops.states import SessionState

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]

HISTORY = "tutorial.Tracked:update_low_int"
SHARED = "tutorial.Tracked:create_insert"
KEY = "trigger_ops.session"


@pytest.fixture
def ann(guarded: BaseDatabaseWrapper) -> Person:
    return Person("ann", *EVERY)


def fields(person: Person, **asked: Any) -> dict[str, Any]:
    """Return what a form that was just loaded sends, with some fields filled in."""
    markup = person.sees("ask")
    (nonce,) = re.findall(r'name="nonce" value="([^"]+)"', markup)
    (duration,) = re.findall(r'name="duration" value="([^"]+)"', markup)
    sent = {"triggers": [RECEIPT], "reason": REASON, "nonce": nonce, "duration": duration}
    return {**sent, **asked}


def ask(person: Person, **asked: Any) -> Any:
    return person.client.post(address("ask"), fields(person, **asked))


# What it offers ---------------------------------------------------------------------------------


def row_of(markup: str, uri: str) -> str:
    """Return the row of one trigger in the list."""
    (row,) = [one for one in markup.split("<tr>") if f'value="{uri}"' in one]
    return row


@pytest.mark.parametrize(
    ("mode", "approvals", "told"),
    [
        ("open", 0, "open: whoever can connect may ignore it"),
        ("record", 0, "record: what is done outside"),
        ("session", 0, "session: it takes a session"),
        ("four_eyes", 2, "four eyes: it takes a session that others approve (2 approvals)"),
    ],
)
def test_each_trigger_says_what_it_protects_and_what_it_takes(
    mode: str, approvals: int, told: str, ann: Person
) -> None:
    Policy.objects.create(trigger=pgid(CUSTOMER), uri=CUSTOMER, mode=mode, approvals=approvals)
    markup = ann.sees("ask")
    row = " ".join(words(row_of(markup, CUSTOMER)).split())
    assert told in row.replace(" )", ")").replace("( ", "(")
    for expected in (CUSTOMER, "past.Customer", "ReadOnly", "It refuses changes of columns"):
        assert expected in row
    other = words(row_of(markup, RECEIPT))
    assert "record: what is done outside" in other
    assert "It refuses DELETE, UPDATE." in other


def test_what_cannot_be_ignored_is_not_offered_and_says_why(ann: Person) -> None:
    gut(pgid(INVOICE))
    run("DROP TRIGGER {name} ON past_customer", name=pgid(CUSTOMER))
    markup = ann.sees("ask")
    for uri, why in (
        (INVOICE, "its function asks nobody whether to stand aside"),
        (CUSTOMER, "it is not installed, so that nothing stands in the way"),
    ):
        assert f'value="{uri}"' not in markup
        assert f"{uri} : {why}" in words(markup)
    answer = ask(ann, triggers=[INVOICE])
    assert "Select a valid choice" in words(answer.content)
    assert not Session.objects.exists()


def test_triggers_are_found_and_preselected(ann: Person) -> None:
    markup = ann.sees("ask", q="invoice")
    assert f'value="{INVOICE}"' in markup
    assert f'value="{RECEIPT}"' not in markup
    markup = ann.sees("ask", trigger=RECEIPT)
    assert "checked" in row_of(markup, RECEIPT)
    assert "checked" not in row_of(markup, INVOICE)
    assert "No trigger has these words." in ann.reads("ask", q="nothing like it")


def test_the_duration_is_the_one_of_the_settings(ann: Person, settings: Any) -> None:
    settings.TRIGGER_OPS = {
        **settings.TRIGGER_OPS,
        "SESSION_DURATION": "20m",
        "SESSION_LONGEST": "2h",
    }
    assert fields(ann)["duration"] == "20m"
    assert "2h at most" in ann.reads("ask")
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "SESSION_LONGEST": "10m"}
    assert fields(ann)["duration"] == "10m"


# What it refuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"triggers": []}, "Choose at least one trigger."),
        ({"triggers": ["past.Nothing:at_all"]}, "Select a valid choice"),
        ({"triggers": ["past.*"]}, "Select a valid choice"),
        ({"reason": ""}, "This field is required."),
        ({"reason": "a b c d e f g h i"}, "at least 10 letters and digits"),
        ({"reason": "x" * 12}, "repeats itself and gives no reason"),
        ({"reason": "." * 50}, "at least 10 letters and digits"),
        ({"duration": "soon"}, '"soon" is no duration: write 250ms, 30s, 15m, 2h or 1d.'),
        ({"duration": "0m"}, "must be more than nothing"),
        ({"duration": "100ms"}, "is too short for a session"),
        ({"duration": "9h"}, "A session may last 4h and no longer"),
        ({"triggers": [HISTORY]}, f"{HISTORY} would stop writing history"),
        ({"triggers": [RECEIPT, HISTORY]}, f"{HISTORY} would stop writing history"),
        ({"nonce": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_stands_in_the_form_with_what_was_typed(
    asked: dict[str, Any], sentence: str, ann: Person
) -> None:
    answer = ask(ann, ticket='OPS-"7"', **asked)
    assert answer.status_code == 200
    text = words(answer.content)
    assert "No session was opened" in text
    assert sentence in text
    assert 'value="OPS-&quot;7&quot;"' in answer.content.decode()
    for uri in asked.get("triggers", [RECEIPT]):
        if f'value="{uri}"' in answer.content.decode():
            assert "checked" in row_of(answer.content.decode(), uri)
    assert not Session.objects.exists()


def test_too_many_triggers_are_refused(ann: Person, settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "SESSION_TRIGGERS": 1}
    answer = ask(ann, triggers=[RECEIPT, INVOICE])
    assert "2 triggers are more than the 1 that one session may name" in words(answer.content)


def test_a_guard_that_is_gone_meanwhile(ann: Person) -> None:
    sent = fields(ann)
    run("DELETE FROM trigger_ops_guard")
    answer = ann.client.post(address("ask"), sent)
    assert answer.status_code == 409
    assert "manage.py pgtrigger guard install" in words(answer.content)


@pytest.mark.parametrize("permissions", [(), ("view_session", "review_session", "revoke_session")])
def test_asking_takes_a_permission(permissions: tuple[str, ...], ann: Person) -> None:
    sent = fields(ann)
    eve = Person("eve", *permissions)
    answer = eve.client.post(address("ask"), sent)
    assert answer.status_code == 403
    assert "trigger_ops.request_session" in words(answer.content)
    assert not Session.objects.exists()


def test_it_takes_a_token(ann: Person) -> None:
    sent = fields(ann)
    eve = Person("eve", *EVERY, csrf=True)
    assert eve.client.post(address("ask"), sent).status_code == 403
    assert not Session.objects.exists()


# What it opens ----------------------------------------------------------------------------------


def test_a_session_is_opened_and_this_login_works_in_it(ann: Person) -> None:
    answer = ask(ann, triggers=[RECEIPT, CUSTOMER], ticket="OPS-7", duration="25m")
    (row,) = Session.objects.all()
    assert answer["Location"] == address("detail", row.pk)
    assert (row.state, row.reason, row.ticket, row.surface) == ("active", REASON, "OPS-7", "admin")
    assert (row.opener, row.opener_key) == ("user:ann", str(ann.user.pk))
    assert row.opener_email == "ann@example.org"
    assert row.uris == [RECEIPT, CUSTOMER]
    assert row.lasts.total_seconds() == 25 * 60
    assert ann.client.session[KEY] == [row.pk, "default"]
    assert f"Session {row.pk} is open." in ann.reads("detail", row.pk)
    assert f"This login works in session {row.pk}." in ann.reads("ask")


def test_what_is_saved_in_the_admin_then_is_on_the_page_of_the_session(ann: Person) -> None:
    ann.user.is_superuser = True
    ann.user.save()
    Receipt.objects.create(id=1, number="A1")
    page = "/admin/past/receipt/1/change/"
    ann.client.post(page, {"number": "B1"})
    assert Receipt.objects.get().number == "A1"
    place = ask(ann)["Location"]
    assert ann.client.post(page, {"number": "B1"}).status_code == 302
    text = words(ann.client.get(place).content)
    assert "± UPDATE public.past_receipt id 1 number : A1 → B1" in text
    assert "Clean so far" in text
    assert "End it now" in text


def test_history_stands_aside_where_that_is_ticked(ann: Person) -> None:
    assert "writes history" in row_of(ann.sees("ask"), HISTORY)
    assert ask(ann, triggers=[HISTORY], history="on").status_code == 302
    assert Session.objects.get().uris == [HISTORY]


def test_one_that_takes_approvals_waits(ann: Person) -> None:
    demand_approval(2)
    answer = ask(ann)
    (row,) = Session.objects.all()
    assert row.state == "pending"
    said = f"Session {row.pk} waits for 2 approvals of others."
    assert said in words(ann.client.get(answer["Location"]).content)


def test_without_the_permission_to_see_sessions_it_leads_to_the_index(ann: Person) -> None:
    eve = Person("eve", "request_session")
    answer = ask(eve)
    assert answer["Location"] == "/admin/"
    assert "is open." in words(eve.client.get("/admin/").content)


def test_a_form_that_is_sent_twice_opens_one_session(ann: Person) -> None:
    sent = fields(ann)
    answers = [ann.client.post(address("ask"), sent) for _ in range(2)]
    (row,) = Session.objects.all()
    assert {one["Location"] for one in answers} == {address("detail", row.pk)}
    assert f"Session {row.pk} is open." in ann.reads("detail", row.pk)
    api.end_session(row.pk)
    again = ann.client.post(address("ask"), sent)
    assert again["Location"] == address("detail", row.pk)
    text = words(ann.client.get(again["Location"]).content)
    assert "is open." not in text
    assert f"This form was sent before: session {row.pk}" in text


def test_a_nonce_of_somebody_else_opens_nothing(ann: Person) -> None:
    sent = fields(ann)
    ann.client.post(address("ask"), sent)
    answer = Person("eve", *EVERY).client.post(address("ask"), sent)
    assert answer.status_code == 200
    assert "did not open the session" in html.unescape(words(answer.content))
    assert Session.objects.count() == 1


def test_two_that_are_sent_at_once_open_one_session(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings, "default", connections["default"].settings_dict)
    sent = fields(ann)
    together = threading.Barrier(2)
    places = []

    def send() -> None:
        client = type(ann.client)()
        client.cookies = ann.client.cookies.copy()
        together.wait()
        try:
            places.append(client.post(address("ask"), sent)["Location"])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (row,) = Session.objects.all()
    assert places == [address("detail", row.pk)] * 2
    assert api.find_session(row.pk).state is SessionState.ACTIVE
