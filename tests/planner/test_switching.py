"""enable and disable: four modes, and disables that end."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.damage import pgid, run
from tests.planner import acts
from tests.planner.damages import MODES
from trigger_ops.exceptions import Refused
from trigger_ops.planner import Plan, Step
from trigger_ops.states import Enabled, Hazard, Result, Verb

pytestmark = pytest.mark.django_db

INVOICE = "past.Invoice:protect_deletes"
MEASUREMENT = "awkward.Measurement:protect_deletes"
VIEW = "awkward.OpenOrderLine:delete_marks_done"
HALF_AN_HOUR = dt.timedelta(minutes=30)
ENABLED, DISABLED, REPLICA, ALWAYS = (
    Enabled.ENABLED,
    Enabled.DISABLED,
    Enabled.REPLICA,
    Enabled.ALWAYS,
)


def put(uri: str, mode: str) -> None:
    live = acts.inspected(uri).installed
    assert live is not None
    MODES[mode](live)


def step_of(plan: Plan, uri: str = INVOICE) -> Step:
    return acts.the_step(plan, uri)


def lease(uri: str = INVOICE, *, lasts: dt.timedelta = HALF_AN_HOUR) -> None:
    """Let Ada disable a trigger for a while."""
    acts.carry_out(acts.make(Verb.DISABLE, uri, lasts=lasts))


def let_it_expire() -> None:
    run("UPDATE trigger_ops_triggerlease SET expires = now() - interval '1 minute'")


def give_it_to(holder: str) -> None:
    run("UPDATE trigger_ops_triggerlease SET holder = %s", holder)


@pytest.mark.parametrize(
    ("mode", "before", "words"),
    [
        (None, "disabled", "ENABLE TRIGGER"),
        (None, "always", "ENABLE TRIGGER"),
        (ALWAYS, "disabled", "ENABLE ALWAYS TRIGGER"),
        (REPLICA, "disabled", "ENABLE REPLICA TRIGGER"),
        (REPLICA, "always", "ENABLE REPLICA TRIGGER"),
    ],
)
def test_enable_reaches_the_mode_that_was_asked_for(
    mode: Enabled | None, before: str, words: str
) -> None:
    put(INVOICE, before)
    step = step_of(acts.make(Verb.ENABLE, INVOICE, mode=mode))
    (statement,) = step.statements
    assert statement.sql == f'ALTER TABLE "public"."past_invoice" {words} "{pgid(INVOICE)}"'
    assert statement.lock.value == "SHARE ROW EXCLUSIVE"
    assert step.result is Result.SWITCHED
    acts.carry_out(acts.make(Verb.ENABLE, INVOICE, mode=mode))
    assert acts.inspected(INVOICE).enabled is (mode or ENABLED)


@pytest.mark.parametrize(
    ("declared", "mode", "expected"),
    [
        ("always", None, ALWAYS),
        ("replica", None, REPLICA),
        ("disabled", None, ENABLED),
        ("always", REPLICA, REPLICA),
    ],
)
def test_enable_without_a_mode_means_the_declared_one(
    declared: str, mode: Enabled | None, expected: Enabled, settings: pytest.FixtureRequest
) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {INVOICE: declared}}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    put(INVOICE, "disabled")
    acts.carry_out(acts.make(Verb.ENABLE, INVOICE, mode=mode))
    assert acts.inspected(INVOICE).enabled is expected


@pytest.mark.parametrize(("verb", "before"), [(Verb.ENABLE, None), (Verb.DISABLE, "disabled")])
def test_what_is_in_that_mode_already_is_left_alone(verb: Verb, before: str | None) -> None:
    if before:
        put(INVOICE, before)
    step = step_of(acts.make(verb, INVOICE))
    assert (step.result, step.is_work) == (Result.UNCHANGED, False)


@pytest.mark.parametrize(("verb", "mode"), [(Verb.ENABLE, ENABLED), (Verb.DISABLE, DISABLED)])
def test_partitions_of_several_modes_all_get_the_one(verb: Verb, mode: Enabled) -> None:
    put(MEASUREMENT, "one by one")
    assert acts.inspected(MEASUREMENT).enabled is Enabled.PARTIAL
    acts.carry_out(acts.make(verb, MEASUREMENT))
    assert acts.inspected(MEASUREMENT).enabled is mode


@pytest.mark.parametrize("verb", [Verb.ENABLE, Verb.DISABLE])
@pytest.mark.parametrize(("named", "result"), [(True, Result.FAILED), (False, Result.SKIPPED)])
def test_a_view_cannot_be_switched_and_says_what_can_be_done(
    verb: Verb, *, named: bool, result: Result
) -> None:
    step = step_of(acts.make(verb, *([VIEW] if named else [])), VIEW)
    assert (step.result, step.statements) == (result, ())
    assert step.reason.endswith("uninstall it instead")


@pytest.mark.parametrize("verb", [Verb.ENABLE, Verb.DISABLE])
def test_what_is_not_installed_cannot_be_switched(verb: Verb) -> None:
    run("DROP TRIGGER {t} ON past_invoice", t=pgid(INVOICE))
    step = step_of(acts.make(verb, INVOICE))
    assert (step.result, step.reason) == (Result.FAILED, "it is not installed")


@pytest.mark.parametrize(
    ("before", "restore"), [(None, ENABLED), ("always", ALWAYS), ("replica", REPLICA)]
)
def test_a_disable_that_ends_goes_back_to_the_mode_before(
    before: str | None, restore: Enabled
) -> None:
    if before:
        put(INVOICE, before)
    step = step_of(acts.make(Verb.DISABLE, INVOICE, lasts=HALF_AN_HOUR))
    assert step.opens_lease is restore
    lease()
    let_it_expire()
    acts.carry_out(acts.make(Verb.ENABLE, expired=True))
    assert acts.inspected(INVOICE).enabled is restore
    assert run("SELECT ended IS NOT NULL, restore FROM trigger_ops_triggerlease") == [
        (True, restore)
    ]


@pytest.mark.parametrize(
    ("declared", "restore"), [("enabled", ENABLED), ("always", ALWAYS), ("disabled", ENABLED)]
)
def test_what_is_disabled_already_goes_on_a_lease_back_to_the_declared_mode(
    declared: str, restore: Enabled, settings: pytest.FixtureRequest
) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {INVOICE: declared}}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    put(INVOICE, "disabled")
    step = step_of(acts.make(Verb.DISABLE, INVOICE, lasts=HALF_AN_HOUR))
    assert (step.opens_lease, step.statements, step.is_work) == (restore, (), True)
    lease()
    assert run("SELECT restore FROM trigger_ops_triggerlease WHERE ended IS NULL") == [(restore,)]


def test_a_lease_on_a_lease_keeps_the_mode_of_the_first() -> None:
    put(INVOICE, "always")
    lease()
    lease(lasts=dt.timedelta(hours=2))
    assert run("SELECT restore FROM trigger_ops_triggerlease WHERE ended IS NULL") == [("ALWAYS",)]


@pytest.mark.parametrize(
    ("holder", "expired", "hazards"),
    [
        (acts.ME, False, set()),
        (acts.ME, True, set()),
        ("user:bob", False, {Hazard.REENABLES_DISABLED}),
        ("user:bob", True, set()),
    ],
)
@pytest.mark.parametrize("mode", [None, ALWAYS])
def test_only_somebody_elses_live_lease_stands_in_the_way_of_enable(
    holder: str, mode: Enabled | None, *, expired: bool, hazards: set[Hazard]
) -> None:
    lease()
    give_it_to(holder)
    if expired:
        let_it_expire()
    plan = acts.make(Verb.ENABLE, INVOICE, mode=mode)
    assert set(plan.hazards) == hazards
    assert step_of(plan).ends_lease
    if hazards:
        with pytest.raises(Refused, match="--allow REENABLES_DISABLED"):
            acts.carry_out(plan)
        assert acts.inspected(INVOICE).enabled is DISABLED
    acts.carry_out(plan, *hazards)
    assert acts.inspected(INVOICE).enabled is (mode or ENABLED)
    assert run("SELECT ended IS NOT NULL FROM trigger_ops_triggerlease") == [(True,)]


def test_enable_expired_leaves_live_leases_and_what_has_none() -> None:
    lease()
    put("past.Receipt:append_only", "disabled")
    plan = acts.make(Verb.ENABLE, expired=True)
    assert plan.work == ()
    assert {one.reason for one in plan.steps} == {"it has no overdue lease"}


def test_what_was_enabled_by_hand_only_ends_its_lease() -> None:
    lease()
    run("ALTER TABLE past_invoice ENABLE TRIGGER {t}", t=pgid(INVOICE))
    step = step_of(acts.make(Verb.ENABLE, INVOICE))
    assert (step.statements, step.ends_lease) == ((), True)
    acts.carry_out(acts.make(Verb.ENABLE, INVOICE))
    assert run("SELECT ended IS NOT NULL FROM trigger_ops_triggerlease") == [(True,)]


def test_a_plain_disable_leaves_the_lease_that_is_there() -> None:
    lease()
    step = step_of(acts.make(Verb.DISABLE, INVOICE))
    assert not step.is_work
    assert run("SELECT ended IS NULL FROM trigger_ops_triggerlease") == [(True,)]


def test_a_lease_needs_a_table_to_stand_in() -> None:
    run("DROP TABLE trigger_ops_triggerlease CASCADE")
    with pytest.raises(Refused, match="migrate trigger_ops"):
        acts.make(Verb.DISABLE, INVOICE, lasts=HALF_AN_HOUR)
    assert step_of(acts.make(Verb.DISABLE, INVOICE)).is_work
