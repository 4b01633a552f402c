"""Forms that act once: what spends the text of a form, and what does not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.web.once import nonce, request_of
from trigger_ops.web import nonces
from trigger_ops.web.nonces import issue, spend

pytestmark = pytest.mark.django_db


def login(name: str = "ann") -> Client:
    client = Client()
    client.force_login(User.objects.get_or_create(username=name)[0])
    return client


def test_a_text_is_spent_once() -> None:
    client = login()
    one, other = nonce(client), nonce(client)
    assert one != other
    assert [spend(request_of(client), text) for text in (one, one, other, one)] == [
        *(True, False, True, False)
    ]


def test_to_show_a_form_writes_nothing() -> None:
    request = request_of(login())
    with CaptureQueriesContext(connection) as queries:
        issue(request)
    assert not request.session.modified
    assert [one["sql"] for one in queries if not one["sql"].startswith("SELECT")] == []


@pytest.mark.parametrize("text", ["", "x", "a:b", "1.x", ":", "\0", "9" * 5000, "é:ü"])
def test_what_we_did_not_issue_is_refused(text: str) -> None:
    assert not spend(request_of(login()), text)


@pytest.mark.parametrize("signed", ["x", "", "x.y", "."])
def test_nor_what_only_looks_like_it(signed: str) -> None:
    client = login()
    request = request_of(client)
    assert not spend(request, nonces._signer(request).sign(signed))
    assert not spend(request, signing.Signer().sign(nonce(client).rpartition(":")[0]))


def test_the_text_of_somebody_else_is_refused() -> None:
    ann, bob = login(), login("bob")
    assert not spend(request_of(bob), nonce(ann))


def test_of_two_requests_that_began_at_once_one_spends_it() -> None:
    client = login()
    text = nonce(client)
    first, second = request_of(client), request_of(client)  # both have read what is kept
    assert (spend(first, text), spend(second, text)) == (True, False)


def test_what_was_spent_long_ago_stays_spent_and_little_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nonces, "_KEPT", 3)
    client = login()
    never, *texts = [nonce(client) for _ in range(8)]
    late = texts.pop()
    assert [spend(request_of(client), text) for text in texts] == [True] * 6
    _oldest, kept = client.session[nonces._KEY]
    assert len(kept) == 3
    for text in (never, *texts):
        assert not spend(request_of(client), text)
    assert spend(request_of(client), late)
