"""Rights and objects that let somebody switch triggers off later, without touching them."""

from __future__ import annotations

import pytest

from tests.damage import run
from tests.weaknesses.expectations import assert_clean, check, only, the
from trigger_ops.states import Level

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("FUNCTION", "session_replication_role = replica"),
        ("PROCEDURE", "pgtrigger.ignore = '{{pgtrigger_x}}'"),
    ],
)
def test_a_routine_that_runs_with_triggers_off_is_found_and_mended(
    kind: str, setting: str
) -> None:
    returns = "RETURNS void" if kind == "FUNCTION" else ""
    run(
        f"CREATE {kind} wipe() {returns} LANGUAGE sql SET {setting} "
        "AS 'DELETE FROM public.past_invoice'"
    )
    finding = only(check(), "C003", None)
    assert "wipe" in finding.message
    run(finding.fix)
    assert_clean(check())


def test_a_role_that_may_set_the_replication_role_is_told() -> None:
    run("CREATE ROLE trigger_ops_deputy")
    run("GRANT SET ON PARAMETER session_replication_role TO trigger_ops_deputy")
    finding = the(check(), "I011")
    assert "trigger_ops_deputy" in finding.message
    assert finding.level is Level.INFO
    run(finding.fix)
    assert_clean(check())
    assert "trigger_ops.I011" not in {one.id for one in check().findings}
