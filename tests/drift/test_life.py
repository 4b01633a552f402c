"""What becomes of findings from one check to the next, as a pure function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drift.making import (
    HOUR,
    NOW,
    allowance_of,
    in_tenants,
    kept,
    make_finding,
    record_of,
)
from trigger_ops.drift import Finding
from trigger_ops.drift.finding import grouped
from trigger_ops.drift.freshness import remembered
from trigger_ops.drift.life import Seen, Step, by_key, follow
from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.states import EventKind, Facet

FINDING = make_finding()
OTHER = make_finding("another thing")
ALLOWED = {"allowed": True, "told_count": 1}
NEVER_TOLD = {"allowed": True, "told_count": 0}
OVER = {"expires": NOW}
ENDED = {"ended": NOW - HOUR / 2}


def followed(
    before: FindingRecord | None,
    found: Finding | None,
    *allowances: AllowanceRecord,
    **seen: Any,
) -> Step | None:
    """Return the one step of a check that saw one finding, or none."""
    steps = list(
        follow(
            [before] if before is not None else [],
            Seen(findings=by_key([found] if found is not None else []), **seen),
            allowances,
            now=NOW,
        )
    )
    assert len(steps) <= 1
    return steps[0] if steps else None


STEPS: dict[str, tuple[Any, ...]] = {
    # name: what was recorded, what is seen, allowances, kind, told
    "new": (None, FINDING, [], EventKind.OPENED, True),
    "new and allowed": (None, FINDING, [allowance_of(FINDING)], EventKind.OPENED, False),
    "seen again": (record_of(FINDING), FINDING, [], None, False),
    "other digest": (record_of(FINDING), OTHER, [], EventKind.CHANGED, True),
    "allowed now": (
        record_of(FINDING),
        FINDING,
        [allowance_of(FINDING)],
        EventKind.ALLOWED,
        False,
    ),
    "still allowed": (
        record_of(FINDING, **ALLOWED),
        FINDING,
        [allowance_of(FINDING)],
        None,
        False,
    ),
    "allowance of the old digest": (
        record_of(FINDING, **ALLOWED),
        OTHER,
        [allowance_of(FINDING)],
        EventKind.CHANGED,
        True,
    ),
    "changed to what is allowed": (
        record_of(OTHER),
        FINDING,
        [allowance_of(FINDING)],
        EventKind.ALLOWED,
        False,
    ),
    "allowance of another digest": (
        record_of(FINDING),
        FINDING,
        [allowance_of(OTHER)],
        None,
        False,
    ),
    "new, and another digest is allowed": (
        None,
        FINDING,
        [allowance_of(OTHER)],
        EventKind.OPENED,
        True,
    ),
    "allowance of another key": (
        record_of(FINDING),
        FINDING,
        [allowance_of(FINDING, key="0" * 64)],
        None,
        False,
    ),
    "allowance over": (
        record_of(FINDING, **ALLOWED),
        FINDING,
        [allowance_of(FINDING, **OVER)],
        EventKind.RETURNED,
        True,
    ),
    "allowance ended by hand": (
        record_of(FINDING, **ALLOWED),
        FINDING,
        [allowance_of(FINDING, **ENDED)],
        EventKind.RETURNED,
        True,
    ),
    "allowance gone": (record_of(FINDING, **ALLOWED), FINDING, [], EventKind.RETURNED, True),
    "one of two allowances over": (
        record_of(FINDING, **ALLOWED),
        FINDING,
        [allowance_of(FINDING, **OVER), allowance_of(FINDING)],
        None,
        False,
    ),
    "never told, and the allowance over": (
        record_of(FINDING, **NEVER_TOLD),
        FINDING,
        [],
        EventKind.RETURNED,
        True,
    ),
    "gone": (record_of(FINDING), None, [], EventKind.RESOLVED, True),
    "gone while allowed": (
        record_of(FINDING, **ALLOWED),
        None,
        [allowance_of(FINDING)],
        EventKind.RESOLVED,
        False,
    ),
    "gone, and nobody was told": (
        record_of(FINDING, **NEVER_TOLD),
        None,
        [],
        EventKind.RESOLVED,
        False,
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_one_step(case: str) -> None:
    before, found, allowances, kind, told = STEPS[case]
    step = followed(before, found, *allowances)
    assert step is not None
    assert (step.kind, step.told) == (kind, told)
    assert (step.before, step.after) == (before, found)
    live = {(one.key, one.digest) for one in allowances if one.is_live(NOW)}
    assert step.allowed == (found is not None and (step.key, found.digest) in live)


def test_of_nothing_nothing_comes() -> None:
    assert followed(None, None) is None


COUNTS: dict[str, tuple[int, int, int, bool]] = {
    # name: told, before, now, grew
    "one more": (1, 1, 1, False),
    "doubled": (1, 1, 2, True),
    "almost doubled": (10, 10, 19, False),
    "doubled slowly": (10, 19, 20, True),
    "more than doubled": (10, 12, 2000, True),
    "fewer": (2000, 2000, 1, False),
    "fewer, then as many as were told": (2000, 1, 2000, False),
}


@pytest.mark.parametrize("case", COUNTS)
def test_a_count_grows_silently_until_it_has_doubled(case: str) -> None:
    told, before, now, grew = COUNTS[case]
    record = record_of(in_tenants(before), told_count=told)
    step = followed(record, in_tenants(now))
    assert step is not None
    assert (step.kind, step.told) == ((EventKind.GREW, True) if grew else (None, False))
    assert (step.count, len(step.schemas)) == (now, now)


def test_people_are_told_of_growth_once_a_doubling() -> None:
    record, told = record_of(in_tenants(1)), []
    for number in range(1, 2001):
        step = followed(record, in_tenants(number))
        assert step is not None
        after = kept(step)
        assert after is not None
        record = after
        if step.told:
            told.append(number)
    assert told == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


def test_what_an_allowance_covers_grows_in_silence_and_returns_with_its_count() -> None:
    few, more = in_tenants(30), in_tenants(59)
    step = followed(record_of(few, **ALLOWED), more, allowance_of(few))
    assert step is not None
    assert (step.kind, step.told, step.allowed) == (None, False, True)
    after = kept(step)
    assert after is not None
    returned = followed(after, more)
    assert returned is not None
    assert (returned.kind, returned.told, returned.count) == (EventKind.RETURNED, True, 59)


GROWN: dict[str, tuple[int, int, int, bool, EventKind | None]] = {
    # name: allowed for, before, now, covered before, kind
    "a second tenant": (1, 1, 2, True, EventKind.GREW),
    "twice as many": (30, 59, 60, True, EventKind.GREW),
    "one fewer than that": (30, 58, 59, True, None),
    "still far more": (30, 60, 61, False, None),
    "doubled once more": (30, 60, 120, False, EventKind.GREW),
    "fewer again": (30, 60, 59, False, EventKind.ALLOWED),
    "given when nobody counted": (0, 1, 2000, True, None),
}


@pytest.mark.parametrize("case", GROWN)
def test_an_allowance_covers_less_than_twice_what_it_was_given_for(case: str) -> None:
    given_for, before, now, was_covered, kind = GROWN[case]
    record = record_of(in_tenants(before), allowed=was_covered)
    allowance = allowance_of(in_tenants(now), count=given_for)
    step = followed(record, in_tenants(now), allowance)
    assert step is not None
    covered = given_for == 0 or now < 2 * given_for
    assert (step.kind, step.allowed) == (kind, covered)
    assert step.told == (kind is EventKind.GREW)


def test_an_allowance_that_was_outgrown_does_not_hide_a_change() -> None:
    record = record_of(in_tenants(2), **ALLOWED)
    changed = in_tenants(4, "another thing")
    step = followed(record, changed, allowance_of(in_tenants(2)))
    assert step is not None
    assert (step.kind, step.told) == (EventKind.CHANGED, True)


def test_the_newer_of_two_allowances_counts_for_more() -> None:
    few, many = allowance_of(in_tenants(1)), allowance_of(in_tenants(50))
    step = followed(record_of(in_tenants(1), **ALLOWED), in_tenants(60), few, many)
    assert step is not None
    assert (step.kind, step.allowed) == (None, True)


# What a check could not see -------------------------------------------------------------------

STAYS: dict[str, dict[str, Any]] = {
    "its trigger could not be judged": {"unread": frozenset({(FINDING.table, FINDING.trigger)})},
    "nothing could be said of its ID": {"blind": frozenset({"trigger_ops.C001"})},
    "its schema was not looked at": {"schemas": frozenset({"other"})},
    "no schema was looked at": {"schemas": frozenset()},
    "the selector left it out": {"uris": frozenset({"past.Payroll:read_only"})},
}
ENDS: dict[str, dict[str, Any]] = {
    "everything was looked at": {},
    "another trigger could not be judged": {"unread": frozenset({("past_invoice", "other")})},
    "the trigger of another table could not be judged": {
        "unread": frozenset({("other", FINDING.trigger)})
    },
    "nothing could be said of another ID": {"blind": frozenset({"trigger_ops.C007"})},
    "its schema was looked at, or is gone": {"schemas": frozenset({"public", "other"})},
    "its model names its schema": {
        "schemas": frozenset({"other"}),
        "tables": frozenset({("public", "past_invoice")}),
    },
    "the selector has it": {"uris": frozenset({FINDING.uri})},
}


@pytest.mark.parametrize("case", STAYS)
def test_what_could_not_be_seen_stays_open(case: str) -> None:
    assert followed(record_of(FINDING), None, **STAYS[case]) is None


@pytest.mark.parametrize("case", ENDS)
def test_what_would_have_been_seen_is_resolved(case: str) -> None:
    step = followed(record_of(FINDING), None, **ENDS[case])
    assert step is not None
    assert (step.kind, step.told, step.after) == (EventKind.RESOLVED, True, None)


def test_a_table_of_that_name_in_a_third_schema_says_nothing() -> None:
    seen = {"schemas": frozenset({"other"}), "tables": frozenset({("third", "past_invoice")})}
    assert followed(record_of(FINDING), None, **seen) is None


def test_what_is_about_the_search_path_resolves_by_a_look_along_it() -> None:
    record = record_of(make_finding(id="trigger_ops.W013", uri=None, trigger=None))
    elsewhere = {"schemas": frozenset({"other"})}
    assert followed(record, None, **elsewhere) is None
    step = followed(record, None, **elsewhere, own_path=True)
    assert step is not None
    assert step.kind is EventKind.RESOLVED
    assert followed(record_of(FINDING), None, **elsewhere, own_path=True) is None


ABOUT_THE_DATABASE = make_finding(
    id="trigger_ops.C002", uri=None, schema="tenant", schemas=("tenant",), table=None, trigger=None
)
STRANGERS_TRIGGER = make_finding(
    id="trigger_ops.C003", uri=None, schema="far", schemas=("far",), table="t", trigger="meddler"
)


@pytest.mark.parametrize("finding", [ABOUT_THE_DATABASE, STRANGERS_TRIGGER])
def test_what_is_looked_for_everywhere_resolves_wherever_one_looks(finding: Finding) -> None:
    step = followed(record_of(finding), None, schemas=frozenset({"public"}))
    assert step is not None
    assert step.kind is EventKind.RESOLVED


@pytest.mark.parametrize("finding", [ABOUT_THE_DATABASE, STRANGERS_TRIGGER])
def test_a_selector_resolves_nothing_that_is_about_no_trigger_of_the_code(
    finding: Finding,
) -> None:
    assert followed(record_of(finding), None, uris=frozenset({FINDING.uri})) is None


def test_tenants_that_were_not_looked_at_still_count() -> None:
    here = in_tenants(1)
    step = followed(record_of(in_tenants(50)), here, schemas=frozenset({"tenant_0000"}))
    assert step is not None
    assert (step.kind, step.count, len(step.schemas)) == (None, 50, 50)


def test_tenants_that_were_looked_at_and_show_nothing_count_no_more() -> None:
    looked = frozenset(f"tenant_{one:04}" for one in range(50))
    step = followed(record_of(in_tenants(50)), in_tenants(2), schemas=looked)
    assert step is not None
    assert (step.kind, step.count, len(step.schemas)) == (None, 2, 2)


def test_a_finding_ends_with_its_last_tenant() -> None:
    record = record_of(in_tenants(3))
    assert followed(record, None, schemas=frozenset({"tenant_0000", "tenant_0001"})) is None
    step = followed(record, None, schemas=frozenset(record.schemas))
    assert step is not None
    assert step.kind is EventKind.RESOLVED


# Tenants that do not show the same --------------------------------------------------------------

TENANTS = tuple(f"tenant_{one:04}" for one in range(4))


def look_at(world: dict[str, str], scope: Iterable[str] | None) -> Seen:
    """Return what a check of some schemas, or all, sees where each shows what it shows."""
    shown = [
        make_finding(
            what, schema=schema, schemas=(schema,), message=f"It is {what}.", facets=(facet,)
        )
        for (schema, what), facet in zip(sorted(world.items()), Facet, strict=False)
        if scope is None or schema in scope
    ]
    return Seen(
        findings=by_key(grouped(shown)), schemas=None if scope is None else frozenset(scope)
    )


def test_a_narrow_check_of_tenants_that_show_two_things_changes_nothing() -> None:
    world = {"tenant_0000": "one", "tenant_0001": "one", "tenant_0002": "another"}
    (opened,) = follow([], look_at(world, None), now=NOW)
    record = kept(opened)
    assert record is not None
    allowance = allowance_of(remembered(record))
    for scope in (["tenant_0000"], ["tenant_0002", "tenant_0003"], None, ["tenant_0003"]):
        for step in follow([record], look_at(world, scope), now=NOW):
            assert (step.kind, step.told, kept(step)) == (None, False, record)
        for step in follow([record], look_at(world, scope), [allowance], now=NOW):
            assert (step.kind, step.allowed) == (EventKind.ALLOWED, True)


def test_a_narrow_check_changes_what_it_saw() -> None:
    world = {"tenant_0000": "one", "tenant_0001": "another"}
    (opened,) = follow([], look_at(world, None), now=NOW)
    record = kept(opened)
    assert record is not None
    world["tenant_0001"] = "one"
    (step,) = follow([record], look_at(world, ["tenant_0001"]), now=NOW)
    (wide,) = follow([record], look_at(world, None), now=NOW)
    assert step.after is not None
    assert wide.after is not None
    assert (step.kind, step.after.digest) == (EventKind.CHANGED, wide.after.digest)
    assert (step.count, step.schemas) == (2, ("tenant_0000", "tenant_0001"))
    assert {*step.after.facets} >= {*wide.after.facets}


def test_places_of_one_schema_that_was_not_looked_at_count_each() -> None:
    both = [make_finding(seen, schema="b", schemas=("b",)) for seen in ("one", "one", "else")]
    here = make_finding("one", schema="a", schemas=("a",))
    (opened,) = follow([], Seen(findings=by_key([here, *both])), now=NOW)
    record = kept(opened)
    assert record is not None
    assert record.count == 4
    seen = Seen(findings=by_key([here]), schemas=frozenset({"a"}))
    (step,) = follow([record], seen, now=NOW)
    assert (step.kind, step.count, kept(step)) == (None, 4, record)


def test_a_place_that_could_not_be_judged_shows_what_it_showed() -> None:
    record = record_of(in_tenants(3), told_count=1)
    place = ("tenant_0002", FINDING.table or "", FINDING.trigger or "")
    unread = {"unread": frozenset({place[1:]}), "unread_in": frozenset({place})}
    step = followed(record, in_tenants(2), **unread)
    assert step is not None
    assert (step.kind, step.count, len(step.schemas)) == (EventKind.GREW, 3, 3)
    step = followed(record_of(in_tenants(3)), in_tenants(2), **unread)
    assert step is not None
    assert (step.kind, step.count) == (None, 3)


def test_what_was_recorded_before_places_were_kept_is_taken_to_show_the_same() -> None:
    record = record_of(in_tenants(3))
    assert record.places == ()
    step = followed(record, in_tenants(1), schemas=frozenset({"tenant_0000"}))
    assert step is not None
    assert (step.kind, step.count) == (None, 3)


WORLDS = st.dictionaries(
    st.sampled_from(TENANTS), st.sampled_from(["one", "two", "three"]), min_size=1
)


@given(WORLDS, st.lists(st.sets(st.sampled_from(TENANTS)), max_size=6))
def test_however_narrow_checks_are_a_world_that_stays_makes_no_event(
    world: dict[str, str], scopes: list[set[str]]
) -> None:
    (opened,) = follow([], look_at(world, None), now=NOW)
    record = kept(opened)
    for scope in [*scopes, None]:
        assert record is not None
        for step in follow([record], look_at(world, scope), now=NOW):
            assert step.kind is None
            assert kept(step) == record


# Several findings about one thing -------------------------------------------------------------


def test_two_ways_of_damage_in_tenants_are_one_finding_that_says_so() -> None:
    first = make_finding(
        schemas=("a", "b"), count=2, facets=(Facet.EVENTS,), message="The events differ."
    )
    second = make_finding(
        "else", schemas=("c",), facets=(Facet.CONDITION,), message="The condition differs."
    )
    (merged,) = by_key([first, second]).values()
    assert (merged.schemas, merged.count) == (("a", "b", "c"), 3)
    assert merged.facets == (Facet.CONDITION, Facet.EVENTS)
    assert merged.message == "The events differ. And 1 more like it."
    assert merged.digest not in (first.digest, second.digest)
    (again,) = by_key([second, first]).values()
    assert again.digest == merged.digest


def test_a_message_that_differs_in_its_schema_alone_is_no_other_message() -> None:
    both = [
        make_finding(schema=schema, schemas=(schema,), message=f"Table {schema}.t has no trigger.")
        for schema in ("one", "two")
    ]
    (merged,) = by_key(both).values()
    assert (merged.message, merged.count) == ("Table one.t has no trigger.", 2)


# Any sequence of checks -----------------------------------------------------------------------

THINGS = st.dictionaries(
    st.sampled_from(["past_invoice", "past_payroll", "past_receipt"]),
    st.tuples(st.sampled_from(["one", "two"]), st.integers(1, 5)),
)


@given(st.lists(THINGS, max_size=12))
def test_whatever_is_seen_the_open_findings_are_those_of_the_last_look(
    looks: list[dict[str, tuple[str, int]]],
) -> None:
    open_now: dict[str, FindingRecord] = {}
    told: dict[str, list[EventKind]] = {}
    for look in looks:
        found = by_key(
            in_tenants(number, seen, table=table) for table, (seen, number) in look.items()
        )
        steps = list(follow(list(open_now.values()), Seen(findings=found), now=NOW))
        assert len({step.key for step in steps}) == len(steps)
        for step in steps:
            assert (step.before is None) == (step.key not in open_now)
            after = kept(step)
            if after is None:
                del open_now[step.key]
            else:
                open_now[step.key] = after
            if step.told:
                assert step.kind is not None
                told.setdefault(step.key, []).append(step.kind)
        assert {key: (one.digest, one.count) for key, one in open_now.items()} == {
            key: (one.digest, one.count) for key, one in found.items()
        }
    for kinds in told.values():
        ends = [kind for kind in kinds if kind in (EventKind.OPENED, EventKind.RESOLVED)]
        assert ends[::2] == [EventKind.OPENED] * len(ends[::2])
        assert ends[1::2] == [EventKind.RESOLVED] * len(ends[1::2])
        assert kinds[0] is EventKind.OPENED


@given(st.lists(THINGS, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_with_allowances_nothing_resolves_that_nobody_was_told_of(
    looks: list[dict[str, tuple[str, int]]], allowing: list[bool]
) -> None:
    open_now: dict[str, FindingRecord] = {}
    last: dict[str, bool] = {}
    for look, allows in zip(looks, allowing, strict=False):
        found = by_key(
            in_tenants(number, seen, table=table) for table, (seen, number) in look.items()
        )
        allowances = [allowance_of(one) for one in found.values()] if allows else []
        for step in follow(list(open_now.values()), Seen(findings=found), allowances, now=NOW):
            assert not (step.told and step.allowed)
            if step.kind is EventKind.RESOLVED and step.told:
                assert last[step.key]
            after = kept(step)
            open_now.pop(step.key, None)
            if after is not None:
                open_now[step.key] = after
            last[step.key] = (last.get(step.key, False) or step.told) and after is not None


def test_the_same_look_twice_does_nothing() -> None:
    found = by_key([FINDING, in_tenants(5, table="other"), ABOUT_THE_DATABASE])
    first = list(follow([], Seen(findings=found), now=NOW))
    records = [after for after in map(kept, first) if after is not None]
    again = list(follow(records, Seen(findings=found), now=NOW))
    assert [(step.kind, step.told) for step in again] == [(None, False)] * 3
