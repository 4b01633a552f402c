"""``install`` of 1,000 triggers on 200 tables: where nothing is to do, and where everything is.

Each number is the best of several fresh processes, taken in turn, a millisecond away from the
server, from an open connection to the end of the command: neither Django's start nor the command's
import is in it. Our tables are migrated, so that our runs write their ledger.
"""

from __future__ import annotations

from benchmarks import Row
from benchmarks.distance import a_millisecond_away
from benchmarks.inspection import FORGET
from benchmarks.project import Project, project

MODELS, TRIGGERS_EACH = 200, 5
TRIGGERS = MODELS * TRIGGERS_EACH
REPEATS = 5

INSTALL = """
import contextlib, io, json, time
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection
connection.ensure_connection()
load_command_class(get_commands()["pgtrigger"], "pgtrigger")
started = time.perf_counter()
with contextlib.redirect_stderr(io.StringIO()):
    call_command("pgtrigger", "install")
print(json.dumps(time.perf_counter() - started))
"""
# EXCLUSIVE stands beside ACCESS SHARE, and beside no other lock.
INSTALL_BESIDE_A_LOCK = """
import contextlib, io, json, time
from django.core.management import call_command
from django.db import OperationalError, connection
holder = connection.copy()
with holder.cursor() as cursor:
    cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
    tables = [table for (table,) in cursor.fetchall()]
    cursor.execute(f"BEGIN; LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
connection.cursor().execute("SET lock_timeout = '1s'")
seconds = None
started = time.perf_counter()
with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(OperationalError):
    call_command("pgtrigger", "install")
    seconds = time.perf_counter() - started
holder.close()
print(json.dumps([len(tables), seconds]))
"""
# From the moment the first CREATE TRIGGER is sent until COMMIT has been answered.
LONGEST_LOCK = """
import contextlib, io, json, time
from django.core.management import call_command
from django.db import connection
connection.ensure_connection()
tables, now = [], time.perf_counter
def watch(execute, sql, params, many, context):
    started = now()
    result = execute(sql, params, many, context)
    if "CREATE TRIGGER" in str(sql):
        tables.append([started, now()])
    elif sql == "COMMIT" and tables and len(tables[-1]) == 2:
        tables[-1].append(now())
    return result
with contextlib.redirect_stderr(io.StringIO()), connection.execute_wrapper(watch):
    call_command("pgtrigger", "install")
assert len(tables) == {models} and all(len(times) == 3 for times in tables), tables
print(json.dumps(max((done - sent, answered - sent) for sent, answered, done in tables)))
"""
DROP_ALL = """
from django.db import connection
connection.cursor().execute('''
    DO $$
    DECLARE one record;
    BEGIN
        FOR one IN SELECT tgname, tgrelid::regclass AS on_table, tgfoid::regprocedure AS executes
                     FROM pg_trigger WHERE tgname LIKE 'pgtrigger\\\\_%'
        LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, one.on_table);
            EXECUTE format('DROP FUNCTION %s', one.executes);
        END LOOP;
        DROP FUNCTION IF EXISTS _pgtrigger_should_ignore(name);
    END $$''')
connection.cursor().execute("VACUUM pg_trigger, pg_proc, pg_depend, pg_description, pg_class")
"""
STATE = """
import json
from trigger_ops import api
report = api.check()
print(json.dumps([report.exit_code, report.summary]))
"""


def run() -> list[Row]:
    """Measure a no-op install and a fresh one (about two minutes)."""
    with (
        project("benchmark", models=MODELS, triggers_each=TRIGGERS_EACH) as generated,
        a_millisecond_away(generated) as (url, network),
    ):
        return [
            _no_op(generated, url, network),
            _beside_a_lock(generated, url),
            _fresh(generated, url, network),
            _longest_lock(generated, url),
        ]


def _no_op(generated: Project, url: str, network: str) -> Row:
    generated.run(INSTALL, ours=True)
    stock, ours = _in_turn(generated, url, before="")
    return Row(f"install of {TRIGGERS:,}, nothing to do, {network}", stock, ours)


def _in_turn(generated: Project, url: str, *, before: str) -> tuple[float, float]:
    """Return the best of stock's seconds and of ours; ``before`` is run before each."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPEATS):
        for ours, seconds in times.items():
            if before:
                generated.run(before, ours=ours)
                generated.run(FORGET, ours=True)
            seconds.append(generated.run(INSTALL, ours=ours, url=url))
            assert_installed(generated)
    return min(times[False]), min(times[True])


def assert_installed(generated: Project) -> None:
    """Refuse a number that was measured without the work being done."""
    state = generated.run(STATE, ours=True)
    if state != [0, {"INSTALLED": TRIGGERS}]:
        raise AssertionError(state)


def _beside_a_lock(generated: Project, url: str) -> Row:
    """Install while somebody holds what every lock but ACCESS SHARE would wait for."""
    _, stock = generated.run(INSTALL_BESIDE_A_LOCK, ours=False, url=url)
    tables, ours = generated.run(INSTALL_BESIDE_A_LOCK, ours=True, url=url)
    if stock is not None or ours is None:
        raise AssertionError((stock, ours))
    note = (
        f"No lock above ACCESS SHARE was taken on the {tables} tables that carry a trigger; stock "
        "waits for one until its lock_timeout."
    )
    return Row("the same while each table is locked IN EXCLUSIVE MODE", None, ours, note)


def _fresh(generated: Project, url: str, network: str) -> Row:
    stock, ours = _in_turn(generated, url, before=DROP_ALL)
    return Row(f"install of {TRIGGERS:,} on {MODELS} tables, all missing, {network}", stock, ours)


def _longest_lock(generated: Project, url: str) -> Row:
    generated.run(DROP_ALL, ours=True)
    held, answered = generated.run(LONGEST_LOCK.format(models=MODELS), ours=True, url=url)
    note = f"{answered * 1000:.1f} ms of it for its own statements in one message, then COMMIT."
    return Row("the longest that one of these tables was locked", None, held, note)
