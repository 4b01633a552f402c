"""``notify`` in processes of its own, on a database where everything is committed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.management.conftest import ROOT, Site
from tests.notifications.recorded import notice, pass_time, write
from tests.sinks import WebSink
from trigger_ops.ledger import outbox
from trigger_ops.models import Notice


@pytest.fixture
def own_site(own_database: BaseDatabaseWrapper) -> Site:
    """Processes on a database of the test's own."""
    name = own_database.settings_dict["NAME"]
    return Site({"default": name, "archive": name})


@pytest.fixture
def declared(web: WebSink) -> dict[str, Any]:
    pager = {"name": "pager", "backend": "webhook", "url": web.url("/geheim"), "secret": "geheim"}
    return {"NOTIFY": [pager], "PRIVATE_HOSTS": ["127.0.0.1"]}


@pytest.mark.parametrize("autocommit", [True, False])
def test_what_was_sent_is_kept_as_sent(
    own_site: Site, web: WebSink, declared: dict[str, Any], autocommit: bool
) -> None:
    event = write()
    for line in ("pager: 1 message, 1 change\n", "pager: nothing to tell\n"):
        done = own_site.manage("pgtrigger", "notify", declared=declared, autocommit=autocommit)
        assert (done.code, done.out, done.err) == (0, line, "")
    assert len(web.received) == 1
    assert notice(event).sent is not None


def test_no_secret_is_printed_or_logged(
    own_site: Site, web: WebSink, declared: dict[str, Any]
) -> None:
    event = write()
    web.status = 500
    done = own_site.manage("pgtrigger", "notify", "--traceback", declared=declared)
    assert done.code == 3
    assert "127.0.0.1 answered 500" in done.err
    assert "geheim" not in f"{done.out} {done.err} {notice(event).error}"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_ended_while_it_sends_loses_nothing(
    own_site: Site, web: WebSink, declared: dict[str, Any], how: signal.Signals
) -> None:
    write()
    write()
    web.silent = True
    process = subprocess.Popen(
        [sys.executable, "manage.py", "pgtrigger", "notify"],
        cwd=ROOT,
        env=own_site.environment({"declared": declared}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        web.wait_for(1)
        os.kill(process.pid, how)
        assert process.wait(timeout=30) != 0
    finally:
        process.kill()
        process.wait()
    web.silent = False
    pass_time(outbox.HOLD)
    done = own_site.manage("pgtrigger", "notify", declared=declared)
    assert done.out == "pager: 1 message, 2 changes\n"
    first, again = (one.document for one in web.received)
    assert (first["id"], first["events"]) == (again["id"], again["events"])
    assert not Notice.objects.filter(sent=None).exists()


def test_many_processes_at_once_tell_each_change_once(
    own_site: Site, web: WebSink, declared: dict[str, Any]
) -> None:
    made = {write().pk for _ in range(20)}
    processes = [
        subprocess.Popen(
            [sys.executable, "manage.py", "pgtrigger", "notify"],
            cwd=ROOT,
            env=own_site.environment({"declared": declared}),
            stdout=subprocess.DEVNULL,
        )
        for _ in range(4)
    ]
    assert [one.wait(timeout=60) for one in processes] == [0, 0, 0, 0]
    told = [event for one in web.received for event in one.document["events"]]
    assert len(told) == len(made)
