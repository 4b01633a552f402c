"""There and back: what is damaged is installed, and what takes that back brings the damage back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.damage import run
from tests.planner import acts
from tests.planner.damages import DAMAGES, MODES
from trigger_ops import api
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.states import Enabled, Hazard, Verb

pytestmark = pytest.mark.django_db


def everything() -> Iterator[tuple[str, CatalogTrigger]]:
    """Yield every registered trigger of the database as it is now."""
    for one in api.inspect():
        if one.registered is not None and one.installed is not None:
            yield one.uri, one.installed


def modes() -> dict[tuple[str, str], str]:
    return {(row[0], row[1]): row[2] for row in acts.state()["triggers"]}


CASES = [
    (damage, mode)
    for damage in DAMAGES
    for mode in (None, *MODES)
    if mode is None or not damage.startswith("dropped")
]


@pytest.mark.parametrize(("damage", "mode"), CASES)
def test_every_trigger_of_the_site_comes_back_from_each_damage_and_back_to_it(
    damage: str, mode: str | None
) -> None:
    damaged = {uri for uri, live in everything() if DAMAGES[damage](live)}
    if mode is not None:
        for uri, live in everything():
            if uri in damaged:
                MODES[mode](live)
    before = modes()
    plan = acts.assert_round_trip()
    assert {one.uri for one in plan.work} == damaged
    if not damage.startswith("dropped"):
        after = modes()
        assert {place: after[place] for place in before} == before


TABLES = (
    "awkward.Measurement:protect_deletes",
    "awkward.Posting:check_balance",
    "awkward.OrderLine:read_only_article",
    "awkward.LedgerEntry:append_only",
    "awkward.OpenOrderLine:delete_marks_done",
    "awkward.Article:update_search_vector",
    "tutorial.StatementComposer:log_int_changes",
    "past.Customer:read_only_email",
)
several = st.tuples(
    st.lists(st.sampled_from(sorted(DAMAGES)), max_size=2, unique=True),
    st.none() | st.sampled_from(sorted(MODES)),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries(dict.fromkeys(TABLES, several)))
def test_several_damages_to_one_trigger_and_others_at_once_come_back_too(
    chosen: dict[str, tuple[list[str], str | None]],
) -> None:
    with acts.undone():
        for uri, (damages, mode) in chosen.items():
            for act in [*(DAMAGES[one] for one in damages), *([MODES[mode]] if mode else [])]:
                live = acts.inspected(uri).installed
                if live is not None:
                    act(live)
        if acts.make(Verb.INSTALL, *TABLES).work:
            acts.assert_round_trip(*TABLES)


def test_what_the_ledger_keeps_takes_a_run_back_as_well() -> None:
    """An operator has the ledger, not the plan."""
    for _, live in everything():
        (DAMAGES["condition"](live) and MODES["one by one"](live)) or DAMAGES["body"](live)
    before = acts.state()
    plan = acts.make(Verb.INSTALL)
    report = acts.carry_out(plan)
    entries = [one for one in api.read_log(["default"], run=report.run, limit=10_000) if one.sql]
    assert [one.sql for one in reversed(entries)] == [one.sql for _, one in plan.statements]
    acts.execute(one.undo for one in entries if one.undo)
    acts.assert_same(acts.state(), before)


def test_an_uninstall_is_taken_back_with_modes_comments_and_functions() -> None:
    for number, (_, live) in enumerate(everything()):
        list(MODES.values())[number % len(MODES)](live)
        if number % 3 == 0:
            DAMAGES["security"](live)
        if number % 3 == 1:
            DAMAGES["owner"](live)
    before = acts.state()
    plan = acts.make(Verb.UNINSTALL)
    acts.carry_out(plan, *Hazard)
    assert not [row for row in acts.state()["triggers"] if row[1].startswith("pgtrigger_protect")]
    acts.take_back(plan)
    acts.assert_same(acts.state(), before)


@pytest.mark.parametrize(
    ("verb", "mode"),
    [
        (Verb.ENABLE, None),
        (Verb.ENABLE, Enabled.ALWAYS),
        (Verb.ENABLE, Enabled.REPLICA),
        (Verb.DISABLE, None),
    ],
)
def test_every_switch_is_taken_back_clone_by_clone(verb: Verb, mode: Enabled | None) -> None:
    for number, (_, live) in enumerate(everything()):
        list(MODES.values())[3 - number % len(MODES)](live)
    measurement = acts.inspected("awkward.Measurement:protect_deletes").installed
    assert measurement is not None
    MODES["one by one"](measurement)
    before = acts.state()
    plan = acts.make(verb, mode=mode)
    with acts.undone():
        acts.by_hand(plan)
        with_psql = acts.state()
    acts.carry_out(plan)
    acts.assert_same(acts.state(), with_psql)
    assert not acts.make(verb, mode=mode).work
    acts.take_back(plan)
    acts.assert_same(acts.state(), before)


@pytest.mark.parametrize("act", ["body", "dropped"])
def test_what_already_is_as_it_should_be_is_not_touched(act: str) -> None:
    """The catalog rows keep their versions."""
    versions = (
        "SELECT oid, xmin::text FROM pg_trigger UNION ALL SELECT oid, xmin::text FROM pg_proc"
    )
    (_, live) = next(one for one in everything() if one[0] == "past.Invoice:protect_deletes")
    before = dict(run(versions))
    DAMAGES[act](live)
    acts.install()
    after = dict(run(versions))
    changed = {oid for oid, version in before.items() if after.get(oid) != version}
    assert changed <= {live.oid, live.function_oid}
