"""The document that webhooks get, its signature, and the options."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from typing import Any

import pytest
from django.test import override_settings

from tests.notifications.making import ID, change, message
from tests.notifications.test_wording import EVIL
from tests.sinks import Received, WebSink
from trigger_ops import conf
from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications import NotDelivered
from trigger_ops.notifications.webhook import Webhook
from trigger_ops.records import Message
from trigger_ops.states import EventKind

FINDING_KEYS = {
    *("id", "level", "uri", "database", "schema", "schemas", "count", "table", "trigger"),
    *("status", "enabled", "facets", "message", "fix", "first_seen"),
    *("runbook", "digest", "last_seen", "resolved"),
}
SECRET = "geheim-4711"
WORD_JOINER = "\u2060"


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    settings.TRIGGER_OPS = {"PRIVATE_HOSTS": ["127.0.0.1"]}


def sent(web: WebSink, told: Message, **options: Any) -> Received:
    Webhook("pager", url=web.url(), **options).send(told)
    return web.received[-1]


def test_the_document_has_its_keys(web: WebSink) -> None:
    got = sent(web, message(change(), change(EventKind.RESOLVED, number=2), attempt=3))
    document = got.document
    assert list(document) == ["schema", "id", "text", "destination", "attempt", "test", "events"]
    assert (document["schema"], document["id"]) == ("trigger_ops.notification/1", str(ID))
    assert (document["destination"], document["attempt"], document["test"]) == ("pager", 3, False)
    opened, resolved = document["events"]
    assert set(opened) == {"kind", "at", "run_id", "finding"}
    assert set(opened["finding"]) == FINDING_KEYS
    assert (opened["kind"], opened["at"]) == ("opened", "2026-11-22T12:00:00+00:00")
    assert (opened["run_id"], opened["finding"]["resolved"]) == (str(ID), None)
    assert opened["finding"]["runbook"] == conf.runbook("C001")
    assert (resolved["kind"], resolved["finding"]["resolved"]) == (
        "resolved",
        "2026-11-22T12:00:00+00:00",
    )
    assert document["text"].startswith("[trigger_ops] 1 opened, 1 resolved: CRITICAL ")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == str(ID)


def test_what_is_not_there_is_null(web: WebSink) -> None:
    gone = {"uri": "", "schema": "", "table": "", "trigger": "", "status": "", "enabled": ""}
    (event,) = sent(web, message(change(**gone))).document["events"]
    assert {event["finding"][key] for key in gone} == {None}


def test_a_test_has_no_events(web: WebSink) -> None:
    document = sent(web, message()).document
    assert (document["test"], document["events"]) == (True, [])


def test_names_break_no_json_and_call_nobody(web: WebSink) -> None:
    got = sent(web, message(change(uri=EVIL, message=EVIL, database=EVIL)))
    assert got.body.isascii()
    (event,) = got.document["events"]
    assert event["finding"]["uri"] == event["finding"]["database"] == EVIL
    assert "<" not in got.document["text"]
    assert "&lt;!channel&gt;" in got.document["text"]
    shown = got.document["text"].replace(WORD_JOINER, "")
    assert all(line.isprintable() for line in shown.split("\n"))


@pytest.mark.parametrize("word", ["@channel", "@all", "@here", "@ann", "x@here"])
def test_no_name_calls_anybody_in_a_chat_that_takes_a_plain_at(web: WebSink, word: str) -> None:
    got = sent(web, message(change(uri=f"shop.{word}:t", message=f"{word} look", database=word)))
    text = got.document["text"]
    assert word not in text
    assert word in text.replace(WORD_JOINER, "")
    assert text.count("@") == text.count(f"@{WORD_JOINER}") > 2
    (event,) = got.document["events"]
    assert event["finding"]["message"] == f"{word} look"


def test_thousands_of_tenants_are_counted_not_named(web: WebSink) -> None:
    schemas = tuple(f"tenant_{number}" for number in range(2000))
    (event,) = sent(web, message(change(count=2000, schemas=schemas))).document["events"]
    assert event["finding"]["count"] == 2000
    assert event["finding"]["schemas"] == list(schemas[:100])


def test_a_signature_proves_who_speaks_and_when(web: WebSink) -> None:
    before = int(time.time())
    got = sent(web, message(change()), secret=SECRET)
    moment, _, proof = got.headers["x-trigger-ops-signature"].partition(",")
    at = moment.removeprefix("t=")
    assert before <= int(at) <= time.time()
    expected = hmac.new(SECRET.encode(), at.encode() + b"." + got.body, hashlib.sha256)
    assert proof == f"v1={expected.hexdigest()}"


def test_without_a_secret_nothing_is_signed(web: WebSink) -> None:
    assert "x-trigger-ops-signature" not in sent(web, message()).headers


def test_headers_of_the_projects_own_are_sent(web: WebSink) -> None:
    own = {"Authorization": "Bearer abc", "X-Team": "db", "user-agent": "shop"}
    got = sent(web, message(), headers=own)
    assert {name.lower(): got.headers[name.lower()] for name in own} == {
        name.lower(): value for name, value in own.items()
    }
    assert got.names.count("user-agent") == 1


def test_the_timeout_is_the_one_that_was_asked_for(web: WebSink) -> None:
    web.silent = True
    with pytest.raises(NotDelivered, match=r"no answer in time \(0\.2 s\)"):
        sent(web, message(), timeout=0.2)


@override_settings(TRIGGER_OPS={})
def test_private_addresses_are_refused(web: WebSink) -> None:
    with pytest.raises(NotDelivered, match="private address"):
        sent(web, message())
    assert web.received == []


URL = "https://hooks.example/T00/geheim-1"


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "needs url"),
        ({"url": ""}, "needs url"),
        ({"url": 7}, "needs url"),
        ({"url": f"ftp://{SECRET}/"}, "url is wrong: it begins with neither"),
        ({"url": f"https://ge heim/{SECRET}"}, "url is wrong: it contains blanks"),
        ({"url": URL, "secret": 4711}, "needs secret, a text"),
        ({"url": URL, "secret": ""}, "needs secret, a text"),
        ({"url": URL, "timeout": 0}, "timeout must be"),
        ({"url": URL, "timeout": -1}, "timeout must be"),
        ({"url": URL, "timeout": 61}, "timeout must be"),
        ({"url": URL, "timeout": True}, "timeout must be"),
        ({"url": URL, "timeout": "5"}, "timeout must be"),
        ({"url": URL, "timeout": float("nan")}, "timeout must be"),
        ({"url": URL, "headers": [SECRET]}, "headers must be a dict"),
        ({"url": URL, "headers": {"X-Key": f"{SECRET}\r\nX-Evil: 1"}}, "HTTP does not take"),
        ({"url": URL, "headers": {f"X {SECRET}": "1"}}, "HTTP does not take"),
        ({"url": URL, "headers": {"X-Key": "€"}}, "HTTP does not take"),
        ({"url": URL, "headers": {"X-Key": None}}, "HTTP does not take"),
        ({"url": URL, "headers": {"Host": "inner"}}, "Host is ours"),
        ({"url": URL, "headers": {"content-LENGTH": "0"}}, "content-LENGTH is ours"),
        ({"url": URL, "headers": {"idempotency-key": "1"}}, "is ours"),
        ({"url": URL, "secrets": SECRET}, 'has no option "secrets": did you mean "secret"'),
    ],
)
def test_bad_options_are_named_without_their_values(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadSettings, match=wrong) as said:
        Webhook("pager", **options)
    assert '"pager"' in str(said.value)
    assert "geheim" not in str(said.value)


def test_each_message_has_a_number_of_its_own(web: WebSink) -> None:
    other = Message(id=uuid.uuid4(), destination="pager", changes=(change(),))
    first, second = (sent(web, one) for one in (message(change()), other))
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
