"""``notify``: what is due is delivered, and a test says whether it can be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.management.conftest import Result, Site
from tests.notifications.recorded import pass_time, write
from tests.sinks import MailSink, WebSink, mail_sink, web_sink
from trigger_ops.ledger import outbox
from trigger_ops.models import Notice
from trigger_ops.states import EventKind

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db


@pytest.fixture
def web() -> Iterator[WebSink]:
    with web_sink() as sink:
        yield sink


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    with mail_sink() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        yield sink


@pytest.fixture
def declared(settings: Any, web: WebSink, mail: MailSink) -> dict[str, Any]:
    """Let a webhook and an e-mail address be told."""
    settings.TRIGGER_OPS = {
        "NOTIFY": [
            {"name": "pager", "backend": "webhook", "url": web.url("/geheim"), "secret": "geheim"},
            {"name": "team", "backend": "email", "to": ["ops@example.org"]},
        ],
        "PRIVATE_HOSTS": ["127.0.0.1"],
    }
    return dict(settings.TRIGGER_OPS)


@pytest.mark.usefixtures("declared")
def test_what_is_due_is_delivered(pgtrigger: Run, web: WebSink, mail: MailSink) -> None:
    for _ in range(3):
        write(EventKind.OPENED, "pager")
    write(EventKind.OPENED, "team")
    done = pgtrigger("notify")
    assert (done.code, done.out, done.err) == (
        0,
        "pager: 1 message, 3 changes\nteam: 1 message, 1 change\n",
        "",
    )
    assert (len(web.received), len(mail.received)) == (1, 1)
    assert pgtrigger("notify").out == "pager: nothing to tell\nteam: nothing to tell\n"


@pytest.mark.usefixtures("declared")
def test_what_does_not_arrive_is_exit_code_3(pgtrigger: Run, web: WebSink) -> None:
    write(EventKind.OPENED, "pager", "team")
    web.status = 503
    done = pgtrigger("notify")
    assert done.code == 3
    pager, team = done.out.splitlines()
    assert re.fullmatch(
        r"pager: not delivered \(127\.0\.0\.1 answered 503 Service Unavailable\.\), "
        r"next try after \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
        pager,
    )
    assert team == "team: 1 message, 1 change"
    assert done.err == "Not everybody could be told: pager.\n"
    assert pgtrigger("notify").code == 3  # it is still to be told
    pass_time(outbox.FIRST_PAUSE)
    web.status = 200
    assert pgtrigger("notify").code == 0


@pytest.mark.usefixtures("declared")
def test_json_has_all_of_it(pgtrigger: Run, web: WebSink) -> None:
    write(EventKind.OPENED, "pager", "team")
    web.status = 500
    done = pgtrigger("notify", "--format", "json")
    document = done.document
    assert (document["schema"], document["exit_code"], done.code) == ("trigger_ops.notify/1", 3, 3)
    assert document["test"] is False
    pager, team = document["destinations"]
    assert list(pager) == [
        *("destination", "messages", "changes", "waiting", "given_up", "error", "next_try"),
    ]
    assert (pager["waiting"], pager["error"]) == (
        1,
        "127.0.0.1 answered 500 Internal Server Error.",
    )
    assert pager["next_try"].endswith("+00:00")
    assert team == {
        "destination": "team",
        "messages": 1,
        "changes": 1,
        "waiting": 0,
        "given_up": 0,
        "error": None,
        "next_try": None,
    }


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize("given", ["pager", ["pager"]])
def test_only_those_named_are_told(pgtrigger: Run, mail: MailSink, given: Any) -> None:
    write(EventKind.OPENED, "pager", "team")
    assert pgtrigger("notify", to=given).out == "pager: 1 message, 1 change\n"
    assert mail.received == []


@pytest.mark.usefixtures("declared")
def test_a_test_is_sent_to_each(pgtrigger: Run, web: WebSink, mail: MailSink) -> None:
    write(EventKind.OPENED, "pager")
    done = pgtrigger("notify", "--test")
    assert (done.code, done.out) == (
        0,
        "pager: the test message was sent\nteam: the test message was sent\n",
    )
    assert web.received[0].document["test"] is True
    assert "x-trigger-ops-signature" in web.received[0].headers
    assert len(mail.received) == 1
    assert Notice.objects.get().attempts == 0
    document = pgtrigger("notify", "--test", "--to", "team", "--format", "json").document
    assert document["test"] is True
    assert [one["destination"] for one in document["destinations"]] == ["team"]


@pytest.mark.usefixtures("declared")
def test_a_test_that_does_not_arrive_is_exit_code_3(pgtrigger: Run, web: WebSink) -> None:
    web.status = 404
    done = pgtrigger("notify", "--test", "--to", "pager")
    assert done.code == 3
    assert done.out.startswith("pager: not delivered (127.0.0.1 refused it with 404 Not Found")
    assert "geheim" not in done.out + done.err


@pytest.mark.parametrize("test", [[], ["--test"]])
def test_bad_settings_are_exit_code_2(
    pgtrigger: Run, declared: dict[str, Any], settings: Any, web: WebSink, test: list[str]
) -> None:
    bad = {"name": "bad", "backend": "webhook", "url": "geheim"}
    settings.TRIGGER_OPS = {**declared, "NOTIFY": [bad, *declared["NOTIFY"]]}
    write(EventKind.OPENED, "bad", "pager")
    done = pgtrigger("notify", *test)
    assert done.code == 2
    assert 'bad: not delivered (TRIGGER_OPS["NOTIFY"], "bad": url is wrong: ' in done.out
    assert "geheim" not in done.out + done.err
    assert len(web.received) == 1  # the others are told all the same


@pytest.mark.parametrize(
    ("notify", "arguments", "said"),
    [
        ([], [], 'name somebody in TRIGGER_OPS["NOTIFY"]'),
        ([], ["--test"], 'name somebody in TRIGGER_OPS["NOTIFY"]'),
        (None, ["--to", "pagr"], 'no destination "pagr": did you mean "pager"?'),
        (None, ["--test", "--to", "pagr"], 'no destination "pagr": did you mean "pager"?'),
        (None, ["--to", ""], 'no destination "": there are: pager, team.'),
        ([{"name": "a"}], [], 'must have a "backend"'),
        ([{"name": "a", "backend": "email", "level": "X"}], [], "level 'X'"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(
    pgtrigger: Run,
    declared: dict[str, Any],
    settings: Any,
    notify: Any,
    arguments: list[str],
    said: str,
) -> None:
    if notify is not None:
        settings.TRIGGER_OPS = {**declared, "NOTIFY": notify}
    done = pgtrigger("notify", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("declared")
def test_destinations_that_are_gone_are_no_failure(pgtrigger: Run) -> None:
    write(EventKind.OPENED, "gone\x1b[2J")
    pass_time(outbox.STRANGE)
    done = pgtrigger("notify")
    assert done.code == 0
    gone = done.out.splitlines()[-1]
    assert gone == "gone\\x1b[2J: 1 change given up: there is no such destination"


@pytest.mark.usefixtures("declared")
def test_what_somebody_else_sends_is_said_so(pgtrigger: Run) -> None:
    write(EventKind.OPENED, "pager")
    Notice.objects.update(batch="6f1cfb5a-2f0d-4b51-9c5e-0d3d5d1c7a11", attempts=1)
    pass_time(-outbox.HOLD)
    done = pgtrigger("notify", "--to", "pager")
    assert (done.code, done.out) == (0, "pager: 1 change being sent by somebody else\n")


def test_an_unreachable_recording_database_is_exit_code_5(
    site: Site, declared: dict[str, Any]
) -> None:
    down = {**declared, "RECORD_DATABASE": "down"}
    done = site.manage("pgtrigger", "notify", down=True, declared=down)
    assert (done.code, done.out) == (5, "")
    assert '"down" cannot be recorded in' in done.err
    tested = site.manage(
        "pgtrigger", "notify", "--test", "--to", "pager", down=True, declared=down
    )
    assert (tested.code, tested.out) == (0, "pager: the test message was sent\n")


def test_a_process_prints_json_and_ends_with_its_code(
    site: Site, declared: dict[str, Any], web: WebSink
) -> None:
    web.status = 500
    done = site.manage(
        "pgtrigger", "notify", "--test", "--to", "pager", "--format", "json", declared=declared
    )
    assert done.code == json.loads(done.out)["exit_code"] == 3
    assert "geheim" not in done.out + done.err
