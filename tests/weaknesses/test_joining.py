"""What one reading says is looked at twice, per schema, and only where it can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pgtrigger
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests import damage
from tests.damage import pgid, run
from tests.weaknesses.expectations import INVOICE, PRICES, assert_clean, bad, check, the
from trigger_ops.inspection import Scope, joining
from trigger_ops.states import Status

PER_SCHEMA = "past.Receipt:per_schema"


@pytest.mark.django_db
@pytest.mark.parametrize("repaired", [True, False])
def test_what_only_the_first_reading_saw_is_not_reported(
    repaired: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ALTER TABLE past_invoice DISABLE TRIGGER {trigger}", trigger=pgid(INVOICE))
    read, readings = joining.read_snapshot, []

    def read_and_repair(*arguments: Any, **options: Any) -> Any:
        snapshot = read(*arguments, **options)
        if repaired and not readings:
            run("ALTER TABLE past_invoice ENABLE TRIGGER {trigger}", trigger=pgid(INVOICE))
        readings.append(snapshot)
        return snapshot

    monkeypatch.setattr(joining, "read_snapshot", read_and_repair)
    monkeypatch.setattr(joining, "in_transaction", lambda _: False)
    report = check()
    assert len(readings) == 2
    if repaired:
        assert_clean(report)
    else:
        assert the(report, "E002", INVOICE)


@pytest.mark.django_db
def test_a_condition_that_means_another_function_in_each_schema_is_spelled_for_each() -> None:
    trigger = pgtrigger.Protect(
        name="per_schema",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("tops_is_odd(OLD.id)"),
    )
    function = "{f}(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT $1 % 2 = 1'"
    run(f"CREATE FUNCTION {function}", f="tops_is_odd")
    for number in range(3):
        run(f"CREATE SCHEMA tops_{number}")
        run(f"CREATE TABLE tops_{number}.past_receipt (LIKE public.past_receipt INCLUDING ALL)")
    run(f"CREATE FUNCTION tops_1.{function}", f="tops_is_odd")
    with trigger.register(Receipt):
        for number in range(3):
            run(f"SET search_path = tops_{number}, public")
            trigger.install(Receipt)
        run("SET search_path = public")
        report = check(PER_SCHEMA, scope=Scope(glob="tops_*"))
        assert {one.status for one in report.databases[0].triggers} == {Status.INSTALLED}
        assert report.databases[0].schemas == 3
        assert bad(report) == []
        name = trigger.get_pgid(Receipt)
        for schema in ("tops_0", "tops_1"):
            run(
                f"CREATE OR REPLACE TRIGGER {{name}} BEFORE UPDATE ON {schema}.past_receipt "
                f"FOR EACH ROW EXECUTE FUNCTION {schema}.{{name}}()",
                name=name,
            )
            damage.repair(the(check(PER_SCHEMA, scope=Scope(glob=schema)), "C004", PER_SCHEMA))
        assert bad(check(PER_SCHEMA, scope=Scope(glob="tops_*"))) == []


def test_only_the_conditions_of_a_locked_table_are_unknown(
    locked_customer: BaseDatabaseWrapper,
) -> None:
    report = check()
    statuses = {one.uri: one.status for one in report.databases[0].triggers}
    assert statuses["past.Customer:read_only_email"] is Status.UNKNOWN
    assert statuses[PRICES] is Status.INSTALLED
    assert [uri for uri, status in statuses.items() if status is Status.UNKNOWN] == [
        "past.Customer:read_only_email"
    ]


@pytest.fixture
def locked_customer(
    own_database: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
    settings: Any,
) -> Any:
    """Hold a table in ACCESS EXCLUSIVE MODE on another connection."""
    settings.TRIGGER_OPS = {"LOCK_TIMEOUT": 300}
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE past_customer IN ACCESS EXCLUSIVE MODE")
    yield other
    other.rollback()
    assert own_database.get_autocommit()
