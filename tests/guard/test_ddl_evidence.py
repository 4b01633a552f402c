"""What the DDL guard puts on record: triggers that were switched, dropped or replaced past our runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pgtrigger
import pytest
from django.db import connections, migrations, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import install_sql, make_role, pgid, run
from tests.guard.test_ddl_guard import (
    ALIKE,
    CONDITION,
    ITS_OWN,
    switch_on,
    watched,
    watched_template,
)
from tests.guard.test_findings import found
from tests.guard.test_keeping import add_trigger, migrate
from trigger_ops import api
from trigger_ops.drift.acts import told_act
from trigger_ops.guard.keeping import keep_gates
from trigger_ops.planner import Request
from trigger_ops.states import Level, Verb

__all__ = ["watched", "watched_template"]

RECEIPT = "past.Receipt:append_only"
CUSTOMER = "past.Customer:read_only_email"
TRIGGER = pgid(RECEIPT)
ON = "on public.past_receipt"
DEFINITION = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s"
BODY = "SELECT pg_get_functiondef(%s::regproc)"


def acts() -> list[str]:
    """Return what is on record that no run of ours did, oldest first."""
    past = reversed(api.unattributed("default"))
    return [told_act(act) for one in past for act in one.acts]


def disabled_for_a_moment() -> None:
    run("ALTER TABLE past_receipt DISABLE TRIGGER {trigger}", trigger=TRIGGER)
    run("UPDATE past_receipt SET number = 'x'")
    run("ALTER TABLE past_receipt ENABLE TRIGGER {trigger}", trigger=TRIGGER)


def another_body_for_a_moment() -> None:
    ((before,),) = run(BODY, TRIGGER)
    run(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NEW; END'",
        function=TRIGGER,
    )
    with connections["default"].cursor() as cursor:
        cursor.execute(before)


def other_settings_for_a_moment() -> None:
    run("ALTER FUNCTION {function}() SET pgtrigger.ignore = 'x'", function=TRIGGER)
    run("ALTER FUNCTION {function}() RESET pgtrigger.ignore", function=TRIGGER)


def gone_for_a_moment() -> None:
    ((before,),) = run(DEFINITION, TRIGGER)
    run("DROP TRIGGER {trigger} ON past_receipt", trigger=TRIGGER)
    with connections["default"].cursor() as cursor:
        cursor.execute(before)


def another_condition_for_a_moment() -> None:
    ((before,),) = run(DEFINITION, TRIGGER)
    for condition in ("WHEN (false) ", ""):
        text = before.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER")
        with connections["default"].cursor() as cursor:
            cursor.execute(text.replace("EXECUTE FUNCTION", f"{condition}EXECUTE FUNCTION"))


def another_name_for_a_moment() -> None:
    names = {"trigger": TRIGGER, "other": "pgtrigger_harmless"}
    run("ALTER TRIGGER {trigger} ON past_receipt RENAME TO {other}", **names)
    run("ALTER TRIGGER {other} ON past_receipt RENAME TO {trigger}", **names)


def for_replicas_for_a_moment() -> None:
    for mode in ("REPLICA", "ALWAYS"):
        run(f"ALTER TABLE past_receipt ENABLE {mode} TRIGGER {{trigger}}", trigger=TRIGGER)
    run("ALTER TABLE past_receipt ENABLE TRIGGER {trigger}", trigger=TRIGGER)


ENABLED = f"{TRIGGER} {ON} enabled"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (disabled_for_a_moment, [f"{TRIGGER} {ON} disabled", ENABLED]),
        (another_body_for_a_moment, [f"function of {TRIGGER} {ON} replaced"] * 2),
        (other_settings_for_a_moment, [f"function of {TRIGGER} {ON} replaced"] * 2),
        (gone_for_a_moment, [f"{TRIGGER} {ON} dropped", f"{TRIGGER} {ON} created again"]),
        (another_condition_for_a_moment, [f"{TRIGGER} {ON} replaced"] * 2),
        (
            another_name_for_a_moment,
            [f"{TRIGGER} {ON} renamed", f"pgtrigger_harmless {ON} renamed"],
        ),
        (
            for_replicas_for_a_moment,
            [
                f"{TRIGGER} {ON} made to fire for replicas alone",
                f"{TRIGGER} {ON} made to fire always",
                ENABLED,
            ],
        ),
    ],
)
@pytest.mark.usefixtures("watched")
def test_what_is_put_back_in_the_same_transaction_is_on_record(
    damage: Callable[[], None], told: list[str]
) -> None:
    before = run(DEFINITION, TRIGGER), run(BODY, TRIGGER)
    assert acts() == found("C007") == []
    with transaction.atomic():
        damage()
    assert (run(DEFINITION, TRIGGER), run(BODY, TRIGGER)) == before
    assert acts() == told
    (one,) = found("C007")
    assert one.level is Level.CRITICAL
    assert told[0] in one.message
    numbers = [past.transaction for past in api.unattributed("default")]
    assert len(numbers) == 1
    api.acknowledge("default", numbers, actor="user:ada", reason="INC-12: known to be in order")
    assert found("C007") == []


@pytest.mark.usefixtures("watched")
def test_the_bodies_that_a_function_had_are_on_record() -> None:
    another_body_for_a_moment()
    rows = run(
        "SELECT kind, op, old ->> 'body' ~ 'RAISE', new ->> 'body' ~ 'RAISE', role = session_user "
        "FROM trigger_ops_guardchange WHERE kind = 'function' ORDER BY id"
    )
    assert rows == [
        ("function", "REPLACE", True, False, True),
        ("function", "REPLACE", False, True, True),
    ]


@pytest.mark.usefixtures("watched")
def test_a_witness_that_hides_a_column_for_a_moment_is_on_record() -> None:
    masked = ITS_OWN.replace("{{}}", '{{"number":"***"}}')
    for function in (masked, ITS_OWN):
        run(ALIKE.format(condition=CONDITION, function=function))
    assert acts() == [f"trigger_ops_witness {ON} replaced"] * 2


@pytest.mark.usefixtures("watched")
def test_a_partition_that_is_switched_is_on_record() -> None:
    trigger = pgid("awkward.Measurement:protect_deletes")
    run(
        "ALTER TABLE awkward_measurement_2024 DISABLE TRIGGER {trigger}",
        trigger=trigger,
    )
    assert acts() == [f"{trigger} on public.awkward_measurement_2024 disabled"]


@pytest.mark.usefixtures("watched")
def test_whoever_owns_a_table_alone_leaves_evidence_all_the_same() -> None:
    role = make_role("owner")
    try:
        run("ALTER TABLE past_receipt OWNER TO {role}; SET ROLE {role}", role=role)
        disabled_for_a_moment()
        run("RESET ROLE")
        assert acts() == [f"{TRIGGER} {ON} disabled", ENABLED]
        for function in ("note('trigger', 1, 'x', 'DROP', NULL, NULL)", "learn()"):
            with pytest.raises(Exception, match="permission denied"), transaction.atomic():
                run(f"SET LOCAL ROLE {{role}}; SELECT trigger_ops_ddl_guard.{function}", role=role)
    finally:
        run("RESET ROLE; ALTER TABLE past_receipt OWNER TO CURRENT_USER")
        run("DROP ROLE {role}", role=role)


# What is no evidence of anything ------------------------------------------------------------------


def carry_out(verb: Verb) -> None:
    planned = api.plan(Request(verb=verb, selectors=(RECEIPT,), databases=("default",)))
    report = api.apply(planned, actor="os:ann@web1", reason="a test")
    assert report.changed


@pytest.mark.usefixtures("watched")
def test_what_a_run_of_ours_does_is_in_the_ledger_and_no_finding() -> None:
    for verb in (Verb.DISABLE, Verb.ENABLE, Verb.UNINSTALL, Verb.INSTALL):
        carry_out(verb)
    noted = run("SELECT op FROM trigger_ops_guardchange WHERE kind = 'trigger' ORDER BY id")
    assert [op for (op,) in noted] == ["DISABLE", "ENABLE", "DROP", "CREATE"]
    assert acts() == found("C007") == []


@pytest.mark.usefixtures("watched")
def test_a_ledger_that_says_something_else_answers_for_nothing() -> None:
    with transaction.atomic():
        run(
            "INSERT INTO trigger_ops_ledgerentry (run, kind, verb, sql) "
            "VALUES (%s, 'statement', 'install', 'SELECT 1')",
            str(uuid.uuid4()),
        )
        disabled_for_a_moment()
    assert acts() == [f"{TRIGGER} {ON} disabled", ENABLED]


@pytest.mark.usefixtures("watched")
def test_what_is_the_same_afterwards_or_new_is_no_act() -> None:
    with connections["default"].cursor() as cursor:
        ((before,),) = run(DEFINITION, TRIGGER)
        cursor.execute(before.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
        ((function,),) = run(BODY, TRIGGER)
        cursor.execute(function)
        cursor.execute(before.replace(f"CREATE TRIGGER {TRIGGER}", "CREATE TRIGGER pgtrigger_new"))
    run("ALTER TABLE past_receipt ADD COLUMN more integer")
    run("ALTER TABLE past_receipt RENAME TO past_voucher")
    run("CREATE TEMP TABLE t (id int)")
    assert acts() == []


class AnotherLength(migrations.AlterField):
    """A column that a trigger is about, and that pgtrigger drops the trigger for."""

    def __init__(self) -> None:
        super().__init__("customer", "email", models.CharField(max_length=500))


@pytest.mark.usefixtures("watched")
def test_what_migrations_do_to_triggers_is_in_the_ledger_and_no_finding() -> None:
    keep_gates()
    extra = add_trigger()
    remove = pgtrigger.migrations.RemoveTrigger("receipt", "extra")
    migrate([extra], [AnotherLength()], [remove])
    noted = run("SELECT name, op FROM trigger_ops_guardchange ORDER BY id")
    assert (pgid(CUSTOMER), "DROP") in noted
    assert (pgid(CUSTOMER), "CREATE") in noted
    assert acts() == found("C007") == []
    entered = run(
        "SELECT DISTINCT verb FROM trigger_ops_ledgerentry WHERE reason ~ '^a migration'"
    )
    assert sorted(verb for (verb,) in entered) == ["install", "uninstall"]


@pytest.mark.usefixtures("watched")
def test_what_cannot_be_entered_ends_no_migration_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_gates()
    migrate([add_trigger()])
    run("ALTER TABLE trigger_ops_ledgerentry ADD CHECK (verb <> 'uninstall') NOT VALID")
    remove = pgtrigger.migrations.RemoveTrigger("receipt", "extra")
    migrate([add_trigger()], [remove])
    assert "is not in the ledger" in caplog.text
    (told,) = acts()
    assert told.endswith(f"{ON} dropped")


@pytest.mark.usefixtures("watched")
def test_what_stock_code_does_past_us_is_told() -> None:
    run(install_sql(RECEIPT).replace("{", "{{").replace("}", "}}"))
    assert acts() == [f"{TRIGGER} {ON} dropped", f"{TRIGGER} {ON} created again"]


def test_nothing_is_done_that_could_not_be_put_on_record(watched: BaseDatabaseWrapper) -> None:
    run("ALTER EVENT TRIGGER trigger_ops_ddl_guard DISABLE")
    run("CREATE RULE nothing AS ON INSERT TO trigger_ops_guardchange DO INSTEAD NOTHING")
    run("ALTER EVENT TRIGGER trigger_ops_ddl_guard ENABLE ALWAYS")
    with pytest.raises(Exception, match="would not be on record"):
        disabled_for_a_moment()
    assert watched


@pytest.mark.usefixtures("watched")
def test_what_was_done_before_it_is_renewed_is_not_told_twice() -> None:
    disabled_for_a_moment()
    assert len(acts()) == 2
    switch_on()
    run("ALTER TABLE past_receipt ADD COLUMN more integer")
    assert len(acts()) == 2
