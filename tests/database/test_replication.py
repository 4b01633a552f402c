"""What a subscription writes here was written, and judged, on another server: it is on nobody's record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.embedded import account as accounts
from demo_site.embedded import binaries, server
from tests.database.acts import do, one, rows_on_record
from tests.guard.conftest import guard
from tests.weaknesses.conftest import OwnServer, _maintain, default_at, own_server
from trigger_ops import api

__all__ = ["own_server"]

LOGICAL = ("wal_level = logical", "max_logical_replication_workers = 4", "max_wal_senders = 4")


@pytest.fixture
def subscribed(own_server: OwnServer, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a guarded database that subscribes to receipts of another one."""
    with django_db_blocker.unblock():
        with default_at(**own_server.settings()) as connection:
            for setting in LOGICAL:
                do(connection, f"ALTER SYSTEM SET {setting}")
        owner = accounts.owner_of(own_server.data, accounts.current())
        usable = binaries.within_reach(binaries.find(), owner, own_server.home)
        server.stop(own_server.data)
        restarted = server.start(own_server.data, usable, owner, durable=False)
        settings = own_server.settings(restarted)
        with default_at(**{**settings, "NAME": "postgres"}):
            _maintain("CREATE DATABASE {name} TEMPLATE {template}", "here", template="weak")
            _maintain("CREATE DATABASE {name}", "there")
        with default_at(**{**settings, "NAME": "there"}) as source:
            do(source, "CREATE TABLE past_receipt (id bigint PRIMARY KEY, number varchar(16))")
            do(source, "CREATE PUBLICATION receipts FOR ALL TABLES")
            do(source, "SELECT pg_create_logical_replication_slot('receipts', 'pgoutput')")
        with default_at(**{**settings, "NAME": "here"}) as here:
            assert not guard().failed
            address = " ".join(
                f"{key}={settings[name]}"
                for key, name in {"host": "HOST", "port": "PORT", "user": "USER"}.items()
            )
            # On one server, the slot has to be there before.
            do(
                here,
                f"CREATE SUBSCRIPTION receipts CONNECTION '{address} password={settings['PASSWORD']} "
                "dbname=there' PUBLICATION receipts WITH (create_slot = false, copy_data = false)",
            )
            yield here
            do(here, "ALTER SUBSCRIPTION receipts DISABLE")
            do(here, "ALTER SUBSCRIPTION receipts SET (slot_name = NONE)")
            do(here, "DROP SUBSCRIPTION receipts")
        with default_at(**{**settings, "NAME": "postgres"}) as connection:
            drop = "SELECT pg_drop_replication_slot('receipts')"
            wait(connection, "SELECT NOT active FROM pg_replication_slots")
            do(connection, drop)
            for name in ("here", "there"):
                _maintain("DROP DATABASE {name} WITH (FORCE)", name)


def wait(connection: BaseDatabaseWrapper, question: str) -> None:
    until = time.monotonic() + 60
    while not one(connection, question):
        assert time.monotonic() < until, question
        time.sleep(0.05)


def test_what_a_subscription_writes_is_nobodys(subscribed: BaseDatabaseWrapper) -> None:
    settings = subscribed.settings_dict
    with default_at(**{**settings, "NAME": "there"}) as source:
        do(source, "INSERT INTO past_receipt VALUES (1, 'a'), (2, 'b')")
        do(source, "UPDATE past_receipt SET number = 'c' WHERE id = 1")
        do(source, "DELETE FROM past_receipt WHERE id = 2")
    wait(subscribed, "SELECT array_agg(number) = '{c}' FROM past_receipt")
    assert rows_on_record(subscribed) == []
    # The same by hand is somebody's.
    do(subscribed, "SET session_replication_role = replica")
    do(subscribed, "UPDATE past_receipt SET number = 'd'")
    do(subscribed, "RESET session_replication_role")
    assert [(row.op, row.cause) for row in rows_on_record(subscribed)] == [("UPDATE", "replica")]
    findings = api.check(databases=["default"]).findings
    assert "trigger_ops.I012" in {found.id for found in findings}
