"""``pgtrigger session approve|deny``: whose password, which right, and what becomes of it."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from tests.damage import run
from tests.management.conftest import Result
from tests.management.sessions import (
    PASSWORD,
    REASON,
    RECEIPT,
    Run,
    demand_approval,
    make_user,
    newest,
    opened,
)
from trigger_ops import api
from trigger_ops.management import reviewers
from trigger_ops.records import Actor

pytestmark = pytest.mark.usefixtures("guarded")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, pgtrigger: Run) -> Any:
    """Run a verb with a password on stdin."""

    def run_with(*words: str, password: str = PASSWORD) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\nmore\n"))
        return pgtrigger("session", *words, "--password-stdin")

    return run_with


@pytest.fixture
def pending() -> str:
    demand_approval()
    return str(opened(actor="os:ann@web1").id)


def test_a_reviewer_approves(pending: str, say: Any) -> None:
    user = make_user("eve")
    result = say("approve", pending, "--user", "eve", "--remark", "looks right")
    session = newest()
    assert (result.code, result.err, session.state) == (0, "", "active")
    assert result.out.startswith(f"Session {pending} is active until ")
    (review,) = session.reviews
    assert (review.reviewer, review.verdict, review.remark) == (
        "user:eve",
        "approve",
        "looks right",
    )
    assert run("SELECT reviewer_key FROM trigger_ops_review") == [(str(user.pk),)]


def test_a_reviewer_denies_with_a_reason(pending: str, say: Any) -> None:
    make_user("eve")
    document = say("deny", pending, "--user", "eve", "--reason", "no", "--format", "json").document
    assert (document["state"], document["end_cause"]) == ("denied", "no")
    (review,) = document["reviews"]
    assert (review["reviewer"], review["verdict"], review["remark"]) == ("user:eve", "deny", "no")


def test_one_of_two_approvals_leaves_it_pending(say: Any) -> None:
    demand_approval(2)
    number = str(opened().id)
    for name in ("eve", "bob"):
        make_user(name)
    first = say("approve", number, "--user", "eve")
    assert (first.code, newest().state) == (0, "pending")
    assert "user:eve approved it." in first.out
    assert "it has 1 of 2 approvals" in first.out
    assert say("approve", number, "--user", "eve").code == 4
    assert say("approve", number, "--user", "bob").code == 0
    assert newest().state == "active"


@pytest.mark.parametrize(
    ("fields", "name", "password", "code", "sentence"),
    [
        (
            {},
            "eve",
            "battery staple",
            4,
            'The password of "eve" is wrong, or there is no such active user',
        ),
        ({}, "nobody", PASSWORD, 4, 'The password of "nobody" is wrong'),
        ({"is_active": False}, "eve", PASSWORD, 4, "no such active user"),
        (
            {"may": False},
            "eve",
            PASSWORD,
            4,
            'User "eve" may not review sessions: have the permission trigger_ops.review_session',
        ),
        ({"may": False, "is_superuser": True}, "eve", PASSWORD, 0, ""),
        ({}, "eve", "", 2, "--password-stdin reads the password from stdin"),
        ({}, "  ", PASSWORD, 2, "give --user NAME"),
        ({}, "e\x1b[2Jve", PASSWORD, 4, "e\\x1b[2Jve"),
    ],
)
def test_who_may_not_review_is_told_why(
    fields: dict[str, Any],
    name: str,
    password: str,
    code: int,
    sentence: str,
    pending: str,
    say: Any,
) -> None:
    make_user("eve", **fields)
    result = say("approve", pending, "--user", name, password=password)
    assert result.code == code
    assert sentence in result.err
    assert newest().state == ("pending" if code else "active")
    assert len(newest().reviews) == (0 if code else 1)
    assert not password or password not in result.out + result.err


def test_nobody_reviews_their_own_request(say: Any) -> None:
    demand_approval()
    make_user("eve")
    number = str(opened(actor=Actor(name="user:EVE")).id)
    result = say("approve", number, "--user", "eve")
    assert (result.code, newest().state) == (4, "pending")
    assert "nobody reviews their own request" in result.err


def test_a_user_who_was_renamed_is_known_by_the_key(say: Any) -> None:
    demand_approval()
    user = make_user("eve")
    number = str(opened(actor=Actor(name="user:formerly", key=str(user.pk))).id)
    assert say("approve", number, "--user", "eve").code == 4
    assert newest().state == "pending"


@pytest.mark.parametrize("verb", [("approve",), ("deny", "--reason", "no")])
def test_what_is_not_pending_is_refused_before_a_password_is_asked_for(
    verb: tuple[str, ...], pgtrigger: Run
) -> None:
    number = str(opened().id)
    result = pgtrigger("session", *verb, number, "--user", "eve")
    assert (result.code, result.out) == (4, "")
    assert f"Session {number} cannot be reviewed: it is active." in result.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("approve", "999999", "--user", "eve"), "There is no session 999999"),
        (("deny", "ID", "--user", "eve"), "Say why the session is denied with --reason."),
        (("approve", "ID"), "A review is a Django user's: give --user NAME"),
        (("approve", "ID", "--user", "eve"), "There is no terminal to ask for a password on"),
    ],
)
def test_what_is_asked_for_wrongly_is_usage(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, pgtrigger: Run
) -> None:
    demand_approval()
    number = str(opened().id)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = pgtrigger("session", *(number if word == "ID" else word for word in words))
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err


def test_on_a_terminal_the_password_is_asked_for(
    pending: str, monkeypatch: pytest.MonkeyPatch, pgtrigger: Run
) -> None:
    make_user("eve")
    asked: list[str] = []

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def answer(question: str) -> str:
        asked.append(question)
        return PASSWORD

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(reviewers.getpass, "getpass", answer)
    assert pgtrigger("session", "approve", pending, "--user", "eve").code == 0
    assert asked == ["Password of eve: "]


def test_without_users_nobody_can_review(
    pending: str, settings: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewers.apps, "is_installed", lambda name: False)
    result = say("approve", pending, "--user", "eve")
    assert result.code == 2
    assert "Reviewers are users of django.contrib.auth" in result.err


def test_a_session_that_was_approved_runs(pending: str, say: Any) -> None:
    make_user("eve")
    assert say("approve", pending, "--user", "eve").code == 0
    with api.session(id=int(pending)) as running:
        assert running.uris == (RECEIPT,)
    assert newest().reason == REASON
