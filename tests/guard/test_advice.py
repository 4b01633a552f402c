"""What `check` advises where a guard was damaged: never to take the rest of it away."""

from __future__ import annotations

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from tests.guard.conftest import guard
from tests.guard.test_acknowledge import guard as command
from tests.guard.test_elsewhere import open_session
from trigger_ops import api
from trigger_ops.drift import Finding
from trigger_ops.exceptions import Refused

INSTALL = "manage.py pgtrigger guard install"
GUTTED = """\
CREATE OR REPLACE FUNCTION trigger_ops_witness_row() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN {} RETURN NULL; END $$"""


def findings() -> list[Finding]:
    return list(api.check(databases=["default"]).findings)


def about_us(found: list[Finding]) -> list[Finding]:
    """Return the findings about gate and witnesses."""
    return [
        one
        for one in found
        if "_pgtrigger_should_ignore" in one.message or "trigger_ops_" in one.message
    ]


@pytest.mark.parametrize(
    ("statement", "kinds"),
    [
        (
            (
                "WITH gone AS (DELETE FROM trigger_ops_guard RETURNING one) "
                "INSERT INTO trigger_ops_ledgerentry (run, kind, sql) "
                "SELECT gen_random_uuid(), 'statement', 'DELETE FROM trigger_ops_guard' FROM gone"
            ),
            {"C002", "I002"},
        ),
        ("ALTER TABLE trigger_ops_guard RENAME TO elsewhere", {"C002", "I002"}),
        (GUTTED.format("PERFORM set_config('pgtrigger.ignore', '', true);"), {"C003", "C006"}),
        (GUTTED.format(""), {"C006", "I002"}),
        ("DROP FUNCTION _pgtrigger_should_ignore(name)", {"C006"}),
    ],
)
def test_whatever_was_damaged_is_mended_by_an_installation_of_the_guard(
    guarded: BaseDatabaseWrapper, statement: str, kinds: set[str]
) -> None:
    before = findings()
    assert about_us(before) == []
    run(statement)
    found = about_us(findings())
    assert {one.id.removeprefix("trigger_ops.") for one in found} == kinds
    assert {one.fix for one in found} == {INSTALL}
    if "RENAME" in statement:
        with pytest.raises(Refused, match="tables of trigger_ops"):
            guard()
        run("ALTER TABLE elsewhere RENAME TO trigger_ops_guard")
    guard()
    assert [one.id for one in findings()] == [one.id for one in before]


def test_without_its_row_the_gate_is_called_so_and_the_witnesses_no_strangers(
    guarded: BaseDatabaseWrapper,
) -> None:
    run("DELETE FROM trigger_ops_guard")
    found = about_us(findings())
    (shared,) = [one for one in found if one.id == "trigger_ops.C002"]
    assert "it is the gate of a guard that is off here" in shared.message
    witnesses = [one for one in found if one.trigger is not None]
    assert witnesses
    assert {one.id for one in witnesses} == {"trigger_ops.I002"}
    assert all("is what is left of a guard that is off here" in one.message for one in witnesses)


def test_a_gate_that_was_changed_as_well_is_still_mended_by_the_guard(
    guarded: BaseDatabaseWrapper,
) -> None:
    run("DELETE FROM trigger_ops_guard")
    run(
        "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
        "LANGUAGE sql AS 'SELECT true'"
    )
    (shared,) = [one for one in findings() if one.id == "trigger_ops.C002"]
    assert "its body was changed" in shared.message
    assert shared.fix == INSTALL


@pytest.mark.parametrize(
    ("name", "table"),
    [("trigger_ops_witness_else", "past_receipt"), ("trigger_ops_witness", "past_branch")],
)
def test_what_is_only_called_like_a_witness_is_to_be_dropped(
    guarded: BaseDatabaseWrapper, name: str, table: str
) -> None:
    run("CREATE TABLE past_branch (id int)")
    run(
        "CREATE FUNCTION stranger() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM set_config('pgtrigger.ignore', '{{x}}', true); RETURN NULL; END $$"
    )
    run(f"CREATE TRIGGER {name} AFTER INSERT ON {table} EXECUTE FUNCTION stranger()")
    (one,) = [one for one in findings() if one.trigger == name]
    assert (one.id, one.fix) == (
        "trigger_ops.C003",
        f'DROP TRIGGER "{name}" ON "public"."{table}";',
    )


@pytest.mark.parametrize("ddl_guard", [False, True])
def test_a_removal_is_tried_while_a_session_is_active_and_then_refused(
    guarded: BaseDatabaseWrapper, *, ddl_guard: bool
) -> None:
    if ddl_guard:
        assert command("install", "--ddl-guard")[0] == 0
    number = open_session()
    code, out, err = command("remove", "--dry-run")
    assert (code, "DROP TRIGGER" in out) == (0, True)
    sentence = f"Session {number} of os:ann@web1 is active"
    assert f"Warning: {sentence}" in err
    code, out, err = command("remove")
    assert (code, out, sentence in err) == (4, "", True)
    status = api.guard_status("default")
    assert status.state is not None
    assert (status.state.ddl, status.amiss) == (ddl_guard, False)
