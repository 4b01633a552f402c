"""A plan of real databases: its order, its fingerprint, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.damage import gut, pgid, run
from tests.rendering.examples import a_plan, a_statement, a_step
from trigger_ops.api.changing import plan
from trigger_ops.exceptions import Refused, UnknownSelector
from trigger_ops.planner import Plan, Request
from trigger_ops.planner.making import refuse_hazards
from trigger_ops.states import Hazard, Verb

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE = "past.Invoice:protect_deletes"


def planned(verb: Verb = Verb.UNINSTALL, *selectors: str, **changes: object) -> Plan:
    return plan(Request(verb=verb, databases=("default",), selectors=selectors, **changes))  # type: ignore[arg-type]  # a test gives what it changes by name


def test_the_same_situation_gives_the_same_plan() -> None:
    first, second = planned(), planned()
    assert first.fingerprint == second.fingerprint
    assert first.steps == second.steps


@pytest.mark.parametrize("verb", [Verb.UNINSTALL, Verb.INSTALL])
def test_functions_come_first_and_then_one_table_after_the_other(verb: Verb) -> None:
    run("DROP FUNCTION _pgtrigger_should_ignore(name)")
    found = planned(verb)
    places = [(step.schema or "", step.table or "") for step in found.steps if step.table]
    assert places == sorted(places)
    without = [number for number, step in enumerate(found.steps) if step.table is None]
    assert without == list(range(len(without)))
    assert bool(without) == (verb is Verb.INSTALL)


CHANGES: dict[str, Callable[[], object]] = {
    "disabled": lambda: run("ALTER TABLE past_invoice DISABLE TRIGGER ALL"),
    "another body": lambda: gut(pgid(INVOICE)),
    "another comment": lambda: run(
        "COMMENT ON TRIGGER {t} ON past_invoice IS 'x'", t=pgid(INVOICE)
    ),
    "dropped": lambda: run("DROP TRIGGER {t} ON past_invoice", t=pgid(INVOICE)),
    "made again": lambda: run("ALTER TABLE past_invoice ALTER number TYPE varchar(99)"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_happens_to_a_planned_trigger_changes_the_fingerprint(
    change: Callable[[], object], request: pytest.FixtureRequest
) -> None:
    before = planned(Verb.UNINSTALL, INVOICE).fingerprint
    other = planned(Verb.UNINSTALL, "past.Customer").fingerprint
    change()
    if "made again" in request.node.name:
        assert (
            planned(Verb.UNINSTALL, INVOICE).fingerprint == before
        )  # nothing of it is the trigger's
    else:
        assert planned(Verb.UNINSTALL, INVOICE).fingerprint != before
    assert planned(Verb.UNINSTALL, "past.Customer").fingerprint == other


def test_another_ignore_function_changes_the_fingerprint_of_an_install() -> None:
    before = planned(Verb.INSTALL, INVOICE).fingerprint
    run("ALTER FUNCTION _pgtrigger_should_ignore(name) COST 7")
    assert planned(Verb.INSTALL, INVOICE).fingerprint != before


def test_an_unknown_name_to_prune_gets_the_nearest() -> None:
    run("CREATE FUNCTION dba() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
    run("CREATE TRIGGER pgtrigger_dba AFTER UPDATE ON past_invoice EXECUTE FUNCTION dba()")
    with pytest.raises(UnknownSelector, match='did you mean "past_invoice:pgtrigger_dba"'):
        planned(Verb.PRUNE, named=("past_invoice:pgtrigger_dab",))


def test_an_obstacle_is_told_before_any_hazard() -> None:
    found = a_plan(obstacles=("No right.",), hazards={Hazard.PRUNES_MOST: "Most would go."})
    with pytest.raises(Refused, match=r"^No right\.$"):
        refuse_hazards(found, frozenset(Hazard))


def test_each_hazard_that_is_not_allowed_is_named() -> None:
    found = a_plan(
        a_step(a_statement()),
        hazards={Hazard.DROPS_FOREIGN: "One is not ours.", Hazard.PRUNES_MOST: "Most would go."},
    )
    with pytest.raises(Refused) as caught:
        refuse_hazards(found, frozenset())
    assert str(caught.value) == (
        "One is not ours. Most would go. To go on, add --allow DROPS_FOREIGN,PRUNES_MOST."
    )
    with pytest.raises(Refused, match="--allow PRUNES_MOST"):
        refuse_hazards(found, frozenset({Hazard.DROPS_FOREIGN}))
    refuse_hazards(found, frozenset({Hazard.DROPS_FOREIGN, Hazard.PRUNES_MOST}))
