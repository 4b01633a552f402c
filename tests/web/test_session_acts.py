"""Reviewing, extending, revoking and ending in the admin: who may, and what is too late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from demo_site.past.models import Receipt
from tests.management.sessions import demand_approval
from tests.sessions.conftest import (
    RECEIPT,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from tests.web.session_people import EVERY, Person, address, expire, state, words
from trigger_ops import api
from trigger_ops.models import Review, SessionEvent
from trigger_ops.records import SessionRecord
from trigger_ops.states import SessionState
from trigger_ops.web.people import actor_of_user

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]

ACTS: dict[str, dict[str, str]] = {
    "review": {"verdict": "approve"},
    "extend": {"longer": "10m"},
    "end": {},
    "revoke": {"reason": "enough"},
}


@pytest.fixture
def ann(guarded: BaseDatabaseWrapper) -> Person:
    return Person("ann", "view_session", "request_session")


@pytest.fixture
def bob(guarded: BaseDatabaseWrapper) -> Person:
    return Person("bob", *EVERY)


def waiting(person: Person, needs: int = 1) -> SessionRecord:
    """Return a request that waits for approval."""
    demand_approval(needs)
    return person.opens()


# Reviews ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "needs", "reached", "said"),
    [
        ("approve", 1, SessionState.ACTIVE, "is approved, and active from now on."),
        ("approve", 2, SessionState.PENDING, "has 1 of 2 approvals."),
        ("deny", 1, SessionState.DENIED, "is denied."),
    ],
)
def test_a_review(
    verdict: str, needs: int, reached: SessionState, said: str, ann: Person, bob: Person
) -> None:
    record = waiting(ann, needs)
    answer = bob.does("review", record.id, verdict=verdict, remark="I have looked", back="list")
    assert answer["Location"] == address("changelist")
    assert f"Session {record.id} {said}" in bob.reads("changelist")
    assert state(record) is reached
    (review,) = Review.objects.all()
    assert (review.reviewer, review.reviewer_key) == ("user:bob", str(bob.user.pk))
    assert (review.verdict, review.remark) == (verdict, "I have looked")
    text = bob.reads("detail", record.id)
    assert "I have looked" in text


def test_nobody_reviews_their_own(bob: Person) -> None:
    record = waiting(bob)
    answer = bob.does("review", record.id, verdict="approve")
    assert answer.status_code == 409
    assert "nobody reviews their own request" in words(answer.content)
    assert state(record) is SessionState.PENDING
    assert not Review.objects.exists()


@pytest.mark.parametrize("verdict", ["", "maybe", "APPROVE"])
def test_what_is_no_verdict(verdict: str, ann: Person, bob: Person) -> None:
    record = waiting(ann)
    answer = bob.does("review", record.id, verdict=verdict)
    assert answer.status_code == 400
    assert state(record) is SessionState.PENDING


# Extending, ending, revoking --------------------------------------------------------------------


def test_an_extension_moves_the_end(ann: Person) -> None:
    record = ann.opens()
    assert record.expires is not None
    answer = ann.does("extend", record.id, longer="10m", extensions="0")
    assert answer["Location"] == address("detail", record.id)
    found = api.find_session(record.id)
    assert found.expires == record.expires + dt.timedelta(minutes=10)
    text = ann.reads("detail", record.id)
    assert f"Session {record.id} lasts until" in text
    assert "extended 1 of 2 times" in text


def test_a_form_that_is_sent_twice_extends_once(ann: Person) -> None:
    record = ann.opens()
    for status in (302, 409):
        assert ann.does("extend", record.id, longer="10m", extensions="0").status_code == status
    assert api.find_session(record.id).extensions == 1


@pytest.mark.parametrize("longer", ["", "soon", "0m", "9999d"])
def test_what_is_no_duration(longer: str, ann: Person) -> None:
    record = ann.opens()
    answer = ann.does("extend", record.id, longer=longer)
    assert answer.status_code == 400
    assert api.find_session(record.id).extensions == 0


def test_an_extension_too_many(ann: Person) -> None:
    record = ann.opens()
    codes = [ann.does("extend", record.id, longer="1m").status_code for _ in range(3)]
    assert codes == [302, 302, 409]


def test_an_end_is_an_end(ann: Person) -> None:
    record = ann.opens()
    kept = ann.client.session
    kept["trigger_ops.session"] = [record.id, "default"]
    kept.save()
    assert ann.does("end", record.id, database="default").status_code == 302
    found = api.find_session(record.id)
    assert (found.state, found.ended_by) == (SessionState.ENDED, "user:ann")
    assert "trigger_ops.session" not in ann.client.session
    assert "its triggers are in force again" in ann.reads("detail", record.id)


def test_a_request_can_be_withdrawn(ann: Person) -> None:
    record = waiting(ann)
    assert "Withdraw the request" in ann.reads("detail", record.id)
    assert ann.does("end", record.id).status_code == 302
    assert state(record) is SessionState.ENDED


def test_a_revocation_stops_whoever_is_in_it(
    ann: Person, bob: Person, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    record = ann.opens()
    Receipt.objects.create(id=1, number="A1")
    other = second_connection()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT trigger_ops_enter(%s)", [str(record.id)])
        answer = bob.does("revoke", record.id, reason="a mistake")
        assert answer.status_code == 302
    found = api.find_session(record.id)
    assert (found.state, found.ended_by) == (SessionState.REVOKED, "user:bob")
    assert found.end_cause == "a mistake"
    assert SessionEvent.objects.filter(kind="killed", session_id=record.id).exists()
    assert "Connections ended:" in bob.reads("detail", record.id)


@pytest.mark.parametrize("reason", ["", "   ", "\0"])
def test_a_revocation_needs_a_reason(reason: str, ann: Person) -> None:
    record = ann.opens()
    answer = ann.does("revoke", record.id, reason=reason)
    assert answer.status_code == 400
    assert "say why" in words(answer.content)
    assert state(record) is SessionState.ACTIVE


# Too late ---------------------------------------------------------------------------------------


def ended(record: SessionRecord) -> None:
    api.end_session(record.id)


def revoked(record: SessionRecord) -> None:
    api.revoke_session(record.id, reason="stop")


def approved(record: SessionRecord) -> None:
    eve = Person("eve", "review_session")
    api.review_session(record.id, reviewer=actor_of_user(eve.user), verdict="approve")


def denied(record: SessionRecord) -> None:
    eve = Person("eve", "review_session")
    api.review_session(record.id, reviewer=actor_of_user(eve.user), verdict="deny")


@pytest.mark.parametrize(
    ("meanwhile", "act", "sentence"),
    [
        (ended, "review", "cannot be reviewed"),
        (revoked, "review", "cannot be reviewed"),
        (approved, "review", "cannot be reviewed"),
        (denied, "review", "cannot be reviewed"),
        (expire, "review", "cannot be reviewed"),
        (denied, "extend", "is denied, which is final"),
        (denied, "end", "is denied already."),
        (revoked, "end", "is revoked already."),
        (ended, "end", "is ended already."),
        (ended, "revoke", "is ended already."),
        (revoked, "revoke", "is revoked already."),
    ],
)
def test_a_request_that_is_no_request_any_more(
    meanwhile: Callable[[SessionRecord], None], act: str, sentence: str, ann: Person, bob: Person
) -> None:
    record = waiting(ann)
    meanwhile(record)
    answer = bob.does(act, record.id, **ACTS[act])
    text = words(answer.content)
    assert (answer.status_code, sentence in text) == (409, True), text
    assert f"Session {record.id}" in text


@pytest.mark.parametrize(
    ("meanwhile", "act", "sentence"),
    [
        (ended, "extend", "is ended, which is final"),
        (revoked, "extend", "is revoked, which is final"),
        (expire, "extend", "cannot be extended: it is expired"),
        (expire, "end", "is expired already."),
        (expire, "revoke", "is expired already."),
    ],
)
@pytest.mark.parametrize("may_view", [True, False])
def test_a_session_that_is_over(
    meanwhile: Callable[[SessionRecord], None],
    act: str,
    sentence: str,
    ann: Person,
    may_view: bool,
) -> None:
    record = ann.opens()
    meanwhile(record)
    eve = Person("eva", "revoke_session", *(["view_session"] if may_view else []))
    answer = eve.does(act, record.id, **ACTS[act])
    text = words(answer.content)
    assert (answer.status_code, sentence in text) == (409, True), text
    assert ("Timeline" in text) == may_view


# Who may ----------------------------------------------------------------------------------------

OWNER, STRANGER = True, False


@pytest.mark.parametrize(
    ("act", "whose", "permission", "may"),
    [
        ("review", STRANGER, "review_session", True),
        ("review", STRANGER, "revoke_session", False),
        ("review", OWNER, "request_session", False),
        *((act, STRANGER, "revoke_session", True) for act in ("extend", "end", "revoke")),
        *((act, STRANGER, "review_session", False) for act in ("extend", "end", "revoke")),
        *((act, STRANGER, "view_session", False) for act in ("extend", "end", "revoke")),
        *((act, OWNER, "request_session", True) for act in ("extend", "end", "revoke")),
    ],
)
def test_each_act_takes_its_permission_or_is_the_owners(
    act: str,
    whose: bool,
    permission: str,
    may: bool,
    bob: Person,
) -> None:
    if act == "review":
        demand_approval()
    eve = Person("eve", permission)
    record = (eve if whose else bob).opens()
    answer = eve.does(act, record.id, **ACTS[act])
    named = "review_session" if act == "review" else "revoke_session"
    if may:
        assert answer.status_code == 302
        assert answer["Location"] == "/admin/"
    else:
        assert answer.status_code == 403
        assert f"trigger_ops.{named} :" in words(answer.content)
    assert (api.find_session(record.id) == record) != may


@pytest.mark.parametrize(
    "actor", ["os:eve@web1", "user:eve"], ids=["of the system", "of that name, without a key"]
)
def test_a_session_from_elsewhere_is_nobodys_own(actor: str, guarded: Any) -> None:
    eve = Person("eve", "request_session")
    record = api.open_session(RECEIPT, reason="the numbers were wrong", actor=actor)
    assert eve.does("end", record.id).status_code == 403
    assert state(record) is SessionState.ACTIVE


@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_done_by_looking(act: str, ann: Person, bob: Person) -> None:
    record = waiting(ann)
    answer = bob.client.get(address(act, record.id), ACTS[act])
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Nothing was done" in words(answer.content)
    assert state(record) is SessionState.PENDING


@pytest.mark.parametrize("act", ACTS)
def test_it_takes_a_login_and_a_token(act: str, ann: Person) -> None:
    record = waiting(ann)
    stranger = Client()
    answer = stranger.post(address(act, record.id), ACTS[act])
    assert answer["Location"].startswith("/admin/login/")
    carol = Person("carol", *EVERY, csrf=True)
    assert carol.does(act, record.id, **ACTS[act]).status_code == 403
    assert api.find_session(record.id) == record


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("number", [999, 10**30])
def test_a_session_that_there_is_not(act: str, number: int, bob: Person) -> None:
    answer = bob.does(act, number, **ACTS[act])
    assert answer.status_code == 404
    assert "There is no session" in words(answer.content)


@pytest.mark.parametrize("act", ACTS)
def test_a_database_that_there_is_not(act: str, bob: Person) -> None:
    answer = bob.does(act, 1, database="defualt", **ACTS[act])
    assert answer.status_code == 404
    assert 'did you mean "default"?' in words(answer.content)


@pytest.mark.parametrize("act", ACTS)
def test_with_atomic_requests_it_is_the_same(act: str, ann: Person, bob: Person) -> None:
    record = waiting(ann) if act == "review" else ann.opens()
    settings = connections["default"].settings_dict
    settings["ATOMIC_REQUESTS"] = True
    try:
        assert bob.does(act, record.id, **ACTS[act]).status_code == 302
    finally:
        settings["ATOMIC_REQUESTS"] = False
    assert api.find_session(record.id) != record
