"""What a subscription writes here was written, and judged, on another server: it is on nobody's record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.embedded import account as accounts
from demo_site.embedded import binaries, server
from tests.database.acts import (
    RECEIPT,
    STATEMENT,
    close,
    do,
    ignoring,
    in_session,
    one,
    open_session,
    policy,
    refused,
    rows_on_record,
    transaction,
)
from tests.guard.conftest import guard
from tests.programs import run_on
from tests.weaknesses.conftest import OwnServer, _maintain, default_at, own_server
from trigger_ops import api

__all__ = ["own_server"]

LOGICAL = ("wal_level = logical", "max_logical_replication_workers = 4", "max_wal_senders = 4")


@pytest.fixture
def settings(own_server: OwnServer, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Return how to reach the databases `here` and `there` of a server that replicates."""
    with django_db_blocker.unblock():
        with default_at(**own_server.settings()) as connection:
            for setting in LOGICAL:
                do(connection, f"ALTER SYSTEM SET {setting}")
        owner = accounts.owner_of(own_server.data, accounts.current())
        usable = binaries.within_reach(binaries.find(), owner, own_server.home)
        server.stop(own_server.data)
        found = own_server.settings(server.start(own_server.data, usable, owner, durable=False))
        yield found
        with default_at(**{**found, "NAME": "postgres"}) as connection:
            for name in ("here", "there"):
                _maintain("DROP DATABASE IF EXISTS {name} WITH (FORCE)", name)


@contextlib.contextmanager
def subscribing(
    settings: dict[str, Any], slot: str, *, copies: bool = False
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be the database `here`, which subscribes to what `there` publishes."""
    address = " ".join(
        f"{key}={settings[name]}"
        for key, name in {"host": "HOST", "port": "PORT", "user": "USER"}.items()
    )
    with default_at(**{**settings, "NAME": "there"}) as source:
        # On one server, the slot has to be there before.
        do(source, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
    with default_at(**{**settings, "NAME": "here"}) as here:
        do(
            here,
            f"CREATE SUBSCRIPTION {slot} CONNECTION '{address} password={settings['PASSWORD']} "
            f"dbname=there' PUBLICATION {slot} WITH (create_slot = false, copy_data = {copies})",
        )
        yield here
        do(here, f"ALTER SUBSCRIPTION {slot} DISABLE")
        do(here, f"ALTER SUBSCRIPTION {slot} SET (slot_name = NONE)")
        do(here, f"DROP SUBSCRIPTION {slot}")
    with default_at(**{**settings, "NAME": "there"}) as source:
        wait(source, "SELECT NOT active FROM pg_replication_slots")
        do(source, "SELECT pg_drop_replication_slot(%s)", slot)


@pytest.fixture
def subscribed(settings: dict[str, Any]) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a guarded database that subscribes to tables of another one, without ours."""
    with default_at(**{**settings, "NAME": "postgres"}):
        _maintain("CREATE DATABASE {name} TEMPLATE {template}", "here", template="weak")
        _maintain("CREATE DATABASE {name}", "there")
    with default_at(**{**settings, "NAME": "there"}) as source:
        do(source, "CREATE TABLE past_receipt (id bigint PRIMARY KEY, number varchar(16))")
        do(source, "CREATE PUBLICATION receipts FOR ALL TABLES")
    with default_at(**{**settings, "NAME": "here"}):
        assert not guard().failed
    with subscribing(settings, "receipts") as here:
        yield here


def wait(connection: BaseDatabaseWrapper, question: str) -> None:
    until = time.monotonic() + 60
    while not one(connection, question):
        assert time.monotonic() < until, question
        time.sleep(0.05)


def test_what_a_subscription_writes_is_nobodys(subscribed: BaseDatabaseWrapper) -> None:
    with default_at(**{**subscribed.settings_dict, "NAME": "there"}) as source:
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


def test_what_a_subscription_empties_or_json_does_not_take_stops_nothing(
    subscribed: BaseDatabaseWrapper,
) -> None:
    do(subscribed, "ALTER TABLE past_receipt ADD COLUMN raw json")
    with default_at(**{**subscribed.settings_dict, "NAME": "there"}) as source:
        do(source, "ALTER TABLE past_receipt ADD COLUMN raw json")
        do(source, "INSERT INTO past_receipt VALUES (1, 'a', NULL)")
        do(source, "TRUNCATE past_receipt")
        do(source, "INSERT INTO past_receipt VALUES (2, 'b', %s)", r'{"a": "\u0000"}')
    wait(subscribed, "SELECT array_agg(number) = '{b}' FROM past_receipt")
    assert rows_on_record(subscribed) == []
    # The same by hand is somebody's.
    do(subscribed, "SET session_replication_role = replica")
    with refused("22P05"):
        do(subscribed, "UPDATE past_receipt SET number = 'c'")
    do(subscribed, "TRUNCATE past_receipt")
    assert [row.op for row in rows_on_record(subscribed)] == ["TRUNCATE"]


OURS = (
    *("session", "review", "sessionevent", "sessiontransaction", "decision", "change"),
    *("guard", "policy", "guardchange"),
)
"""Our tables that a trigger of ours writes or changes."""


def contents(connection: BaseDatabaseWrapper) -> dict[str, list[Any]]:
    return {
        table: do(connection, f"SELECT to_jsonb(t)::text FROM trigger_ops_{table} t ORDER BY 1")
        for table in OURS
    }


def test_a_guarded_database_is_replicated_as_it_is(settings: dict[str, Any]) -> None:
    """From what is there when the subscription begins to the end of a session."""
    with default_at(**{**settings, "NAME": "postgres"}):
        _maintain("CREATE DATABASE {name} TEMPLATE {template}", "there", template="weak")
        _maintain("CREATE DATABASE {name}", "here")
    with default_at(**{**settings, "NAME": "there"}) as source:
        assert not guard().failed
        do(source, "INSERT INTO past_receipt (id, number) VALUES (1, 'a'), (2, 'b')")
        policy(source, "session", RECEIPT)
        early = open_session(source, RECEIPT)
        with in_session(source, early):
            do(source, "UPDATE past_receipt SET number = 'early' WHERE id = 1")
        do(source, "CREATE PUBLICATION everything FOR ALL TABLES")
        schema = run_on("there", "pg_dump", "--schema-only", "--no-publications")
        kept = [line for line in schema.splitlines() if not line.startswith("\\")]
        with default_at(**{**settings, "NAME": "here"}) as here:
            do(here, "\n".join(kept))
    with subscribing(settings, "everything", copies=True) as here:
        wait(here, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
        with default_at(**{**settings, "NAME": "there"}) as source:
            late = open_session(source, RECEIPT, STATEMENT, needs=1)
            do(source, "SELECT trigger_ops_review(%s, 'user:bob', '', 'approve', '')", late)
            with in_session(source, late):
                do(source, "UPDATE past_receipt SET number = 'late' WHERE id = 2")
            close(source, late, "ended")
            policy(source, "record", STATEMENT)
            with transaction(source):
                do(source, ignoring(STATEMENT))
                do(
                    source,
                    "INSERT INTO tutorial_statementprotect (int_field, dt_field) VALUES (1, now())",
                )
                do(source, "UPDATE tutorial_statementprotect SET int_field = 2")
            do(source, "TRUNCATE tutorial_statementprotect")
            do(source, "UPDATE past_invoice SET number = 'last' WHERE false")
            do(source, "INSERT INTO past_receipt (id, number) VALUES (3, 'last')")
            there = contents(source)
        wait(here, "SELECT EXISTS (SELECT FROM past_receipt WHERE number = 'last')")
        assert contents(here) == there
        assert one(here, "SELECT array_agg(number ORDER BY id) FROM past_receipt") == [
            *("early", "late", "last"),
        ]
        # By hand nobody is let past these rules.
        do(here, "SET session_replication_role = replica")
        columns = one(
            here,
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attnum > 1 "
            "AND attrelid = 'trigger_ops_session'::regclass AND NOT attisdropped",
        )
        do(
            here,
            f"INSERT INTO trigger_ops_session (id, {columns}) SELECT 99, {columns} FROM "
            "jsonb_populate_record(NULL::trigger_ops_session, (SELECT to_jsonb(s) || "
            """'{"state": "active"}' FROM trigger_ops_session s WHERE id = %s))""",
            late,
        )
        assert one(here, "SELECT state FROM trigger_ops_session WHERE id = 99") == "abandoned"
        with refused("TO013"):
            do(here, "UPDATE trigger_ops_session SET state = 'active' WHERE id = 99")
        with refused("TO015"):
            do(
                here,
                "INSERT INTO trigger_ops_review (session_id, reviewer, verdict) "
                "VALUES (99, 'user:eve', 'approve')",
            )
        changes = len(there["guardchange"])
        do(here, "SELECT setval('trigger_ops_guardchange_id_seq', 1000)")
        do(here, "UPDATE trigger_ops_guard SET policy = 'open'")
        assert one(here, "SELECT count(*) FROM trigger_ops_guardchange") == changes + 1
