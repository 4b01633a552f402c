"""Allowances are of one finding as it is, and end by themselves or by hand."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db.models import F
from django.test import override_settings

from tests.drift.making import make_finding, record_of
from trigger_ops.ledger.allowances import end_allowance, read_allowances, write_allowance
from trigger_ops.ledger.recording import recording
from trigger_ops.models import Allowance
from trigger_ops.records import AllowanceRecord

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
RECORD = record_of(make_finding())


def allow(lasts: dt.timedelta = HOUR, database: str = "default") -> AllowanceRecord:
    record = record_of(make_finding(database=database))
    with recording() as book:
        return write_allowance(book, record, owner="ann", reason="INC-12: known", lasts=lasts)


def numbers(*databases: str, live: bool = True) -> list[int]:
    with recording() as book:
        return [one.id for one in read_allowances(book, databases or None, live=live)]


@pytest.mark.parametrize("use_tz", [True, False])
def test_an_allowance_is_of_one_finding_as_it_is(use_tz: bool) -> None:
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Europe/Berlin"):
        made = allow()
        with recording() as book:
            assert read_allowances(book) == [made]
            assert made.is_live(book.now)
            assert not made.is_live(made.expires)
    assert (made.key, made.digest, made.code) == (RECORD.key, RECORD.digest, RECORD.code)
    assert made.expires - made.since == HOUR
    assert (made.owner, made.reason, made.ended, made.ended_by) == (
        "ann",
        "INC-12: known",
        None,
        "",
    )


def test_what_is_over_is_no_more_live_but_is_kept() -> None:
    made, other = allow(), allow()
    Allowance.objects.filter(pk=made.id).update(expires=F("since"))
    assert numbers() == [other.id]
    assert numbers(live=False) == [made.id, other.id]


def test_allowances_are_read_by_database() -> None:
    here, there = allow(), allow(database="archive")
    assert numbers("default") == [here.id]
    assert numbers("archive") == [there.id]
    assert numbers("default", "archive") == [here.id, there.id]


def test_one_that_is_live_can_be_ended_once() -> None:
    made = allow()
    with recording() as book:
        ended = end_allowance(book, made.id, by="os:bob@web1")
        assert ended is not None
        assert (ended.ended, ended.ended_by) == (book.now, "os:bob@web1")
        assert not ended.is_live(book.now)
    assert numbers() == []
    with recording() as book:
        assert end_allowance(book, made.id, by="os:eve@web1") is None
    assert Allowance.objects.get().ended_by == "os:bob@web1"


@pytest.mark.parametrize("number", [0, -1, 2**62])
def test_there_is_none_of_that_number(number: int) -> None:
    with recording() as book:
        assert end_allowance(book, number, by="os:bob@web1") is None


def test_one_that_has_expired_cannot_be_ended() -> None:
    made = allow(-HOUR)
    with recording() as book:
        assert end_allowance(book, made.id, by="os:bob@web1") is None
