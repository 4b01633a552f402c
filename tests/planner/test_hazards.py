"""Side effects, in a sentence each."""

from __future__ import annotations

import pytest

from tests.damage import run
from tests.rendering.examples import a_statement, a_step
from tests.weaknesses.test_orphans import put_orphan
from trigger_ops.api.changing import plan
from trigger_ops.planner import Request
from trigger_ops.planner.hazards import _SENTENCES, hazards_of
from trigger_ops.states import Hazard, Verb

OF_A_PLAN = {Hazard.PRUNES_MOST, Hazard.EMPTY_REGISTRY}


def test_steps_without_a_hazard_have_none() -> None:
    assert hazards_of([a_step(a_statement()), a_step()]) == {}


@pytest.mark.parametrize("hazard", _SENTENCES)
def test_a_hazard_names_its_first_trigger_and_counts_the_others(hazard: Hazard) -> None:
    steps = [
        a_step(a_statement(hazards=(hazard,)), uri=f"shop.Order:{name}") for name in ("a", "b")
    ]
    assert set(hazards_of(steps)) == {hazard}
    assert hazards_of(steps)[hazard].startswith("shop.Order:a (and 1 more) ")
    assert hazards_of(steps[1:])[hazard].startswith("shop.Order:b ")


def test_no_sentence_is_missing_for_what_a_statement_can_do() -> None:
    assert set(_SENTENCES) >= set(Hazard) - OF_A_PLAN - {Hazard.GAP_IN_ENFORCEMENT}


@pytest.mark.django_db(databases=["default", "archive"])
def test_each_database_has_its_own_sentence() -> None:
    both = ("default", "archive")
    for step in plan(Request(verb=Verb.UNINSTALL, databases=both)).work:
        run(
            f"DROP TRIGGER {step.trigger} ON {{t}}",
            using=step.database,
            t=f"{step.schema}\0{step.table}",
        )
    put_orphan("pgtrigger_protect_signed_0a1b2", "past_contract")
    run(
        "CREATE FUNCTION pgtrigger_x_0a1b2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        using="archive",
    )
    run(
        "CREATE TRIGGER pgtrigger_x_0a1b2 AFTER DELETE ON awkward_archiveddocument "
        "EXECUTE FUNCTION pgtrigger_x_0a1b2()",
        using="archive",
    )
    run(
        f"COMMENT ON TRIGGER pgtrigger_x_0a1b2 ON awkward_archiveddocument IS '{'0' * 40}'",
        using="archive",
    )
    sentence = plan(Request(verb=Verb.PRUNE, databases=both)).hazards[Hazard.PRUNES_MOST]
    assert sentence == (
        '1 of the 1 triggers of this project on "default" would be dropped. '
        '1 of the 1 triggers of this project on "archive" would be dropped.'
    )
