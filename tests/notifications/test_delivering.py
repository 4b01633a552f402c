"""From the outbox to people: at least once, and to each once, whatever happens in between."""

from __future__ import annotations

import json
import logging
import re
import threading
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.api.processes import start
from tests.damage import run
from tests.notifications import own
from tests.notifications.recorded import DAY, MINUTE, notice, pass_time, write
from tests.sinks import MailSink, WebSink, web_sink
from tests.weaknesses.conftest import default_at
from trigger_ops.api import notifying
from trigger_ops.api.notifying import Delivery, deliver, ping_heartbeat, send_test
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.ledger import outbox
from trigger_ops.ledger.recording import LOCK
from trigger_ops.models import Notice
from trigger_ops.states import EventKind

HERE = ["127.0.0.1"]
SECRET = "/services/T00/geheim-4711"


def webhook(web: WebSink, name: str = "pager", **options: Any) -> dict[str, Any]:
    return {"name": name, "backend": "webhook", "url": web.url(SECRET), "timeout": 5, **options}


def declare(settings: Any, *destinations: dict[str, Any], **more: Any) -> None:
    settings.TRIGGER_OPS = {"NOTIFY": list(destinations), "PRIVATE_HOSTS": HERE, **more}


@pytest.fixture
def pager(settings: Any, web: WebSink, own_database: BaseDatabaseWrapper) -> WebSink:
    """Let a webhook named "pager" be told."""
    declare(settings, webhook(web))
    return web


def delivered(*to: str) -> Delivery:
    (one,) = deliver(to)
    return one


def test_nothing_is_sent_where_there_is_nothing_to_tell(pager: WebSink) -> None:
    assert deliver() == [Delivery(destination="pager")]
    assert pager.received == []


@pytest.mark.usefixtures("own_database")
def test_where_nobody_is_to_be_told_nobody_is(settings: Any) -> None:
    declare(settings)
    assert deliver() == []
    assert send_test() == []


def test_a_run_is_one_message_with_the_worst_first(pager: WebSink) -> None:
    for code, level in (("E001", "ERROR"), ("C001", "CRITICAL"), ("W001", "WARNING")):
        write(code=f"trigger_ops.{code}", level=level)
    assert delivered() == Delivery(destination="pager", messages=1, changes=3)
    (got,) = pager.received
    codes = [event["finding"]["id"] for event in got.document["events"]]
    assert codes == ["trigger_ops.C001", "trigger_ops.E001", "trigger_ops.W001"]
    assert deliver() == [Delivery(destination="pager")]
    assert len(pager.received) == 1


def test_each_destination_is_told_by_itself(
    settings: Any, web: WebSink, mail: MailSink, own_database: BaseDatabaseWrapper
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
    own.Kept.told.clear()
    declare(
        settings,
        webhook(web),
        {"name": "team", "backend": "email", "to": ["ops@example.org"]},
        {"name": "own", "backend": "tests.notifications.own.Kept", "room": "db"},
    )
    web.status = 500
    write(EventKind.OPENED, "pager", "team", "own")
    pager, team, kept = deliver()
    assert (team.messages, kept.messages) == (1, 1)
    assert (pager.messages, pager.waiting) == (0, 1)
    assert len(mail.received) == len(own.Kept.told) == 1
    assert len(own.Kept.told[0].changes) == 1


def test_only_those_that_were_named_are_told(
    settings: Any, web: WebSink, own_database: BaseDatabaseWrapper
) -> None:
    declare(settings, webhook(web, "a"), webhook(web, "b"), webhook(web, "c"))
    write(EventKind.OPENED, "a", "b", "c", "gone")
    pass_time(outbox.STRANGE)
    assert [one.destination for one in deliver(["c", "a"])] == ["a", "c"]
    assert sorted(one.document["destination"] for one in web.received) == ["a", "c"]
    assert Notice.objects.get(destination="gone").given_up is None
    with pytest.raises(BadSettings, match='no destination "pagr": there are: a, b, c'):
        deliver(["pagr"])


def test_what_fails_is_told_and_tried_again(pager: WebSink) -> None:
    event = write()
    pager.statuses = [503]
    first = delivered()
    assert (first.messages, first.waiting, first.given_up) == (0, 1, 0)
    assert first.error == "127.0.0.1 answered 503 Service Unavailable."
    assert first.next_try == notice(event).due
    assert delivered() == first
    pass_time(MINUTE)
    assert delivered() == Delivery(destination="pager", messages=1, changes=1)
    assert [one.document["attempt"] for one in pager.received] == [1, 2]
    assert len({one.headers["idempotency-key"] for one in pager.received}) == 1


def test_nobody_hears_of_an_end_before_the_beginning(pager: WebSink) -> None:
    event = write()
    pager.statuses = [500]
    deliver()
    write(EventKind.RESOLVED, finding=event.finding)
    assert delivered() == Delivery(destination="pager", messages=2, changes=2)
    kinds = [one.document["events"][0]["kind"] for one in pager.received]
    assert kinds == ["opened", "opened", "resolved"]


def test_after_a_day_nobody_tries_any_more(
    pager: WebSink, caplog: pytest.LogCaptureFixture
) -> None:
    write()
    pager.status = 404
    assert delivered().given_up == 0
    pass_time(DAY)
    last = delivered()
    assert (last.waiting, last.given_up, last.next_try) == (0, 1, None)
    assert "refused it with 404" in last.error
    assert "refused it with 404" in caplog.text
    assert deliver() == [Delivery(destination="pager")]


def test_a_destination_that_hangs_keeps_the_others_waiting_for_a_while_only(
    pager: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_MOST", 1)
    monkeypatch.setattr(notifying, "PATIENCE_SECONDS", 0)
    for _ in range(3):
        write()
    pager.status = 500
    assert delivered().waiting == 3
    assert len(pager.received) == 1
    pager.status = 200
    assert (delivered().messages, delivered().messages) == (3, 0)


def test_destinations_that_are_gone_are_reported_once(
    pager: WebSink, caplog: pytest.LogCaptureFixture
) -> None:
    write(EventKind.OPENED, "gone")
    assert deliver() == [Delivery(destination="pager")]
    pass_time(outbox.STRANGE)
    assert deliver()[1:] == [Delivery(destination="gone", given_up=1)]
    assert deliver()[1:] == []
    assert "'gone' given up" in caplog.text


def test_a_finding_that_was_allowed_meanwhile_is_told_all_the_same(pager: WebSink) -> None:
    event = write()
    event.finding.allowed = True
    event.finding.save()
    deliver()
    assert "somebody answers for it" in pager.received[0].document["text"]


def test_a_destination_with_bad_options_stops_no_other(
    settings: Any, web: WebSink, own_database: BaseDatabaseWrapper
) -> None:
    bad = {"name": "bad", "backend": "webhook", "url": f"ftp://{SECRET}"}
    declare(settings, bad, webhook(web))
    event = write(EventKind.OPENED, "bad", "pager")
    wrong, right = deliver()
    assert (wrong.bad_settings, wrong.waiting, wrong.messages) == (True, 1, 0)
    assert '"bad": url is wrong' in wrong.error
    assert right.messages == 1
    assert notice(event, "bad").attempts == 0


def test_no_secret_reaches_an_error_a_log_or_the_database(
    settings: Any, own_database: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fails = {
        "backend": "tests.notifications.own.Fails",
        "url": f"https://ann:geheim-1@hooks.example{SECRET}",
        "secret": "geheim-2",
    }
    nowhere = "https://geheim-3:geheim-4@nowhere.invalid/geheim-5?geheim-6"
    declare(
        settings,
        {**fails, "name": "a"},
        {**fails, "name": "b", "how": "KeyError"},
        {"name": "c", "backend": "webhook", "url": nowhere, "secret": "geheim-7"},
        HEARTBEAT_URL=nowhere,
    )
    write(EventKind.OPENED, "a", "b", "c")
    results = [*deliver(), *send_test()]
    assert all(one.error and not one.messages for one in results)
    stored = run("SELECT * FROM trigger_ops_notice")
    said = f"{results} {caplog.text} {stored} {ping_heartbeat()}"
    assert "nowhere.invalid is not known" in said
    assert "geheim" not in said
    assert "T00" not in said


def test_what_is_sent_is_sent_outside_of_any_transaction(
    settings: Any, own_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def look(*_: Any) -> None:
        free = run("SELECT pg_try_advisory_xact_lock(%s)", LOCK)
        attempts = Notice.objects.get().attempts
        seen.append((connection.in_atomic_block, free, attempts))

    declare(settings, {"name": "pager", "backend": "tests.notifications.own.Kept"})
    monkeypatch.setattr(own.Kept, "send", look)
    write()
    deliver()
    assert seen == [(False, [(True,)], 1)]


@pytest.mark.usefixtures("pager")
def test_without_the_recording_database_there_is_one_sentence() -> None:
    with default_at(PORT="1"), pytest.raises(NotRecorded, match="cannot be recorded in"):
        deliver()


def test_the_next_one_repeats_what_a_killed_process_had_taken(
    settings: Any, pager: WebSink
) -> None:
    write()
    pager.silent = True
    process = start(
        "from django.conf import settings\n"
        f"settings.TRIGGER_OPS = json.loads({json.dumps(settings.TRIGGER_OPS)!r})\n"
        "from trigger_ops.api.notifying import deliver\n"
        "deliver()\n"
    )
    try:
        pager.wait_for(1)
        pager.silent = False
        assert delivered().waiting == 1  # whoever sends it has it for himself
    finally:
        process.kill()
        process.communicate()
    assert len(pager.received) == 1
    pass_time(outbox.HOLD)
    assert delivered() == Delivery(destination="pager", messages=1, changes=1)
    first, second = (one.document for one in pager.received)
    assert (first["id"], first["events"]) == (second["id"], second["events"])
    assert (first["attempt"], second["attempt"]) == (1, 2)


def test_two_at_once_tell_each_change_once(
    pager: WebSink, own_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_MOST", 2)
    name, barrier = own_database.settings_dict["NAME"], threading.Barrier(3)
    made = [write(uri=f"shop.Order:t{number}") for number in range(30)]

    def work() -> None:
        with default_at(NAME=name):
            run("SELECT 1")
            barrier.wait(timeout=20)
            deliver()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [event["finding"]["uri"] for one in pager.received for event in one.document["events"]]
    assert sorted(told) == sorted(one.finding.uri for one in made)
    assert {one.document["attempt"] for one in pager.received} == {1}


# Tests -------------------------------------------------------------------------------------------


def test_a_test_needs_no_database_and_leaves_the_outbox_alone(pager: WebSink) -> None:
    event = write()
    with default_at(PORT="1"):
        assert send_test() == [Delivery(destination="pager", messages=1)]
    (got,) = pager.received
    assert (got.document["test"], got.document["events"]) == (True, [])
    assert notice(event).attempts == 0


def test_each_destination_tells_what_came_of_its_test(settings: Any, web: WebSink) -> None:
    with web_sink() as other:
        web.status = 403
        bad = {"name": "bad", "backend": "email"}
        declare(settings, webhook(web, "a"), webhook(other, "b"), bad)
        a, b, wrong = send_test()
    assert "refused it with 403" in a.error
    assert (b.messages, b.error) == (1, "")
    assert wrong.bad_settings
    with pytest.raises(BadSettings, match='did you mean "bad"'):
        send_test(["bat"])


# Heartbeat ---------------------------------------------------------------------------------------


def test_a_heartbeat_is_heard(settings: Any, web: WebSink) -> None:
    declare(settings, HEARTBEAT_URL=web.url("/ping/geheim"))
    assert ping_heartbeat() == ""
    (got,) = web.received
    assert (got.method, got.path, got.body) == ("GET", "/ping/geheim", b"")


def test_without_an_address_nothing_is_asked_for(settings: Any) -> None:
    declare(settings)
    assert ping_heartbeat() == ""


def test_a_heartbeat_is_tried_twice(settings: Any, web: WebSink) -> None:
    declare(settings, HEARTBEAT_URL=web.url())
    web.statuses = [502]
    assert ping_heartbeat() == ""
    assert len(web.received) == 2


@pytest.mark.parametrize(
    ("url", "hosts", "told"),
    [
        ("http://127.0.0.1:{port}/geheim", [], "has a private address"),
        ("http://127.0.0.1:{port}/geheim", HERE, "127.0.0.1 answered 500"),
        ("geheim", HERE, r'"HEARTBEAT_URL"\] is wrong: it begins with neither'),
        (("geheim",), HERE, r"run manage\.py check"),
        ("https://x.example/geheim", "geheim", r"run manage\.py check"),
    ],
)
def test_a_heartbeat_that_is_not_heard_is_told_and_logged(
    settings: Any, web: WebSink, caplog: pytest.LogCaptureFixture, url: Any, hosts: Any, told: str
) -> None:
    web.status = 500
    url = url.format(port=web.port) if isinstance(url, str) else url
    settings.TRIGGER_OPS = {"HEARTBEAT_URL": url, "PRIVATE_HOSTS": hosts}
    said = ping_heartbeat()
    assert re.search(told, said)
    assert said in caplog.text
    assert "geheim" not in f"{said} {caplog.text}"
