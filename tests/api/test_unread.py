"""What trigger_ops keeps beside the triggers and cannot be read is unknown, and never green."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core import checks
from django.db.backends.base.base import BaseDatabaseWrapper

from tests import damage
from tests.damage import make_role, pgid, run
from tests.guard.conftest import guard
from tests.weaknesses.expectations import INVOICE
from trigger_ops import api
from trigger_ops.checks.databases import check_drift
from trigger_ops.drift import Report
from trigger_ops.models import DriftFinding, DriftTarget
from trigger_ops.rendering import documents, junit, reports
from trigger_ops.states import ExitCode, Verb

READ = (
    *("triggerlease", "runlease", "guard", "policy", "change", "decision", "acknowledgement"),
    *("guardchange", "ledgerentry"),
)
RECORDS = (
    *("driftrun", "drifttarget", "driftfinding", "findingevent", "allowance", "notice"),
    "canonicalform",
)
LEFT = {
    "nothing": READ,
    "leases": READ[:1],
    "the announcement": READ[1:2],
    "the guard": READ[2:3],
    "its policies": READ[3:4],
    "changed rows": READ[4:5],
    "decisions": READ[5:6],
    "acknowledgements": READ[6:7],
    "changes of the guard": READ[7:8],
    "the ledger": READ[8:],
}


@pytest.fixture(autouse=True)
def short(settings: Any) -> None:
    """Wait for nobody for long."""
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "100ms"}


@pytest.fixture
def reader() -> Iterator[str]:
    """Make a role that may read all that a check needs; the test takes some of it away."""
    role = make_role("reader")
    tables = ", ".join(f"trigger_ops_{one}" for one in READ)
    records = ", ".join(f"trigger_ops_{one}" for one in RECORDS)
    run(f"GRANT SELECT ON {tables}, django_migrations TO {{role}}", role=role)
    run(f"GRANT SELECT, INSERT, UPDATE ON {records} TO {{role}}", role=role)
    run("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}", role=role)
    yield role
    run("RESET ROLE")
    run("DROP OWNED BY {role}; DROP ROLE {role}", role=role)


def check(role: str, **options: Any) -> Report:
    """Check `default` as a role."""
    run("SET ROLE {role}", role=role)
    try:
        return api.check(databases=["default"], **options)
    finally:
        run("RESET ROLE")


def assert_unread(report: Report, role: str) -> str:
    """Demand that a report says what it could not read; return the statements to type."""
    (target,) = report.targets
    assert (target.status, report.complete, report.exit_code) == (
        "incomplete",
        False,
        ExitCode.INCOMPLETE,
    )
    assert target.triggers > 0
    assert "\n" not in target.reason
    found = re.fullmatch(
        rf'Role "{role}" may not read what trigger_ops keeps on "default", so that leases, runs at '
        r"work, the guard and what went past it are unknown: (GRANT .+;)",
        target.reason,
    )
    assert found, target.reason
    return found[1]


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("base", ["guarded", "own_database"])
def test_what_may_not_be_read_is_named_with_the_statement_that_helps(
    left: str, base: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(base)
    role = request.getfixturevalue("reader")
    assert check(role).exit_code is ExitCode.CLEAN
    for one in LEFT[left]:
        run(f"REVOKE SELECT ON trigger_ops_{one} FROM {{role}}", role=role)
    report = check(role)
    statement = assert_unread(report, role)
    assert re.findall(r'"trigger_ops_(\w+)"', statement) == list(LEFT[left])
    run(statement.replace("{", "{{").replace("}", "}}"))
    assert check(role).exit_code is ExitCode.CLEAN


def test_findings_win_over_what_could_not_be_read(
    guarded: BaseDatabaseWrapper, reader: str
) -> None:
    damage.gut(pgid(INVOICE))
    run("REVOKE SELECT ON trigger_ops_guard FROM {role}", role=reader)
    report = check(reader)
    assert (report.complete, report.exit_code) == (False, ExitCode.FINDINGS)


def test_every_format_says_what_could_not_be_read(
    guarded: BaseDatabaseWrapper, reader: str
) -> None:
    run("REVOKE SELECT ON trigger_ops_change FROM {role}", role=reader)
    report = check(reader)
    grant = f'GRANT SELECT ON "public"."trigger_ops_change" TO "{reader}";'
    text = reports.as_text(report, colour=False)
    assert f'UNKNOWN Role "{reader}" may not read' in text
    assert text.endswith("Incomplete: 1 database could not be read in full.")
    document = documents.report_document(report)
    (target,) = document["targets"]
    assert (document["complete"], document["exit_code"]) == (False, 3)
    assert (target["status"], target["reason"].endswith(grant)) == ("incomplete", True)
    errors = list(ET.fromstring(junit.as_junit(report)).iter("error"))
    assert [grant in str(one.get("message")) for one in errors] == [True]
    run("SET ROLE {role}", role=reader)
    told = [one for one in check_drift(databases=["default"]) if one.id == "trigger_ops.S022"]
    assert [(one.level, grant in str(one.msg)) for one in told] == [(checks.ERROR, True)]


def test_a_guard_that_was_damaged_stays_on_record_while_nobody_can_read_it(
    guarded: BaseDatabaseWrapper, reader: str
) -> None:
    run("DROP FUNCTION trigger_ops_gate(name) CASCADE")
    run("DROP FUNCTION _pgtrigger_should_ignore(name) CASCADE")
    check(reader, record=True)
    open_before = set(codes())
    assert "trigger_ops.C006" in open_before
    run("REVOKE SELECT ON trigger_ops_guard FROM {role}", role=reader)
    report = check(reader, record=True)
    assert (report.complete, report.unrecorded) == (False, "")
    assert open_before <= set(codes())
    target = DriftTarget.objects.latest("pk")
    assert (target.state, "GRANT SELECT" in target.reason) == ("incomplete", True)


def codes() -> list[str]:
    return list(DriftFinding.objects.filter(resolved=None).values_list("code", flat=True))


def test_tables_in_a_schema_that_the_role_cannot_look_into_are_not_absent(
    own_database: BaseDatabaseWrapper, reader: str
) -> None:
    run("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    statement = assert_unread(check(reader), reader)
    assert statement.startswith(f'GRANT USAGE ON SCHEMA "public" TO "{reader}"; GRANT SELECT ON ')
    run(statement)
    assert check(reader).targets[0].status == "ok"


def test_without_our_tables_there_is_nothing_to_read(
    own_database: BaseDatabaseWrapper, reader: str
) -> None:
    tables = run(
        "SELECT relname FROM pg_class WHERE relname LIKE 'trigger_ops_%%' AND relkind = 'r'"
    )
    for (name,) in tables:
        run("DROP TABLE {table} CASCADE", table=name)
    for role in (reader, "CURRENT_USER"):
        if role == reader:
            run("SET ROLE {role}", role=role)
        report = api.check(databases=["default"])
        run("RESET ROLE")
        assert (report.targets[0].status, report.complete) == ("ok", True)


def test_what_somebody_holds_locked_is_unknown_too(
    guarded: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
    settings: Any,
) -> None:
    settings.TRIGGER_OPS = {"DEPLOY_WAIT": "100ms", "LOCK_TIMEOUT": 50}
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE trigger_ops_triggerlease IN ACCESS EXCLUSIVE MODE")
    report = api.check(databases=["default"])
    other.rollback()
    assert (report.targets[0].status, report.exit_code) == ("incomplete", ExitCode.INCOMPLETE)
    assert "lock timeout" in report.targets[0].reason
    assert api.check(databases=["default"]).exit_code is ExitCode.CLEAN


def test_a_guard_that_was_switched_off_is_off(guarded: BaseDatabaseWrapper, reader: str) -> None:
    guard(Verb.GUARD_REMOVE)
    assert check(reader).exit_code is ExitCode.CLEAN
