"""E-mails, through a mail server."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from django.core.mail.backends.base import BaseEmailBackend

from tests.notifications.making import ID, change, message
from tests.notifications.test_wording import EVIL
from tests.sinks import MailSink
from trigger_ops import conf
from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications import NotDelivered
from trigger_ops.notifications.mail import Mail
from trigger_ops.records import Message
from trigger_ops.states import EventKind

TO = ["Ann <ann@example.org>", "ops@example.org"]


@pytest.fixture
def smtp(settings: Any, mail: MailSink) -> MailSink:
    """Let Django send e-mail to a mail server on loopback."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
    settings.DEFAULT_FROM_EMAIL = "Triggers <db@shop.example>"
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    return mail


def send(told: Message, **options: Any) -> None:
    Mail("team", **{"to": TO, **options}).send(told)


def refused(told: Message) -> str:
    with pytest.raises(NotDelivered) as said:
        send(told)
    return str(said.value)


def test_one_mail_goes_to_all(smtp: MailSink) -> None:
    send(message(change(), change(EventKind.RESOLVED, number=2)))
    (got,) = smtp.received
    assert (got.sender, got.recipients) == (
        "db@shop.example",
        ("ann@example.org", "ops@example.org"),
    )
    assert got.message["Subject"] == (
        "[trigger_ops] 1 opened, 1 resolved: "
        "CRITICAL trigger_ops.C001 shop.Order:no_del on default"
    )
    assert got.message["To"] == ", ".join(TO)
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert "fix: manage.py pgtrigger install shop.Order:no_del" in got.text
    assert f"see: {conf.runbook('C001')}" in got.text
    assert "RESOLVED CRITICAL" in got.text


def test_a_repeat_has_the_same_id(smtp: MailSink) -> None:
    for attempt in (1, 2):
        send(message(change(), attempt=attempt))
    assert {one.message["Message-ID"] for one in smtp.received} == {f"<{ID}@shop.example>"}
    assert len(smtp.received) == 2


def test_sender_and_prefix_are_options(smtp: MailSink) -> None:
    send(message(change()), from_email="pager@other.example", subject_prefix="PAGE: ")
    (got,) = smtp.received
    assert got.sender == "pager@other.example"
    assert got.message["Subject"].startswith("PAGE: 1 opened: ")
    assert got.message["Message-ID"].endswith("@other.example>")


def test_names_add_no_header(smtp: MailSink) -> None:
    send(message(change(uri=EVIL, database=EVIL, message=EVIL)))
    (got,) = smtp.received
    assert got.recipients == ("ann@example.org", "ops@example.org")
    assert "Bcc" not in got.message
    assert "\\r\\nBcc: everybody@example.org" in got.message["Subject"]
    assert "<script>" in got.text
    assert got.message.get_content_type() == "text/plain"


def test_a_test_is_told(smtp: MailSink) -> None:
    send(message())
    assert "a test" in smtp.received[0].message["Subject"]


@pytest.mark.parametrize(
    ("verb", "reply", "told"),
    [
        ("MAIL", "550 5.7.1 not you\r", "the mail server answered 550 5.7.1 not you"),
        ("RCPT", "550 who is that", "the mail server refused every recipient (550)"),
        ("DATA", "451 try later", "the mail server answered 451 try later"),
        ("MAIL", "421 closing", "the mail server answered 421 closing"),
    ],
)
def test_what_the_mail_server_says_is_told(
    smtp: MailSink, verb: str, reply: str, told: str
) -> None:
    smtp.replies[verb] = reply
    assert refused(message(change())) == f"The e-mail was not sent: {told}."


def test_a_refused_login_names_no_password(smtp: MailSink, settings: Any) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ann", "geheim-4711"
    smtp.replies.update(EHLO="250-sink\r\n250 AUTH PLAIN", AUTH="535 no: geheim-4711")
    said = refused(message(change()))
    assert said == "The e-mail was not sent: the mail server refused the login (535)."


def test_where_no_mail_server_is_is_told(smtp: MailSink, settings: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody.getsockname()[1]
        assert refused(message()) == "The e-mail was not sent: Connection refused."


def test_a_mail_server_that_says_nothing_is_left(settings: Any, smtp: MailSink) -> None:
    settings.EMAIL_TIMEOUT = 0.2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]
        assert refused(message()) == (
            "The e-mail was not sent: the mail server gave no answer in time."
        )


def test_a_mail_server_is_not_waited_for_for_ever(
    smtp: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trigger_ops.notifications.mail.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr("django.conf.settings.EMAIL_PORT", silent.getsockname()[1])
        assert "gave no answer in time" in refused(message())


class TakesNothing(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        return 0


def test_a_backend_that_took_nothing_did_not_deliver(settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.notifications.test_mail.TakesNothing"
    assert refused(message()) == "The e-mail was not sent: Django's mail backend took nothing."


@pytest.mark.parametrize("backend", ["locmem", "console", "dummy"])
def test_other_backends_of_django_work(
    settings: Any, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    send(message(change()))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "needs to, a list"),
        ({"to": []}, "needs to, a list"),
        ({"to": "ann@example.org"}, "needs to, a list"),
        ({"to": ["ann"]}, "needs to, a list"),
        ({"to": ["ann@"]}, "needs to, a list"),
        ({"to": [None]}, "needs to, a list"),
        ({"to": ["ann@example.org\nBcc: x@y.z"]}, "needs to, a list"),
        ({"to": TO, "from_email": "nobody"}, "from_email is no e-mail address"),
        ({"to": TO, "from_email": "a@b.c\r\nX: y"}, "from_email is no e-mail address"),
        ({"to": TO, "subject_prefix": "a\nb"}, "subject_prefix must be"),
        ({"to": TO, "subject_prefix": 7}, "subject_prefix must be"),
        ({"to": TO, "from": "a@b.c"}, 'has no option "from": did you mean "from_email"'),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadSettings, match=wrong) as said:
        Mail("team", **options)
    assert '"team"' in str(said.value)
