"""What cannot be read is said to be so: never a traceback, never green."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.awkward.models import ArchivedDocument
from demo_site.embedded import binaries, server
from tests import damage
from tests.damage import pgid, run
from tests.weaknesses.conftest import OwnServer, default_at
from tests.weaknesses.expectations import (
    CUSTOMER,
    INVOICE,
    PAYROLL,
    assert_clean,
    bad,
    check,
    forget,
    only,
    status_of,
    the,
    trigger_of,
)
from trigger_ops import api
from trigger_ops.drift import Report
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.states import Enabled, ExitCode, Facet, Status, Verdict

in_transaction = pytest.mark.django_db


def assert_unknown(report: Report, reason: str) -> None:
    """Demand that nothing is known of the first database, and that the report says why."""
    assert report.targets[0].status == "unreachable"
    assert reason in report.targets[0].reason
    triggers = report.databases[0].triggers
    assert {one.status for one in triggers} == {Status.UNKNOWN}
    assert {one.enabled for one in triggers} == {Enabled.NOT_APPLICABLE}
    assert len(triggers) > 50
    assert not report.complete
    assert report.exit_code is ExitCode.INCOMPLETE
    assert report.summary == {"UNKNOWN": len(triggers)}


def shape(report: Report) -> list[tuple[Any, ...]]:
    """Return all that a report says, but for who looked and when."""
    findings = [
        (one.id, one.uri, one.facets, one.status, one.enabled, one.message)
        for one in report.findings
    ]
    return [*findings, report.summary, report.complete, report.exit_code]


# Rights ------------------------------------------------------------------------------------------


@in_transaction
def test_where_the_router_says_no_a_trigger_is_unallowed() -> None:
    report = check()
    (uri,) = [one.uri for one in report.databases[0].triggers if one.status is Status.UNALLOWED]
    assert uri.startswith(ArchivedDocument._meta.label)
    assert trigger_of(report, uri).verdict is Verdict.NOT_ALLOWED
    assert_clean(report)


def damage_much() -> None:
    damage.gut(pgid(INVOICE))
    run("ALTER TABLE past_payroll DISABLE TRIGGER {trigger}", trigger=pgid(PAYROLL))
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON past_customer FOR EACH ROW "
        "WHEN (OLD.email = NEW.email) EXECUTE FUNCTION {trigger}()",
        trigger=pgid(CUSTOMER),
    )
    run("DROP TRIGGER {trigger} ON past_receipt", trigger=pgid("past.Receipt:append_only"))
    run("ALTER TABLE awkward_measurement_2025 DISABLE TRIGGER ALL")
    run("ALTER ROLE ALL SET session_replication_role = replica")
    run("CREATE RULE divert AS ON DELETE TO past_contract DO INSTEAD NOTHING")


@in_transaction
@pytest.mark.parametrize("damaged", [False, True])
def test_a_role_without_any_right_gets_the_same_findings_and_is_told_what_it_lacks(
    damaged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damaged:
        damage_much()
    expected = check()
    assert bool(bad(expected)) == damaged
    run("REVOKE ALL ON SCHEMA public, ledger FROM PUBLIC")
    role = damage.make_role("nobody")
    forget(monkeypatch)
    run("SET LOCAL ROLE {role}", role=role)
    report = check()
    assert shape(report)[:-2] == shape(expected)[:-2]
    assert (report.complete, report.exit_code) == (False, 1 if damaged else 3)
    words = f'GRANT USAGE ON SCHEMA "public" TO "{role}"; GRANT SELECT ON '
    assert words in report.targets[0].reason
    with pytest.raises(DatabaseError), connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1 FROM public.past_invoice")


def test_a_login_role_with_connect_alone_gets_the_same_findings(
    own_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage.gut(pgid(INVOICE))
    expected = check()
    role = damage.make_role("caller", options="LOGIN PASSWORD 'caller'")
    try:
        forget(monkeypatch)
        name = own_database.settings_dict["NAME"]
        with default_at(NAME=name, USER=role, PASSWORD="caller"):
            assert run("SELECT current_user") == [(role,)]
            report = check()
            assert shape(report)[:-2] == shape(expected)[:-2]
            assert (report.complete, report.exit_code) == (False, 1)
            assert "; GRANT" not in report.targets[0].reason
            assert "GRANT SELECT ON " in report.targets[0].reason
    finally:
        run("DROP ROLE {role}", role=role)


@in_transaction
def test_without_the_right_to_make_temporary_tables_conditions_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget(monkeypatch)
    role = damage.make_role("no_temp")
    database = connections["default"].settings_dict["NAME"]
    run("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC", database=database)
    run("SET LOCAL ROLE {role}", role=role)
    report = check()
    assert {one for one, _ in bad(report)} == {"trigger_ops.W004"}
    assert report.exit_code is ExitCode.INCOMPLETE
    assert not report.complete
    assert status_of(report, CUSTOMER) is Status.UNKNOWN
    finding = the(report, "W004", CUSTOMER)
    assert finding.facets == (Facet.CONDITION,)
    assert f'GRANT TEMPORARY ON DATABASE "{database}" TO "{role}"' in finding.message
    # What has no condition is whole, and remembered forms make the rest so.
    assert status_of(report, INVOICE) is Status.INSTALLED
    run("RESET ROLE")
    assert_clean(check(record=True))
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    monkeypatch.setattr(api.inspecting, "_minted", {})
    run("SET LOCAL ROLE {role}", role=role)
    assert_clean(check())


@in_transaction
def test_a_forged_remembered_form_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    assert_clean(check(record=True))
    run("UPDATE trigger_ops_canonicalform SET condition = '(false)'")
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON past_customer FOR EACH ROW "
        "WHEN (false) EXECUTE FUNCTION {trigger}()",
        trigger=pgid(CUSTOMER),
    )
    monkeypatch.setattr(api.inspecting, "_minted", {})
    only(check(), "C004", CUSTOMER)


@in_transaction
def test_without_the_table_of_remembered_forms_they_are_made() -> None:
    run("DROP TABLE trigger_ops_canonicalform")
    assert_clean(check(record=True))


# Servers -----------------------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port of this machine where nobody listens, kept so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@in_transaction
def test_a_server_that_is_down_is_unknown(closed_port: int) -> None:
    with default_at(HOST="127.0.0.1", PORT=str(closed_port)):
        assert_unknown(check(), "refused")
        listing = api.survey()
        assert (listing.exit_code, listing.complete) == (ExitCode.INCOMPLETE, False)
        with pytest.raises(DatabaseUnreadable, match="refused"):
            api.inspect()


@in_transaction
def test_a_database_that_does_not_exist_is_unknown_and_no_password_is_told() -> None:
    with default_at(NAME="no_such_database"):
        assert_unknown(check(), "no_such_database")
    with default_at(NAME="no_such_database", PASSWORD="hush"):
        assert "hush" not in check().targets[0].reason


@pytest.mark.django_db(databases=["default", "archive"])
def test_findings_of_one_database_win_over_another_that_is_down(closed_port: int) -> None:
    damage.gut(pgid(INVOICE))
    original = connections["archive"].settings_dict
    connections["archive"].close()
    connections["archive"].settings_dict = {
        **original,
        "HOST": "127.0.0.1",
        "PORT": str(closed_port),
    }
    try:
        report = api.check()
    finally:
        connections["archive"].settings_dict = original
    assert [target.status for target in report.targets] == ["ok", "unreachable"]
    assert not report.complete
    assert report.exit_code is ExitCode.FINDINGS


@in_transaction
def test_a_statement_timeout_is_unknown_and_the_transaction_goes_on(settings: Any) -> None:
    run("CREATE TABLE mine (id int)")
    settings.TRIGGER_OPS = {"STATEMENT_TIMEOUT": 1}
    assert_unknown(check(), "timeout")
    settings.TRIGGER_OPS = {}
    assert run("SELECT count(*) FROM mine") == [(0,)]
    assert_clean(check())


@pytest.mark.django_db(databases=["default", "lite"])
def test_an_alias_that_is_not_postgresql_is_unallowed() -> None:
    report = api.check(databases=["lite"])
    assert report.targets[0].status == "not postgresql"
    assert {one.status for one in report.databases[0].triggers} == {Status.UNALLOWED}
    (reason,) = {one.reason for one in report.databases[0].triggers}
    assert reason == '"lite" is not PostgreSQL, so pgtrigger installs nothing there.'
    assert "INSTALLED" not in report.summary
    assert report.exit_code == 3
    assert "lite" not in api.postgres_aliases()
    with default_at(NAME=connections["default"].settings_dict["NAME"]):
        assert "lite" not in [target.database for target in check().targets]


@in_transaction
def test_a_trigger_that_cannot_be_compiled_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    import pgtrigger

    ((_, trigger),) = pgtrigger.registered(INVOICE)

    def broken(*_: Any) -> str:
        raise RuntimeError("no function today")

    monkeypatch.setattr(trigger, "get_func", broken)
    report = check()
    finding = only(report, "E004", INVOICE)
    assert "no function today" in finding.message
    assert status_of(report, INVOICE) is Status.UNKNOWN
    assert status_of(report, CUSTOMER) is Status.INSTALLED


# A whole server ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def standby(own_server: OwnServer, django_db_blocker: Any) -> Iterator[server.Server]:
    """Start a hot standby of the tests' own server. No form is remembered on either."""
    folder = binaries.find().folder
    if (
        not os.access(folder / "pg_basebackup", os.X_OK)
        and os.environ.get("TRIGGER_OPS_CI") != "1"
    ):
        pytest.skip(f"{folder} has no pg_basebackup, which makes the standby")
    with django_db_blocker.unblock(), default_at(**own_server.settings()):
        run("DELETE FROM trigger_ops_canonicalform")
    copy = own_server.make_standby()
    yield copy
    server.stop(copy.data)


@contextlib.contextmanager
def at_standby(own_server: OwnServer, standby: server.Server) -> Iterator[None]:
    """Let `default` be the standby, once it has all that was committed on its primary so far.

    The tests' own servers commit asynchronously, so that it follows a moment later. The mark is
    transactional because nothing flushes one that no commit comes after.
    """
    with default_at(**own_server.settings()):
        ((mark,),) = run("SELECT pg_logical_emit_message(true, 'tests', '')::text")
    with default_at(**own_server.settings(standby)):
        deadline = time.monotonic() + 20
        while run("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", mark) != [(True,)]:
            assert time.monotonic() < deadline, mark
            time.sleep(0.02)
        yield


def test_a_hot_standby_reads_everything_but_unknown_conditions(
    own_server: OwnServer,
    standby: server.Server,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.inspecting, "_minted", {})
    with django_db_blocker.unblock():
        with at_standby(own_server, standby):
            report = check()
            assert {one for one, _ in bad(report)} == {"trigger_ops.W004"}
            assert report.exit_code is ExitCode.INCOMPLETE
            assert "standby" in the(report, "W004", CUSTOMER).message
            assert status_of(report, INVOICE) is Status.INSTALLED
        with default_at(**own_server.settings()):
            damage.gut(pgid(INVOICE))
            only(check(record=True), "C001", INVOICE)
        monkeypatch.setattr(api.inspecting, "_minted", {})
        with at_standby(own_server, standby):
            # Whole again, for what the primary remembers has come here too.
            assert only(check(), "C001", INVOICE).status is Status.TAMPERED
        with default_at(**own_server.settings()):
            damage.stock("install", INVOICE)
            assert_clean(check())


@pytest.mark.parametrize("verb", ["disable", "uninstall"])
def test_a_hot_standby_is_not_changed_and_the_sentence_says_where_to_go(
    verb: str, own_server: OwnServer, standby: server.Server, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock(), at_standby(own_server, standby):
        call_command("pgtrigger", "install", INVOICE, verbosity=0)
        with pytest.raises(CommandError, match="is a standby: run this against") as caught:
            call_command("pgtrigger", verb, INVOICE, verbosity=0)
        assert caught.value.returncode == ExitCode.REFUSED
        assert status_of(check(INVOICE), INVOICE) is Status.INSTALLED


@pytest.mark.parametrize("name", ["session_replication_role", "pgtrigger.ignore"])
def test_a_setting_in_the_servers_own_configuration_is_seen(
    own_server: OwnServer, django_db_blocker: Any, name: str
) -> None:
    value = "replica" if name == "session_replication_role" else "{pgtrigger_x}"
    configuration = own_server.data / "postgresql.conf"
    before = configuration.read_text()

    def reload(text: str, *answers: str | None) -> None:
        configuration.write_text(text)
        with default_at(**own_server.settings()):
            run("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 20
        while True:
            with default_at(**own_server.settings()):
                if run("SELECT current_setting(%s, true)", name)[0][0] in answers:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with django_db_blocker.unblock():
        reload(f"{before}\n{name} = '{value}'\n", value)
        try:
            with default_at(**own_server.settings()):
                finding = only(check(), "C003", None)
                assert finding.message.startswith(f"New sessions start with {name} = {value}")
                assert "ALTER SYSTEM RESET" in finding.fix
        finally:
            reload(before, "origin", "", None)
        with default_at(**own_server.settings()):
            assert_clean(check())
