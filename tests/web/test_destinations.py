"""The page of whom findings are told: no secret is on it, and a test says what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from tests.damage import run
from tests.drift.making import make_finding
from tests.web.once import nonce
from tests.web.recorded import address, log_in, look, read, see, words
from trigger_ops import conf
from trigger_ops.models import Notice
from trigger_ops.web import freshness
from trigger_ops.web.columns import NOTHING

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

PAGE, TEST = "destinations", "destination_test"
TEAM = {"name": "team", "backend": "email", "to": ["ops@example.org"], "kinds": ["opened"]}
PAGER = {
    "name": "pager",
    "backend": "webhook",
    "level": "CRITICAL",
    "url": "https://hooks.example.org/T0PS3CRET",
    "secret": "sh4red",
}


@pytest.fixture(autouse=True)
def told(settings: Any) -> Iterator[None]:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [TEAM, PAGER]}
    freshness.forget()
    yield
    freshness.forget()


@pytest.fixture
def ann() -> Client:
    return log_in("view_driftfinding", "review_session")


def send(client: Client, name: str = "team") -> HttpResponse:
    fields = {"destination": name, "nonce": nonce(client)}
    response: HttpResponse = client.post(address(TEST), fields)
    return response


def test_destinations_are_listed_without_their_secrets(ann: Client) -> None:
    markup = see(ann, address(PAGE))
    read_ = words(markup)
    assert f"team email ▲ WARNING opened {NOTHING} 0 0 Send a test" in read_
    assert f"pager webhook ✖ CRITICAL all {NOTHING} 0 0 Send a test" in read_
    for secret in ("T0PS3CRET", "hooks.example.org", "sh4red", "ops@example.org"):
        assert secret not in markup


def test_a_test_is_sent_and_said_to_be(ann: Client) -> None:
    response = send(ann)
    assert (response.status_code, response["Location"]) == (302, address(PAGE))
    (message,) = mail.outbox
    assert message.to == ["ops@example.org"]
    assert "A test was sent to “team”." in read(ann, address(PAGE))
    assert not Notice.objects.exists()


def test_what_did_not_arrive_is_said_without_secrets(ann: Client, settings: Any) -> None:
    down = {**PAGER, "url": "https://127.0.0.1:9/T0PS3CRET"}
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [down]}
    send(ann, "pager")
    markup = see(ann, address(PAGE))
    assert "“pager” was not told:" in words(markup)
    assert "T0PS3CRET" not in markup


@pytest.mark.parametrize("name", ["nobody", "", "<b>\x1b", "a\0b"])
def test_a_name_that_is_none_is_said_to_be(ann: Client, name: str) -> None:
    send(ann, name)
    markup = see(ann, address(PAGE))
    assert "has no destination" in words(markup)
    assert "<b>\x1b" not in markup
    assert mail.outbox == []


def test_a_test_takes_a_permission_of_its_own() -> None:
    viewer = log_in("view_driftfinding")
    assert "Send a test" not in read(viewer, address(PAGE))
    response = send(viewer)
    assert response.status_code == 403
    assert "trigger_ops.review_session" in words(response.content.decode())
    stranger = log_in("review_session", name="eve")
    assert "trigger_ops.view_driftfinding" in read(stranger, address(PAGE), status=403)
    assert send(stranger).status_code == 403
    assert Client().get(address(PAGE)).status_code == 302
    assert mail.outbox == []


def test_a_test_is_sent_by_a_form_of_ours_alone(ann: Client) -> None:
    assert ann.get(address(TEST)).status_code == 405
    careful = log_in("view_driftfinding", "review_session", csrf=True, name="bob")
    assert send(careful).status_code == 403
    assert mail.outbox == []


def test_what_waits_and_what_was_given_up_is_counted(ann: Client) -> None:
    found = [make_finding(trigger=f"pgtrigger_{one}") for one in range(3)]
    look(*found, tell=conf.destinations())
    now = timezone.now()
    first, second, _third = Notice.objects.filter(destination="pager").order_by("pk")
    Notice.objects.filter(pk=first.pk).update(given_up=now, error="it was <b>refused</b>")
    Notice.objects.filter(pk=second.pk).update(error="later", due=now + dt.timedelta(hours=1))
    Notice.objects.filter(destination="team").update(sent=now)
    markup = see(ann, address(PAGE))
    told_ = words(markup)
    assert f"pager webhook ✖ CRITICAL all {NOTHING} 2 next try" in told_
    assert "✖ 1 Send a test" in told_
    assert "<b>refused" not in markup
    team = told_.partition("team email")[2].partition("pager")[0]
    assert "UTC 0 0" in team


def test_what_was_given_up_long_ago_is_not_counted(ann: Client) -> None:
    look(make_finding(), tell=conf.destinations())
    Notice.objects.update(given_up=timezone.now() - dt.timedelta(days=31), error="gone")
    assert f"pager webhook ✖ CRITICAL all {NOTHING} 0 0" in read(ann, address(PAGE))


def test_a_destination_that_is_gone_is_shown_while_something_waits_for_it(
    ann: Client, settings: Any
) -> None:
    look(make_finding(), tell=conf.destinations())
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [TEAM]}
    told_ = read(ann, address(PAGE))
    assert f"pager ▲ not in the settings {NOTHING} 1 0" in told_
    assert told_.count("Send a test") == 1


def test_with_nobody_to_tell_it_says_how_to_name_somebody(ann: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": []}
    told_ = read(ann, address(PAGE))
    assert 'Nobody is told: name whom to tell in TRIGGER_OPS["NOTIFY"]' in told_
    assert 'TRIGGER_OPS["HEARTBEAT_URL"] is empty' in told_


def test_a_heartbeat_is_named_without_its_address(ann: Client, settings: Any) -> None:
    url = "https://beat.example.org/T0PS3CRET"
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "HEARTBEAT_URL": url}
    markup = see(ann, address(PAGE))
    assert "A heartbeat address is asked for" in words(markup)
    assert "T0PS3CRET" not in markup


@pytest.mark.parametrize("url", ["ftp://T0PS3CRET", "T0PS3CRET", ["T0PS3CRET"]])
def test_a_heartbeat_that_goes_nowhere_is_not_called_sent(
    ann: Client, settings: Any, url: object
) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "HEARTBEAT_URL": url}
    markup = see(ann, address(PAGE))
    assert 'TRIGGER_OPS["HEARTBEAT_URL"] cannot be used. Run manage.py check' in words(markup)
    assert "T0PS3CRET" not in markup


def test_settings_that_cannot_be_used_are_a_sentence(ann: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [{"name": "x"}]}
    assert 'must have a "backend"' in read(ann, address(PAGE))
    send(ann, "x")
    assert 'must have a "backend"' in read(ann, address(PAGE))


def test_without_tables_destinations_are_shown_and_can_be_tested(ann: Client) -> None:
    run("DROP TABLE trigger_ops_notice CASCADE")
    told_ = read(ann, address(PAGE))
    assert "manage.py migrate" in told_
    assert "team email" in told_
    send(ann)
    assert len(mail.outbox) == 1
