"""A check prints what it found, whatever becomes of the record, and reports every database."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests import damage
from tests.api.conftest import archive_at
from tests.damage import pgid, run
from tests.weaknesses.expectations import INVOICE
from trigger_ops import api
from trigger_ops.drift import Report
from trigger_ops.exceptions import BadSettings, NotRecorded, UnknownDatabase
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget
from trigger_ops.states import ExitCode

WAIT = {"DEPLOY_WAIT": "100ms"}
MINUTE = dt.timedelta(minutes=1)
Make = Callable[..., str]


@pytest.fixture(autouse=True)
def short(settings: Any) -> None:
    """Wait for nobody for long."""
    settings.TRIGGER_OPS = WAIT


@pytest.fixture(params=["clean", "damaged"])
def code(request: pytest.FixtureRequest, own_database: BaseDatabaseWrapper) -> ExitCode:
    """Let `default` be clean or damaged; return what a check that is incomplete exits with."""
    if request.param == "clean":
        return ExitCode.INCOMPLETE
    damage.gut(pgid(INVOICE))
    return ExitCode.FINDINGS


def record(*databases: str, **options: Any) -> Report:
    return api.check(databases=list(databases or ["default"]), record=True, **options)


# The recording database -----------------------------------------------------------------------


def down(_: Make) -> dict[str, Any]:
    return {"HOST": "127.0.0.1", "PORT": "1", "PASSWORD": "geheim-4711"}


def not_migrated(make: Make) -> dict[str, Any]:
    return {"NAME": make(empty=True)}


def read_only(make: Make) -> dict[str, Any]:
    return {"NAME": make(), "OPTIONS": {"options": "-c default_transaction_read_only=on"}}


RECORDS = {
    "down": (down, "cannot be recorded in"),
    "not migrated": (not_migrated, "manage.py migrate trigger_ops --database archive"),
    "read-only": (read_only, "read-only transaction"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_where_nothing_can_be_recorded_the_report_says_so_and_is_there(
    case: str, code: ExitCode, settings: Any, make_database: Make
) -> None:
    where, words = RECORDS[case]
    settings.TRIGGER_OPS = {**WAIT, "RECORD_DATABASE": "archive"}
    with archive_at(**where(make_database)):
        report = record("default")
    assert words in report.unrecorded
    assert "\n" not in report.unrecorded
    assert "geheim" not in report.unrecorded
    assert (report.complete, report.exit_code) == (False, code)
    assert report.targets[0].triggers > 0
    damaged = "trigger_ops.C001" in {one.id for one in report.findings}
    assert damaged == (code is ExitCode.FINDINGS)
    assert not DriftRun.objects.exists()


@pytest.mark.parametrize("case", RECORDS)
def test_a_check_that_records_nothing_needs_no_record(
    case: str, own_database: BaseDatabaseWrapper, settings: Any, make_database: Make
) -> None:
    where, _ = RECORDS[case]
    settings.TRIGGER_OPS = {**WAIT, "RECORD_DATABASE": "archive"}
    with archive_at(**where(make_database)):
        report = api.check(databases=["default"])
    assert (report.unrecorded, report.exit_code) == ("", ExitCode.CLEAN)


def test_a_record_elsewhere_leaves_the_patient_alone(
    code: ExitCode, settings: Any, make_database: Make
) -> None:
    settings.TRIGGER_OPS = {**WAIT, "RECORD_DATABASE": "archive"}
    with archive_at(NAME=make_database()):
        report = record("default")
        assert DriftRun.objects.using("archive").get().id == report.run_id
        kept = DriftFinding.objects.using("archive").filter(code="trigger_ops.C001")
        assert kept.count() == (code is ExitCode.FINDINGS)
        again = record("default")
    assert {one.first_seen for one in again.findings} != {None}
    assert not DriftRun.objects.exists()


def test_a_record_that_is_not_postgresql_is_refused(
    own_database: BaseDatabaseWrapper, settings: Any
) -> None:
    settings.TRIGGER_OPS = {**WAIT, "RECORD_DATABASE": "lite"}
    with pytest.raises(BadSettings, match="which is not PostgreSQL"):
        record()
    assert api.check(databases=["default"]).exit_code is ExitCode.CLEAN


# One database of two ----------------------------------------------------------------------------


def without_rights(make: Make) -> dict[str, Any]:
    name = make(empty=True)
    role = damage.make_role("nobody", options="LOGIN PASSWORD 'geheim-4711'")
    run("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC", name=name)
    return {"NAME": name, "USER": role, "PASSWORD": "geheim-4711"}


@pytest.fixture
def locked(make_database: Make) -> Iterator[dict[str, Any]]:
    """Let somebody hold what every reading needs in a database."""
    where = {"NAME": make_database(empty=True)}
    with archive_at(**where) as holder:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE")
            yield where
        holder.rollback()


@pytest.fixture(params=["down", "without rights", "slow"])
def ailing(
    request: pytest.FixtureRequest, code: ExitCode, make_database: Make
) -> Iterator[dict[str, Any]]:
    """Return where a database is that cannot be read."""
    if request.param == "slow":
        yield request.getfixturevalue("locked")
        return
    where = down(make_database) if request.param == "down" else without_rights(make_database)
    yield where
    if request.param == "without rights":
        run("DROP ROLE {role}", role=where["USER"])


def test_one_database_that_ails_hides_nothing_of_the_other(
    ailing: dict[str, Any], code: ExitCode, settings: Any
) -> None:
    settings.TRIGGER_OPS = {**WAIT, "STATEMENT_TIMEOUT": 1500, "LOCK_TIMEOUT": 200}
    with archive_at(**ailing):
        report = record("archive", "default")
    assert [one.status for one in report.targets] == ["unreachable", "ok"]
    assert (report.complete, report.exit_code, report.unrecorded) == (False, code, "")
    assert {one.status for one in report.databases[0].triggers} <= {"UNKNOWN", "UNALLOWED"}
    made = DriftRun.objects.get()
    assert (made.complete, made.finished is not None) == (False, True)
    bad, good = DriftTarget.objects.order_by("pk")
    assert (bad.state, good.state) == ("unreachable", "ok")
    assert bad.reason.startswith('"archive" could not be read: ')
    assert "\n" not in bad.reason
    assert "geheim" not in bad.reason
    damaged = DriftFinding.objects.filter(code="trigger_ops.C001", resolved__isnull=True).count()
    assert damaged == (code is ExitCode.FINDINGS)


def test_what_cannot_be_read_resolves_nothing(
    own_database: BaseDatabaseWrapper, make_database: Make
) -> None:
    name = make_database()
    with archive_at(NAME=name):
        record("archive", "default")
    before = DriftFinding.objects.filter(database="archive", resolved__isnull=True).count()
    assert before > 0
    with archive_at(**down(make_database)):
        record("archive", "default")
    after = DriftFinding.objects.filter(database="archive", resolved__isnull=True).count()
    assert after == before


def test_a_condition_that_could_not_be_read_resolves_nothing(
    own_database: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
    settings: Any,
) -> None:
    """UNKNOWN is never green: what was wrong with a trigger stays open while it is locked."""
    settings.TRIGGER_OPS = {**WAIT, "LOCK_TIMEOUT": 50}
    ((table, trigger, definition),) = run(
        "SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgqual IS NOT NULL AND c.relkind = 'r' "
        "AND t.tgname LIKE 'pgtrigger%%' AND t.tgconstraint = 0 "
        "AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2 LIMIT %s",
        1,
    )
    changed = re.sub(r"WHEN \(.*\) EXECUTE", "WHEN (false) EXECUTE", definition)
    run(changed.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
    record()
    (row,) = DriftFinding.objects.filter(code="trigger_ops.C004", trigger=trigger)
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
        report = record()
    other.rollback()
    assert not report.complete
    row.refresh_from_db()
    assert row.resolved is None
    assert DriftTarget.objects.order_by("-pk")[0].state == "incomplete"


# Looking back -----------------------------------------------------------------------------------


def test_a_look_back_reads_no_patient(own_database: BaseDatabaseWrapper, settings: Any) -> None:
    here = ["default"]
    assert api.last_run(MINUTE, databases=here).exit_code is ExitCode.INCOMPLETE
    record()
    assert api.last_run(MINUTE, databases=here).exit_code is ExitCode.CLEAN
    assert api.last_run(MINUTE).exit_code is ExitCode.INCOMPLETE  # `archive` was never read
    damage.gut(pgid(INVOICE))
    assert api.last_run(MINUTE, databases=here).exit_code is ExitCode.CLEAN
    record()
    last = api.last_run(MINUTE, databases=here)
    assert last.exit_code is ExitCode.FINDINGS
    assert [one.uri for one in last.failing] == [INVOICE]
    assert last.findings[0].first_seen is not None
    assert api.last_run(dt.timedelta(), databases=here).exit_code is ExitCode.INCOMPLETE


def test_a_run_that_was_incomplete_or_partial_is_no_sign_of_life(
    own_database: BaseDatabaseWrapper, make_database: Make
) -> None:
    api.check(INVOICE, databases=["default"], record=True)
    assert api.last_run(MINUTE).run is None
    with archive_at(**down(make_database)):
        record("default", "archive")
    assert api.last_run(MINUTE).run is None
    assert api.last_run(MINUTE, databases=["default"]).run is not None
    assert api.last_run(MINUTE, databases=["default", "archive"]).run is None


def test_a_look_back_says_what_stands_in_its_way(
    own_database: BaseDatabaseWrapper, settings: Any, make_database: Make
) -> None:
    with pytest.raises(UnknownDatabase, match="default"):
        api.last_run(MINUTE, databases=["defualt"])
    settings.TRIGGER_OPS = {**WAIT, "RECORD_DATABASE": "archive"}
    for case in ("down", "not migrated"):
        where, words = RECORDS[case]
        with archive_at(**where(make_database)), pytest.raises(NotRecorded, match=words):
            api.last_run(MINUTE)


# The guard --------------------------------------------------------------------------------------


def test_rows_past_a_guard_open_grow_in_silence_and_resolve_once_acknowledged(
    guarded: BaseDatabaseWrapper,
) -> None:
    receipt = "past.Receipt:append_only"

    def delete_one() -> None:
        one = Receipt.objects.create(number="R-1")
        with connections["default"].cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT set_config('pgtrigger.ignore', %s, true)", [f"{{{pgid(receipt)}}}"]
            )
            cursor.execute("DELETE FROM past_receipt WHERE id = %s", [one.pk])
            cursor.execute("COMMIT")

    def rows() -> list[tuple[int, list[str], bool]]:
        found = DriftFinding.objects.filter(code="trigger_ops.C007")
        return [
            (one.count, list(one.events.values_list("kind", flat=True)), one.resolved is None)
            for one in found
        ]

    def acknowledge() -> None:
        numbers = {one.transaction for one in api.unattributed("default")}
        api.acknowledge("default", numbers, actor="os:ann@web1", reason="INC-12: by hand, known")

    for _ in range(3):
        delete_one()
    record()
    assert rows() == [(3, ["opened"], True)]
    delete_one()
    record()
    assert rows() == [(4, ["opened"], True)]
    acknowledge()
    record()
    assert rows() == [(4, ["opened", "resolved"], False)]
