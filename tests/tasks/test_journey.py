"""From the tampering to the page to the repair, with nobody at the keyboard but who repairs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.notifications.test_page import defined
from tests.sinks import MailSink, WebSink, mail_sink, web_sink
from tests.tasks.conftest import Fleet, wait_for

TAMPER = """
DO $tamper$ BEGIN
    EXECUTE (SELECT format('CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql '
                           'AS $$ BEGIN RETURN OLD; END $$', oid::regproc)
               FROM pg_proc WHERE proname LIKE 'pgtrigger_delete_0_%');
END $tamper$"""
"""Stock django-pgtrigger calls a trigger with this body INSTALLED."""

SECRET = "geheim-4711"


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def web() -> Iterator[WebSink]:
    with web_sink() as sink:
        yield sink


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet], mail: MailSink, web: WebSink) -> Fleet:
    """A project of two databases that a worker and a beat look after every few seconds."""
    told = [
        {"name": "mail", "backend": "email", "to": ["ops@example.com"]},
        {"name": "pager", "backend": "webhook", "url": web.url("/hook"), "secret": SECRET},
    ]
    fleet = make_fleet(
        aliases=2,
        schemas=1,
        smtp_port=mail.port,
        celery={
            "beat_schedule": {"checks": {"task": "trigger_ops.check_databases", "schedule": 1.0}}
        },
        trigger_ops={
            "NOTIFY": told,
            "PRIVATE_HOSTS": ["127.0.0.1"],
            "HEARTBEAT_URL": web.url("/heartbeat"),
            "RUNBOOK": "https://runbooks.example.com/{code}",
        },
    )
    fleet.worker("worker")
    fleet.beat("beat")
    return fleet


def calls(web: WebSink) -> list[dict[str, Any]]:
    """Return what the pager was told, each time signed so that the page's receiver believes it."""
    is_genuine = defined("is_genuine")
    told = [one for one in web.received if one.path == "/hook"]
    for one in told:
        signature = one.headers["x-trigger-ops-signature"]
        assert is_genuine(signature, one.body, SECRET)
        assert not is_genuine(signature, one.body + b" ", SECRET)
    return [one.document for one in told]


def wait_for_more_runs(fleet: Fleet, number: int) -> None:
    wanted = len(fleet.runs()) + number
    wait_for(lambda: len([one for one, _ in fleet.runs() if one]) >= wanted, fleet.logs)


def test_a_tampered_trigger_is_told_once_repaired_and_told_to_be_well(
    fleet: Fleet, mail: MailSink, web: WebSink
) -> None:
    fleet.wait_for_runs()
    assert (mail.received, calls(web)) == ([], [])

    fleet.ask(TAMPER, alias="shop01")
    wait_for(lambda: mail.received and calls(web), fleet.logs)
    (letter,), (call,) = mail.received, calls(web)
    (event,) = call["events"]
    finding = event["finding"]
    runbook = "https://runbooks.example.com/C001"
    assert (event["kind"], finding["id"], finding["database"]) == (
        *("opened", "trigger_ops.C001", "shop01"),
    )
    assert (finding["uri"], finding["runbook"]) == ("fleet.Stock0:delete_0", runbook)
    for words in ("C001", "fleet.Stock0:delete_0", finding["fix"], runbook):
        assert words in letter.text

    python, *command = shlex.split(finding["fix"])
    assert python == "manage.py"
    repaired = fleet.manage(*command)
    assert repaired.returncode == 0, repaired.stderr
    wait_for(lambda: len(mail.received) == 2 and len(calls(web)) == 2, fleet.logs)
    (event,) = calls(web)[1]["events"]
    assert (event["kind"], event["finding"]["id"]) == ("resolved", "trigger_ops.C001")
    assert "resolved" in str(mail.received[1].message["Subject"])

    wait_for_more_runs(fleet, 2)
    assert (len(mail.received), len(calls(web))) == (2, 2)
    assert {complete for finished, complete in fleet.runs() if finished} == {True}
    assert any(one.path == "/heartbeat" for one in web.received)
    assert SECRET not in "".join(one.log.read_text() for one in fleet.processes)
