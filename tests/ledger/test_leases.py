"""A disable that ends is one row, open until somebody ends it, and live while its time runs."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from tests.damage import run
from tests.ledger.test_entries import HOSTILE
from trigger_ops.ledger.entries import Author
from trigger_ops.ledger.leases import ending, opening, read_leases
from trigger_ops.models import TriggerLease
from trigger_ops.states import Enabled

ADA = Author(actor="ada", reason="import")
PLACE = {"schema": "public", "table": "shop_order", "trigger": "pgtrigger_protect_0a1b2"}
HALF_AN_HOUR = dt.timedelta(minutes=30)

pytestmark = pytest.mark.django_db


def send(statement: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def open_lease(
    *,
    home: str = "public",
    author: Author = ADA,
    restore: Enabled = Enabled.ALWAYS,
    lasts: dt.timedelta = HALF_AN_HOUR,
    **place: str,
) -> uuid.UUID:
    lease_id = uuid.uuid4()
    statement = opening(
        home,
        lease_id=lease_id,
        uri="shop.Order:protect",
        restore=restore,
        author=author,
        lasts=lasts,
        **{**PLACE, **place},
    )
    send(statement)
    return lease_id


def test_an_open_lease_is_read_back() -> None:
    lease_id = open_lease()
    (lease,) = read_leases("default", "public")
    assert (lease.id, lease.uri, lease.database) == (lease_id, "shop.Order:protect", "default")
    assert lease.place == tuple(PLACE.values())
    assert (lease.restore, lease.holder, lease.reason) == (Enabled.ALWAYS, "ada", "import")
    assert lease.live
    drift = lease.expires - lease.since - HALF_AN_HOUR
    assert abs(drift) < dt.timedelta(seconds=5)
    assert abs(lease.since - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_of_a_lease_arrives_as_it_is(text: str) -> None:
    names = {"schema": text, "table": text, "trigger": text}
    open_lease(author=Author(actor=text, reason=text), **names)
    (lease,) = read_leases("default", "public")
    assert (*lease.place, lease.holder, lease.reason) == (text,) * 5
    send(ending("public", cause=text, **names))
    assert read_leases("default", "public") == ()
    assert TriggerLease.objects.get().end_cause == text


def test_a_lease_whose_time_is_up_is_open_and_not_live() -> None:
    open_lease(lasts=dt.timedelta(microseconds=1))
    (lease,) = read_leases("default", "public")
    assert not lease.live


def test_the_clock_decides_and_not_the_beginning_of_the_transaction() -> None:
    open_lease(lasts=dt.timedelta(milliseconds=300))
    assert [one.live for one in read_leases("default", "public")] == [True]
    run("SELECT pg_sleep(0.35)")
    assert [one.live for one in read_leases("default", "public")] == [False]


def test_another_lease_of_the_same_trigger_replaces_the_open_one() -> None:
    first = open_lease(lasts=dt.timedelta(seconds=1))
    second = open_lease()
    assert [one.id for one in read_leases("default", "public")] == [second]
    replaced = TriggerLease.objects.get(id=first)
    assert replaced.end_cause == "replaced"
    assert replaced.ended is not None


@pytest.mark.parametrize("part", PLACE)
def test_leases_of_other_triggers_stay(part: str) -> None:
    first = open_lease()
    second = open_lease(**{part: "another"})
    assert {one.id for one in read_leases("default", "public")} == {first, second}
    send(ending("public", cause="enable", **{**PLACE, part: "another"}))
    assert [one.id for one in read_leases("default", "public")] == [first]


def test_a_lease_is_ended_once() -> None:
    lease_id = open_lease()
    send(ending("public", cause="enable", **PLACE))
    send(ending("public", cause="again", **PLACE))
    lease = TriggerLease.objects.get(id=lease_id)
    assert (lease.end_cause, read_leases("default", "public")) == ("enable", ())
    assert lease.ended is not None
    assert lease.since <= lease.ended


def test_two_open_leases_of_one_trigger_cannot_be() -> None:
    open_lease()
    values = {"restore": "ENABLED", "expires": dt.datetime.now(dt.UTC), **PLACE}
    with pytest.raises(IntegrityError), transaction.atomic():
        TriggerLease.objects.create(id=uuid.uuid4(), **values)
    send(ending("public", cause="enable", **PLACE))
    TriggerLease.objects.create(id=uuid.uuid4(), **values)


@pytest.mark.parametrize("mode", [Enabled.DISABLED, Enabled.PARTIAL, Enabled.NOT_APPLICABLE])
def test_a_lease_cannot_restore_what_is_no_mode_to_go_back_to(mode: Enabled) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        open_lease(restore=mode)
    assert read_leases("default", "public") == ()


def test_a_lease_is_opened_in_the_schema_that_was_asked_for() -> None:
    run("CREATE SCHEMA tenant")
    table = TriggerLease._meta.db_table
    run(f"CREATE TABLE tenant.{table} (LIKE public.{table} INCLUDING ALL)")
    run("SET LOCAL search_path = pg_catalog")
    lease_id = open_lease(home="tenant")
    assert [one.id for one in read_leases("default", "tenant")] == [lease_id]
    assert read_leases("default", "public") == ()
    send(ending("tenant", cause="enable", **PLACE))
    assert read_leases("default", "tenant") == ()
