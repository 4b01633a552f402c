"""Which readings vouch for a database, as a pure function."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drift.making import HOUR, NOW
from trigger_ops.drift.vouching import (
    EVERYWHERE,
    Reading,
    covers,
    longest_age,
    needed,
    scope_words,
    vouching,
)
from trigger_ops.inspection import Scope

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
PATH, GLOB, OTHER = "", "--schema-glob tenant_*", "--schema-glob shop_*"
ONE, TWO, BOTH = "--schema a", "--schema b", "--schema a --schema b"
SCOPES = (EVERYWHERE, PATH, GLOB, OTHER, ONE, TWO, BOTH)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope(), PATH),
        (Scope(glob="*"), EVERYWHERE),
        (Scope(glob="tenant_*"), GLOB),
        (Scope(path=("a", "b")), BOTH),
    ],
)
def test_a_scope_is_kept_in_words(scope: Scope, words: str) -> None:
    assert scope_words(scope) == words


WIDER = {
    (EVERYWHERE, PATH),
    *((wide, named) for wide in (EVERYWHERE, PATH, GLOB, OTHER) for named in (ONE, TWO, BOTH)),
    *((EVERYWHERE, glob) for glob in (GLOB, OTHER)),
    *((BOTH, named) for named in (ONE, TWO)),
}


@pytest.mark.parametrize("wide", SCOPES)
@pytest.mark.parametrize("narrow", SCOPES)
def test_what_sees_all_that_another_sees_covers_it(wide: str, narrow: str) -> None:
    assert covers(wide, narrow) == (wide == narrow or (wide, narrow) in WIDER)


def test_the_order_of_named_schemas_is_none() -> None:
    assert covers("--schema b --schema a", BOTH)


def read(scope: str, ago: dt.timedelta, database: str = "default") -> Reading:
    return Reading(database=database, scope=scope, ended=NOW - ago)


def test_a_database_is_as_fresh_as_the_widest_it_was_ever_read() -> None:
    wide, narrow = read(EVERYWHERE, DAY), read(PATH, MINUTE)
    assert vouching([wide, narrow, read(ONE, MINUTE)]) == {"default": wide}
    newer = read(EVERYWHERE, HOUR)
    assert vouching([newer, wide, narrow]) == {"default": newer}
    assert needed([wide, narrow, newer]) == [newer]


def test_what_do_not_cover_each_other_are_both_needed() -> None:
    some, others = read(GLOB, MINUTE), read(OTHER, HOUR)
    assert vouching([some, others]) == {"default": others}
    assert needed([some, others]) == [some, others]


def test_the_same_schemas_in_another_order_are_the_same() -> None:
    old, new = read(BOTH, HOUR), read("--schema b --schema a", MINUTE)
    assert vouching([old, new]) == {"default": new}


def test_each_database_has_its_own() -> None:
    here, there = read(PATH, HOUR), read(EVERYWHERE, MINUTE, "archive")
    assert vouching([here, there]) == {"default": here, "archive": there}
    assert vouching([]) == {}


@given(
    st.lists(st.tuples(st.sampled_from(SCOPES), st.integers(0, 5)), min_size=1),
    st.sampled_from(SCOPES),
)
def test_a_reading_of_less_makes_nothing_fresher(
    readings: list[tuple[str, int]], scope: str
) -> None:
    before = [read(one, ago * HOUR) for one, ago in readings]
    (was,) = vouching(before).values()
    (now,) = vouching([*before, read(scope, -MINUTE)]).values()
    widest = {one.scope for one in needed(before)}
    if now.ended > was.ended:
        assert any(covers(scope, one) for one in widest)
    if all(covers(scope, one) for one in widest):
        assert now.ended == NOW + MINUTE


@pytest.mark.parametrize(
    ("hours", "limit"),
    [
        ([], DAY),
        ([1], DAY),
        ([1, 2, 3], 3 * HOUR),
        ([1, 2, 3, 300], 3 * HOUR),
        ([0, 0.01, 0.02], 15 * MINUTE),
    ],
)
def test_a_reading_may_be_three_intervals_old(hours: list[float], limit: dt.timedelta) -> None:
    found = longest_age([NOW - one * HOUR for one in hours], alone=DAY)
    assert abs(found - limit) < dt.timedelta(seconds=1)
