"""Sessions and unattributed rows of databases that really have them, or do not answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import make_role, pgid, run
from tests.guard.conftest import (
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
)
from tests.metrics.reading import Samples, read
from trigger_ops import api
from trigger_ops.api import measuring
from trigger_ops.metrics import as_text

__all__ = ["guarded", "guarded_template", "make_database", "migrated_database", "own_database"]

RECEIPT = "past.Receipt:append_only"
REASON = "INC-12: a wrong receipt, taken out by hand"
ROWS = "trigger_ops_unattributed_rows"
SESSIONS = "trigger_ops_sessions_open"


@pytest.fixture(autouse=True)
def alone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `default` be the only database: these tests commit."""
    monkeypatch.setattr(measuring, "postgres_aliases", lambda: [DEFAULT_DB_ALIAS])


def recorded() -> Samples:
    return read(as_text(measuring.measure_recorded()))


def live() -> Samples:
    return read(as_text(measuring.measure(api.check(databases=["default"]))))


def delete(number: int) -> None:
    """Delete so many receipts past their trigger, in nobody's session."""
    receipts = [Receipt.objects.create(number=f"R-{one}") for one in range(number)]
    with transaction.atomic():
        run("SELECT set_config('pgtrigger.ignore', %s, true)", f"{{{pgid(RECEIPT)}}}")
        assert Receipt.objects.filter(pk__in=[one.pk for one in receipts]).delete()[0] == number


@pytest.mark.usefixtures("guarded")
def test_rows_of_nobody_are_counted_until_somebody_acknowledges_them() -> None:
    assert recorded()[ROWS] == live()[ROWS] == {("default",): 0}
    delete(3)
    delete(2)
    assert recorded()[ROWS] == live()[ROWS] == {("default",): 5}
    newest = api.unattributed("default")[0]
    assert newest.rows == 2
    api.acknowledge("default", [newest.transaction], actor="os:ann@web1", reason=REASON)
    assert recorded()[ROWS] == {("default",): 3}
    rest = [one.transaction for one in api.unattributed("default")]
    api.acknowledge("default", rest, actor="os:ann@web1", reason=REASON)
    assert recorded()[ROWS] == {("default",): 0}


@pytest.mark.usefixtures("guarded")
def test_rows_of_a_session_are_somebodys_and_the_session_is_open_meanwhile() -> None:
    receipt = Receipt.objects.create(number="R-1")
    with api.session(RECEIPT, reason=REASON):
        receipt.delete()
        assert live()[SESSIONS] == {("default", "pending"): 0, ("default", "active"): 1}
    assert recorded()[SESSIONS] == {("default", "pending"): 0, ("default", "active"): 0}
    assert recorded()[ROWS] == {("default",): 0}


@pytest.mark.usefixtures("own_database")
def test_without_a_guard_there_is_no_number_of_rows() -> None:
    found = recorded()
    assert ROWS not in found
    assert SESSIONS in found


@pytest.mark.usefixtures("own_database")
def test_without_the_tables_of_sessions_there_is_neither() -> None:
    run("DROP TABLE trigger_ops_acknowledgement")
    assert not {ROWS, SESSIONS} & set(recorded())


def test_a_role_that_may_not_read_evidence_gets_no_zero(guarded: BaseDatabaseWrapper) -> None:
    role = make_role("reader")
    try:
        run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
        tables = "trigger_ops_driftrun, trigger_ops_drifttarget, trigger_ops_driftfinding"
        more = "trigger_ops_notice, trigger_ops_allowance, trigger_ops_findingevent"
        run(f"GRANT SELECT ON {tables}, {more} TO {{role}}", role=role)
        run("SET ROLE {role}", role=role)
        found = recorded()
        assert not {ROWS, SESSIONS} & set(found)
        assert found["trigger_ops_notices_waiting"] == {(): 0}
    finally:
        run("RESET ROLE")
        run("DROP OWNED BY {role}; DROP ROLE {role}", role=role)


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[str]:
    """Add an alias that nobody answers."""
    given = {**copy.deepcopy(connections["default"].settings_dict), "PORT": "1"}
    connections.settings["down"] = given
    monkeypatch.setattr(measuring, "postgres_aliases", lambda: ["default", "down"])
    yield "down"
    del connections["down"]
    del connections.settings["down"]


@pytest.mark.usefixtures("own_database")
def test_a_database_that_is_down_takes_nothing_from_the_others(down: str) -> None:
    api.check(databases=["default"], record=True)
    before = recorded()
    assert {key[0] for key in before[SESSIONS]} == {"default"}
    report = api.check(databases=["default", down], record=True)
    for found in (recorded(), read(as_text(measuring.measure(report)))):
        up = {key for key, on in found["trigger_ops_target_state"].items() if on}
        assert up == {("default", "ok"), ("down", "unreachable")}
        assert found["trigger_ops_check_complete"] == {(): 0}
        assert {key[0] for key in found["trigger_ops_triggers"]} == {"default"}
        assert {key[0] for key in found["trigger_ops_findings_by_level"]} == {"default"}
        assert {key[0] for key in found["trigger_ops_last_ok_timestamp_seconds"]} == {"default"}


@pytest.mark.usefixtures("own_database")
def test_one_that_was_found_down_is_not_asked_again(
    down: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = measuring.guard_home
    monkeypatch.setattr(
        measuring, "guard_home", lambda alias: (asked.append(alias), real(alias))[1]
    )
    recorded()
    assert asked == ["default", "down"]
    api.check(databases=["default", down], record=True)
    asked.clear()
    recorded()
    assert asked == ["default"]


@pytest.mark.usefixtures("own_database")
def test_when_its_time_is_up_no_further_database_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "PATIENCE_SECONDS", 0.0)
    found = recorded()
    assert SESSIONS not in found
    assert found["trigger_ops_notices_waiting"] == {(): 0}


def test_a_recording_database_that_is_down_is_one_sentence(
    own_database: BaseDatabaseWrapper,
) -> None:
    with (
        default_at(PORT="1"),
        pytest.raises(measuring.TriggerOpsError, match=r'^"default" cannot be recorded in: '),
    ):
        measuring.measure_recorded()
