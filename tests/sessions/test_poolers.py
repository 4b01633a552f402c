from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import atomic

from demo_site.past.models import Receipt
from tests.sessions.conftest import (
    CLEAN,
    REASON,
    RECEIPT,
    Written,
    default_at,
    is_protected,
    renumber,
    session,
    settings_now,
)
from tests.site import ROOT
from trigger_ops.exceptions import SessionRefused

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer in transaction mode with one connection to the server."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def place(self) -> dict[str, Any]:
        return {"HOST": "127.0.0.1", "PORT": str(self.port)}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def configuration(settings: dict[str, Any], port: int) -> str:
    target = {
        "host": settings["HOST"] or "127.0.0.1",
        "port": settings["PORT"] or "5432",
        "dbname": settings["NAME"],
        "user": settings["USER"],
        **({"password": settings["PASSWORD"]} if settings["PASSWORD"] else {}),
    }
    address = " ".join(f"{key}={value}" for key, value in target.items())
    return f"""\
[databases]
{settings["NAME"]} = {address}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 50
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture
def pooler(guarded: BaseDatabaseWrapper) -> Iterator[Pooler]:
    """Start a PgBouncer before the guarded database, as a user of the system that may run it."""
    if PGBOUNCER is None:
        if os.environ.get("TRIGGER_OPS_CI") == "1":
            pytest.fail("PgBouncer is missing: apt-get install pgbouncer.")
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer to run this test.")
    folder, port = Path(tempfile.mkdtemp(prefix="pgbouncer")), free_port()
    file = folder / "pgbouncer.ini"
    file.write_text(configuration(guarded.settings_dict, port))
    switch: dict[str, Any] = {}
    if os.geteuid() == 0:  # PgBouncer refuses to run as root
        nobody = pwd.getpwnam("nobody")
        switch = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for one in (folder, file):
            os.chown(one, nobody.pw_uid, nobody.pw_gid)
    log = (folder / "log").open("wb")
    process = subprocess.Popen([PGBOUNCER, file], cwd="/", stdout=log, stderr=log, **switch)
    try:
        _wait_for(port, process, folder / "log")
        guarded.close()
        yield Pooler(process, port)
    finally:
        process.terminate()
        process.wait(20)
        log.close()
        shutil.rmtree(folder)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def pooled(pooler: Pooler) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` go through the pooler."""
    with default_at(**pooler.place) as one:
        yield one


def number_of(other: BaseDatabaseWrapper, statement: str, *parameters: Any) -> Any:
    with other.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchone()[0]


def test_no_session_reaches_another_client(
    pooled: BaseDatabaseWrapper, pooler: Pooler, second_connection: Any, written: Written
) -> None:
    receipt = Receipt.objects.create(number="wrong")
    other = second_connection(**pooler.place)
    look = (
        "SELECT coalesce(current_setting('trigger_ops.session', true), '') "
        "|| current_setting('statement_timeout') || pg_backend_pid()"
    )
    same_backend = str(number_of(pooled, "SELECT pg_backend_pid()"))
    with session() as running:
        for number in range(20):
            renumber(receipt, f"a{number}")
            assert number_of(other, look) == f"0{same_backend}"
            with pytest.raises(Exception, match="pgtrigger: Cannot"):
                number_of(other, "UPDATE past_receipt SET number = 'b' RETURNING id")
            with atomic():
                renumber(receipt, f"t{number}")
            assert number_of(other, look) == f"0{same_backend}"
    assert len(written.changes(running.id)) == 40
    assert is_protected(receipt)
    assert settings_now() == CLEAN


def test_a_session_in_a_transaction_that_has_the_only_connection_is_refused(
    pooled: BaseDatabaseWrapper,
) -> None:
    receipt = Receipt.objects.create(number="wrong")
    began = time.monotonic()
    with atomic():
        assert Receipt.objects.count() == 1
        with pytest.raises(SessionRefused, match="A second connection"):
            session().__enter__()
        assert is_protected(receipt)
    assert time.monotonic() - began < 30
    assert is_protected(receipt)


MORTAL = f"""
import django, time
django.setup()
from django.db.transaction import atomic
from demo_site.past.models import Receipt
from trigger_ops import api
with api.session({RECEIPT!r}, reason={REASON!r}), atomic():
    Receipt.objects.update(number="half done")
    print("inside", flush=True)
    time.sleep(60)
"""


def test_a_client_that_is_killed_in_a_session_leaves_nothing(
    pooled: BaseDatabaseWrapper, written: Written
) -> None:
    receipt = Receipt.objects.create(number="wrong")
    address = pooled.settings_dict
    user, password = quote(address["USER"], safe=""), quote(address["PASSWORD"], safe="")
    url = f"postgresql://{user}:{password}@127.0.0.1:{address['PORT']}/{address['NAME']}"
    mortal = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from demo_site.database import choose_driver\nchoose_driver(){MORTAL}",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "demo_site.settings",
            "TRIGGER_OPS_DRIVER": "psycopg" if is_psycopg3 else "psycopg2",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert mortal.stdout is not None
    with mortal.stdout:
        assert mortal.stdout.readline() == "inside\n"
        mortal.send_signal(signal.SIGKILL)
        assert mortal.wait(20) == -signal.SIGKILL
    # Through the only connection to the server, as soon as that is free again.
    assert is_protected(receipt)
    assert settings_now() == CLEAN
    receipt.refresh_from_db()
    assert receipt.number == "wrong"
    assert written("SELECT count(*) FROM trigger_ops_change") == [(0,)]
    assert written("SELECT state FROM trigger_ops_session") == [("active",)]


if is_psycopg3 and importlib.util.find_spec("psycopg_pool") is not None:

    @pytest.fixture
    def pool_of_one(bound: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
        """Let `default` use Django's pool, with one connection in it."""
        options = {**bound.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 1}}
        with default_at(OPTIONS=options, CONN_MAX_AGE=0) as one:
            yield one
            one.close()
            one.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend alone

    @pytest.mark.parametrize("place", ["autocommit", "atomic inside", "atomic outside"])
    def test_g15_nothing_of_a_session_stays_in_djangos_pool(
        pool_of_one: BaseDatabaseWrapper, written: Written, place: str
    ) -> None:
        receipt = Receipt.objects.create(number="wrong")
        pid = number_of(pool_of_one, "SELECT pg_backend_pid()")
        if place == "atomic outside":
            with atomic(), session() as running:
                renumber(receipt, "right")
        else:
            with session() as running:
                if place == "atomic inside":
                    with atomic():
                        renumber(receipt, "right")
                else:
                    renumber(receipt, "right")
        assert written.changes(running.id) == [("UPDATE", "wrong", "right")]
        connections["default"].close()
        assert connection.connection is None
        assert number_of(pool_of_one, "SELECT pg_backend_pid()") == pid
        assert settings_now() == CLEAN
        assert is_protected(receipt)
