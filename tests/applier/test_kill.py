"""Kill -9: each table is old or new, the ledger tells which, and running again finishes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.applier.conftest import (
    INVOICE,
    PAYROLL,
    POSTING,
    VERSIONED,
    Connect,
    ask,
    drop,
    install,
    name_of_database,
    statuses,
)
from tests.damage import gut, pgid, run
from tests.management.conftest import ROOT
from trigger_ops.applier.workplaces import KEY
from trigger_ops.ledger.announcements import read_announcement
from trigger_ops.states import ExitCode

ALL = (INVOICE, PAYROLL, POSTING, *VERSIONED)
TABLES = ("awkward_posting", "past_invoice", "past_payroll", "tutorial_versioned")

EVERYTHING = (
    "SELECT t.tgrelid::regclass::text, array_agg(concat_ws('|', t.tgname, t.tgtype, "
    "t.tgdeferrable, t.tginitdeferred, t.tgenabled, p.prosrc, d.description) ORDER BY t.tgname) "
    "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "LEFT JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_trigger'::regclass "
    "WHERE t.tgrelid::regclass::text = ANY (%s) AND NOT t.tgisinternal GROUP BY 1"
)


def state() -> dict[str, Any]:
    """Return all there is to know of the triggers on each of the tables."""
    found = dict(run(EVERYTHING, list(TABLES)))
    return {table: found.get(table) for table in TABLES}


def damage_all() -> None:
    """Make each table's triggers differ in a way of its own; the same each time."""
    gut(pgid(INVOICE))
    run("COMMENT ON TRIGGER {name} ON past_invoice IS 'old'", name=pgid(INVOICE))
    drop(PAYROLL, "past_payroll")
    run("DROP TRIGGER {name} ON awkward_posting", name=pgid(POSTING))
    run(
        "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT OR UPDATE ON awkward_posting "
        "DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=pgid(POSTING),
    )
    for uri in VERSIONED:
        drop(uri, "tutorial_versioned")


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.management.settings",
        "TRIGGER_OPS_TEST": json.dumps({"names": {"default": name_of_database()}}),
        "PGAPPNAME": "mortal",
    }


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def backends() -> list[int]:
    """Return the backends of the processes that these tests start."""
    rows = run(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'mortal' "
        "AND datname = current_database()"
    )
    return [pid for (pid,) in rows]


def until(condition: Callable[[], Any], *, within: float) -> float:
    """Wait for something; return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within, "it does not happen"
        time.sleep(0.02)
    return time.monotonic() - started


def newest_run() -> tuple[list[str], set[str]]:
    """Return the kinds of the newest run's rows, and the tables that it has statements of."""
    rows = run(
        'SELECT kind, "table" FROM trigger_ops_ledgerentry WHERE run = (SELECT run FROM '
        "trigger_ops_ledgerentry ORDER BY id DESC LIMIT 1) ORDER BY id"
    )
    return [kind for kind, _ in rows], {table for kind, table in rows if kind == "statement"}


def assert_old_or_new(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """Demand that no table is half-way, and that the ledger says which are new; return those."""
    now = state()
    done = {table for table in TABLES if now[table] == new[table]}
    assert {table: now[table] for table in TABLES if table not in done} == {
        table: old[table] for table in TABLES if table not in done
    }
    return done


def test_a_kill_at_any_statement_leaves_each_table_old_or_new(
    own_database: BaseDatabaseWrapper,
) -> None:
    install()
    new = state()
    seen, number, ended = set(), 0, -signal.SIGKILL
    with start("-m", "tests.applier.mortal", "install", *ALL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while ended == -signal.SIGKILL:
            damage_all()
            old = state()
            assert all(old[table] != new[table] for table in TABLES)
            run("ALTER TABLE trigger_ops_ledgerentry DISABLE TRIGGER ALL")
            run("DELETE FROM trigger_ops_ledgerentry")
            run("ALTER TABLE trigger_ops_ledgerentry ENABLE TRIGGER ALL")
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            ended = int(process.stdout.readline())
            until(lambda: not backends(), within=5)
            done = assert_old_or_new(old, new)
            kinds, told = newest_run()
            assert told == done
            seen.add(len(done))
            if ended and kinds:
                assert kinds[0] == "started"
                assert "unfinished" in told_by_log() or "finished" in kinds
            started = time.monotonic()
            again = install(*ALL)
            assert (again.stopped, again.failed) == ("", ())
            assert {one.step.table for one in again.changed} == set(TABLES) - done
            assert time.monotonic() - started < 5
            assert state() == new
            assert read_announcement("default", "public") is None
            number += 1
    assert ended == 0
    assert seen == {0, 1, 2, 3, 4}


def told_by_log() -> str:
    out = io.StringIO()
    call_command("pgtrigger", "log", stdout=out)
    return out.getvalue()


@pytest.fixture
def damaged(own_database: BaseDatabaseWrapper) -> tuple[dict[str, Any], dict[str, Any]]:
    install()
    new = state()
    damage_all()
    return state(), new


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=20)


def finish(new: dict[str, Any]) -> None:
    """Run again, which finishes, and is not held up by what the dead run announced."""
    started = time.monotonic()
    assert install(*ALL).exit_code is ExitCode.CLEAN
    assert time.monotonic() - started < 5
    assert state() == new
    assert read_announcement("default", "public") is None
    assert set(statuses(*ALL).values()) == {"INSTALLED"}


def waits_for(kind: str) -> Callable[[], bool]:
    return lambda: bool(
        run(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'mortal' "
            "AND datname = current_database() AND wait_event_type || ':' || wait_event = %s",
            kind,
        )
    )


def test_a_run_killed_while_its_backend_waits_for_a_lock_is_gone_in_two_seconds(
    damaged: tuple[dict[str, Any], dict[str, Any]], second_connection: Connect
) -> None:
    other = second_connection()
    other.set_autocommit(False)
    ask(other, "LOCK TABLE past_payroll IN SHARE MODE")
    process = start(
        "manage.py", "pgtrigger", "install", *ALL, "--lock-timeout", "30s", "--lock-budget", "60s"
    )
    until(waits_for("Lock:relation"), within=20)
    kill(process)
    assert until(lambda: not backends(), within=5) < 2.5
    assert assert_old_or_new(*damaged) == {"awkward_posting", "past_invoice"} == newest_run()[1]
    other.rollback()
    finish(damaged[1])


def test_a_run_killed_between_two_tables_keeps_the_first(
    damaged: tuple[dict[str, Any], dict[str, Any]], second_connection: Connect
) -> None:
    slow_down("past_invoice", 1)
    process = start("manage.py", "pgtrigger", "install", *ALL)
    until(waits_for("Timeout:PgSleep"), within=20)
    other = second_connection()
    other.set_autocommit(False)
    ask(other, f"SELECT pg_advisory_xact_lock({KEY})")
    until(waits_for("Lock:advisory"), within=20)
    kill(process)
    until(lambda: not backends(), within=5)
    done = assert_old_or_new(*damaged)
    assert done == {"awkward_posting", "past_invoice"} == newest_run()[1]
    assert newest_run()[0][-1] == "statement"
    other.rollback()
    run("DROP EVENT TRIGGER slow")
    assert "unfinished" in told_by_log()
    finish(damaged[1])


def slow_down(table: str, seconds: int) -> None:
    """Make statements about one table's triggers take long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE "
            f"'%{table}%') THEN PERFORM pg_sleep({seconds}); END IF; END $$"
        )
        cursor.execute(
            "CREATE EVENT TRIGGER slow ON ddl_command_end "
            "WHEN TAG IN ('CREATE TRIGGER', 'COMMENT') EXECUTE FUNCTION slow()"
        )


def test_a_run_killed_inside_a_statement_leaves_that_table_old(
    damaged: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    slow_down("past_payroll", 60)
    process = start("manage.py", "pgtrigger", "install", *ALL)
    until(waits_for("Timeout:PgSleep"), within=20)
    kill(process)
    assert until(lambda: not backends(), within=5) < 2.5
    assert assert_old_or_new(*damaged) == {"awkward_posting", "past_invoice"} == newest_run()[1]
    run("DROP EVENT TRIGGER slow")
    finish(damaged[1])


def test_a_connection_that_is_ended_midway_gets_a_sentence_and_a_last_row(
    damaged: tuple[dict[str, Any], dict[str, Any]], second_connection: Connect
) -> None:
    other, pid = second_connection(), connection.connection.info.backend_pid

    def on_progress(done: int, total: int, table: str) -> None:
        if table == "past_payroll":
            ask(other, "SELECT pg_terminate_backend(%s, 5000)", pid)

    report = install(*ALL, on_progress=on_progress)
    assert report.exit_code is ExitCode.PARTIAL
    assert 'The connection to "default" was lost at past_payroll' in report.stopped
    reasons = {one.step.table: one.reason for one in report.results}
    assert "as it was, or as it should be" in reasons["past_payroll"]
    assert reasons["tutorial_versioned"] == "the run ended before it"
    assert newest_run()[0][-1] == "finished"
    assert assert_old_or_new(*damaged) == {"awkward_posting", "past_invoice"} == newest_run()[1]
    finish(damaged[1])


def test_a_statement_that_somebody_cancels_ends_the_run(
    damaged: tuple[dict[str, Any], dict[str, Any]], second_connection: Connect
) -> None:
    slow_down("past_payroll", 60)
    other, pid = second_connection(), connection.connection.info.backend_pid
    other.inc_thread_sharing()

    def cancel() -> None:
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        while ask(other, asleep, pid) == [(0,)]:
            time.sleep(0.05)
        ask(other, "SELECT pg_cancel_backend(%s)", pid)

    thread = threading.Thread(target=cancel)
    thread.start()
    report = install(*ALL)
    thread.join()
    assert report.exit_code is ExitCode.PARTIAL
    assert "run the same command again" in report.stopped
    assert assert_old_or_new(*damaged) == {"awkward_posting", "past_invoice"}
    run("DROP EVENT TRIGGER slow")
    finish(damaged[1])
