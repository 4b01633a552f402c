"""What the guard costs: a bulk UPDATE that nothing ignores, one that a session does, and a revoke.

A table has one trigger that is asked for every row. Variants are taken in turn on one connection,
and each number is the median of its runs. *Lean* is a table of which every change fits beside the
row (HOT) and is rolled back, so that the trigger is nearly all there is; *indexed* has two more
indexes that each change has to follow, and is committed. Witnesses are those that ``guard install``
puts on such a table.

Where the server runs on this machine, ratios are given of the backend's own time as well, which
says the same on a busy one.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import Row
from benchmarks.project import project

ROWS, REPEATS = 100_000, 5
PAIRS = 15
STATEMENTS, BLOCK = 1_500, 50
REVOKES = 10

PREPARE = """
import dataclasses, datetime, json, pathlib, re, statistics, threading, time
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql
from trigger_ops.inspection.guarding import all_witnesses, witnesses_of
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.planner.guard_spelling import create_witness
from trigger_ops.sql.functions import expected_functions

TRIGGER = "pgtrigger_asked_12345"
GATE = [one.statement for one in expected_functions("guard", home="public", schema="public")]
STOCK = (
    "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
    f"LANGUAGE plpgsql AS $${{stock_ignore_body()}}$$"
)
IGNORE = f"SELECT set_config('pgtrigger.ignore', '{{{{{{TRIGGER}}}}}}', true)"
ASKED = {{
    "uris": ["generated.Order0:asked"], "triggers": [TRIGGER], "reason": "a benchmark",
    "surface": "code", "opener": "os:benchmark", "needs": 0, "lasts": "1 hour", "idle": "1 hour",
    "longest": "1 hour", "waits": "1 hour", "most_rows": 100000000, "most_extensions": 0,
}}

def do(statement, on=connection, parameters=None):
    with on.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

def open_session(on=connection):
    return do("SELECT trigger_ops_open(%s)", on, [json.dumps(ASKED)])[0][0]

def guard(gate, witness, tables=("lean", "indexed")):
    for statement in GATE if gate else [STOCK]:
        do(statement)
    for table in tables:
        for one in all_witnesses():
            do(f"DROP TRIGGER IF EXISTS {{one.name}} ON {{table}}")
        place = dataclasses.replace(all_witnesses()[0].table, schema="public", name=table)
        for one in witnesses_of(place, late=False, mask=re.compile("$^")) if witness else ():
            do(create_witness(one, "public", replace=False))
            do(f"ALTER TABLE {{table}} ENABLE {{one.enabled.value}} TRIGGER {{one.name}}")

def backend():
    # The seconds that the backend has run for, None where that cannot be known here.
    path = pathlib.Path(f"/proc/{{do('SELECT pg_backend_pid()')[0][0]}}")
    try:
        if "postgres" not in path.joinpath("comm").read_text():
            return None
        return int(path.joinpath("schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return None

def timed(statement, *, before=(), end="ROLLBACK"):
    do("BEGIN")
    for one in before:
        do(one)
    started = time.perf_counter()
    do(statement)
    if end == "COMMIT":
        do(end)
    seconds = time.perf_counter() - started
    if end != "COMMIT":
        do(end)
    return seconds

def medians(times):
    return {{name: statistics.median(each) for name, each in times.items()}}

do(f'''
    CREATE OR REPLACE FUNCTION {{TRIGGER}}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (public._pgtrigger_should_ignore(TG_NAME) IS TRUE) THEN
            IF (TG_OP = 'DELETE') THEN RETURN OLD; ELSE RETURN NEW; END IF;
        END IF;
        IF NEW.a < 0 THEN RAISE EXCEPTION 'pgtrigger: Cannot update rows'; END IF;
        RETURN NEW;
    END $$''')
for table in ("lean", "indexed"):
    do(f"DROP TABLE IF EXISTS {{table}}")
    do(
        f"CREATE TABLE {{table}} (id int PRIMARY KEY, a int, name text, at timestamptz DEFAULT now(), "
        "more jsonb DEFAULT '{{\\"k\\": 1}}') WITH (fillfactor = 45)"
    )
    do(f"INSERT INTO {{table}} (id, a, name) SELECT n, n, 'row ' || n FROM generate_series(1, {rows}) n")
    do(
        f"CREATE TRIGGER {{TRIGGER}} BEFORE UPDATE ON {{table}} FOR EACH ROW "
        f"EXECUTE FUNCTION {{TRIGGER}}()"
    )
do("CREATE INDEX ON indexed (a)")
do("CREATE INDEX ON indexed (name, a)")
do("VACUUM ANALYZE")
"""
IDLE = """
WAYS = {{"stock": (False, False), "gate": (True, False), "both": (True, True)}}
times = {{}}
for _ in range({repeats}):
    for table, end in (("lean", "ROLLBACK"), ("indexed", "COMMIT")):
        for name, way in WAYS.items():
            guard(*way)
            do(f"VACUUM {{table}}")
            seconds = timed(f"UPDATE {{table}} SET a = a + 1", end=end)
            times.setdefault(f"{{table}} {{name}}", []).append(seconds)
# Two that are alike follow each other, the one first and then the other.
pairs = []
for number in range({pairs}):
    pair = {{}}
    for witness in (False, True) if number % 2 else (True, False):
        guard(True, witness, ["indexed"])
        do("VACUUM indexed")
        before = backend()
        seconds = timed("UPDATE indexed SET a = a + 1", end="COMMIT")
        pair[witness] = (seconds, backend() - before if before else None)
    pairs.append(pair)
guard(True, True)
assert do("SELECT count(*) FROM trigger_ops_change") == [(0,)]
times = medians(times)
for place, name in enumerate(("wall", "backend")):
    if all(one[place] for pair in pairs for one in pair.values()):
        ratios = [pair[True][place] / pair[False][place] for pair in pairs]
        times[f"ratios {{name}}"] = sorted(ratios)
        times[f"pair {{name}}"] = [statistics.median(pair[one][place] for pair in pairs) for one in (False, True)]
print(json.dumps(times))
"""
IGNORED = """
times, session = {{}}, None
for _ in range({repeats}):
    for name in ("stock", "session", "record"):
        guard(name != "stock", name != "stock")
        session = session or open_session()
        do("VACUUM lean, trigger_ops_change, trigger_ops_decision")
        before = [f"SELECT trigger_ops_enter('{{session}}')" if name == "session" else IGNORE]
        do("BEGIN")
        for one in before:
            do(one)
        started = time.perf_counter()
        do("UPDATE lean SET a = a + 1")
        times.setdefault(name, []).append(time.perf_counter() - started)
        if name != "stock":
            assert do("SELECT count(*) FROM trigger_ops_change") == [({rows},)]
        do("ROLLBACK")
print(json.dumps(medians(times)))
"""
ENTER = """
from trigger_ops.sessions.current import Presence
from trigger_ops.sessions.membership import Membership
guard(True, True)
session = open_session()
do("DROP TABLE IF EXISTS unguarded")
do("CREATE TABLE unguarded AS SELECT n AS id, n AS a FROM generate_series(1, 100) n")
do("ALTER TABLE unguarded ADD PRIMARY KEY (id)")
# What a session puts before a statement, which it records, is the product's own.
presence = Presence(
    id=session, database="default", uris=(), triggers=(TRIGGER,), home="public", actor="os:benchmark",
    expires=datetime.datetime.max, opened_here=True, connection=connection,
)
PREFIX = f"SELECT {{Membership(connection).call((presence,), 'UPDATE unguarded SET a = a + 1 WHERE id = %s')}}; "
WAYS = {{
    f"{{name}} {{what}}": prefix + f"UPDATE unguarded SET a = a + 1 WHERE id = {{key}}"
    for what, key in (("nothing", -5), ("a row", 5))
    for name, prefix in (("plain", ""), ("stock", f"{{IGNORE}}; "), ("enter", PREFIX))
}}
do("SET synchronous_commit = off")
times, own = {{}}, {{}}
for number in range({statements} // {block}):
    for name, statement in WAYS.items():
        before = backend()
        for _ in range({block}):
            started = time.perf_counter()
            do(statement)
            times.setdefault(name, []).append(time.perf_counter() - started)
        after = backend()
        if after and number:  # plans are made in the first
            own.setdefault(name, []).append((after - before) / {block})
print(json.dumps([medians(times), medians(own)]))
"""
REVOKE = """
guard(True, True)
other = connection.copy()
other.inc_thread_sharing()
connection.inc_thread_sharing()
CLOSE = "SELECT trigger_ops_close(%s, 'revoked', 'os:benchmark', 'enough')"
HOLDERS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1953656688 AND objid = %s"
)
running, idle = [], []
do("SELECT 1", other)
for _ in range({revokes}):
    session, stopped = open_session(), []
    def work():
        do("BEGIN")
        do(f"SELECT trigger_ops_enter('{{session}}')")
        try:
            do("UPDATE lean SET a = a + 1")
        except Exception as error:
            stopped.append((time.perf_counter(), str(error)))
        do("ROLLBACK")
    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    do(CLOSE, other, [session])
    revoked = time.perf_counter()
    thread.join()
    ((when, why),) = stopped
    assert "is revoked" in why, why
    running.append(when - revoked)
for _ in range({revokes}):
    holder = connection.copy()
    session = open_session()
    do("BEGIN", holder)
    do(f"SELECT trigger_ops_enter('{{session}}')", holder)
    do("UPDATE lean SET a = a + 1 WHERE id = 5", holder)
    started = time.perf_counter()
    do(CLOSE, other, [session])
    ((pid,),) = do(HOLDERS, other, [session])
    assert do("SELECT pg_terminate_backend(%s)", other, [pid]) == [(True,)]
    while do(HOLDERS, other, [session]):  # PostgreSQL's own waiting looks every 100 ms
        time.sleep(0.001)
    idle.append(time.perf_counter() - started)
print(json.dumps([statistics.median(running), max(running), statistics.median(idle), max(idle)]))
"""


def run() -> list[Row]:
    """Measure in a database of its own (about three minutes)."""
    names = {
        "rows": ROWS,
        "repeats": REPEATS,
        "pairs": PAIRS,
        "revokes": REVOKES,
        "statements": STATEMENTS,
        "block": BLOCK,
    }
    with project("benchmark", models=1, triggers_each=1) as generated:
        idle, ignored, entered, revoked = (
            generated.run((PREPARE + script).format(**names), ours=True)
            for script in (IDLE, IGNORED, ENTER, REVOKE)
        )
    return [
        *_idle(idle),
        _witnessed(idle),
        *_ignored(ignored),
        *_entered(*entered),
        *_revoked(revoked),
    ]


def _idle(seconds: dict[str, Any]) -> list[Row]:
    return [
        Row(
            f"UPDATE of {ROWS:,} rows, nothing ignored, {table}, {what}",
            seconds[f"{table} stock"],
            seconds[f"{table} {way}"],
        )
        for table in ("lean", "indexed")
        for way, what in (("gate", "gate"), ("both", "gate and witness"))
    ]


def _witnessed(seconds: dict[str, Any]) -> Row:
    """Return what the witness adds to the gate, where changes are written to disk."""
    ratios = seconds["ratios wall"]
    alone, both = seconds["pair wall"]
    note = (
        f"{statistics.median(ratios):.3f} times the gate alone ({alone:.3f} s), as the median of "
        f"{len(ratios)} pairs, half of which are between {ratios[len(ratios) // 4]:.3f} and "
        f"{ratios[-1 - len(ratios) // 4]:.3f}"
    )
    if "ratios backend" in seconds:
        note += f"; {statistics.median(seconds['ratios backend']):.3f} of the backend's own time"
    return Row(
        f"UPDATE of {ROWS:,} rows, nothing ignored, indexed, witness beside the gate",
        None,
        both,
        f"{note}.",
    )


def _ignored(seconds: dict[str, float]) -> list[Row]:
    return [
        Row(
            f"the same, ignored {how}",
            seconds["stock"],
            seconds[way],
            f"{seconds[way] / ROWS * 1e6:.0f} µs a row, each on record as it was and as it is; "
            f"stock {seconds['stock'] / ROWS * 1e6:.0f} µs, without a record.",
        )
        for way, how in (("session", "in a session"), ("record", 'outside any, policy "record"'))
    ]


def _entered(wall: dict[str, float], own: dict[str, float]) -> list[Row]:
    return [_entering(wall, own, what) for what in ("nothing", "a row")]


def _entering(wall: dict[str, float], own: dict[str, float], what: str) -> Row:
    plain, stock, enter = (wall[f"{name} {what}"] * 1e6 for name in ("plain", "stock", "enter"))
    note = (
        f"{enter - plain:.0f} µs for each statement that has to enter a session, "
        f"{stock - plain:.0f} µs for each that stock prefixes (COMMIT waits for no disk)"
    )
    if own:
        added = (own[f"enter {what}"] - own[f"plain {what}"]) * 1e6
        note += f"; {added:.0f} µs of the backend's own time"
    name = f"{STATEMENTS:,} statements that write {what}, each in a transaction of its own"
    return Row(name, stock * STATEMENTS / 1e6, enter * STATEMENTS / 1e6, f"{note}.")


def _revoked(seconds: list[Any]) -> list[Row]:
    running, slowest, idle, slowest_idle = seconds
    return [
        Row(
            f"from a revoke to the end of a running UPDATE of {ROWS:,} rows",
            None,
            running,
            f"{running * 1000:.1f} ms, {slowest * 1000:.1f} ms at worst of {REVOKES}.",
        ),
        Row(
            "a revoke that ends an idle transaction",
            None,
            idle,
            f"{idle * 1000:.1f} ms, {slowest_idle * 1000:.1f} ms at worst of {REVOKES}.",
        ),
    ]
