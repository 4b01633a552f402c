"""Changes beside other work: readers while conditions are replaced, and four installs at once.

Each process starts first, and waits for a file: what is measured is the work, not Django's start.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import Row
from benchmarks.changing import DROP_ALL, STATE, TRIGGERS_EACH
from benchmarks.project import Project, project

MODELS = 50
TRIGGERS = MODELS * TRIGGERS_EACH
READERS, REPORT_SECONDS = 8, 2.0
INSTALLS = 4
REPEATS = 3
PATIENCE = 60.0

# Another condition and another hash, as a deploy finds them that brings new ones.
OTHER_CONDITIONS = """
from django.db import connection
from pgtrigger.registry import registered
for model, trigger in registered():
    if trigger.name.startswith("closed_"):
        compiled = trigger.compile(model)
        other = compiled.install_sql.replace("'closed'", "'void'").replace(compiled.hash, "0" * 40)
        connection.cursor().execute(other)
"""
# A read that waits is a person who waits. Between two reads a client thinks for a moment: without
# that, eight of them measure who gets a processor.
READ = """
import json, pathlib, random, threading, time
from django.db import connection
folder = pathlib.Path({folder!r})
slowest, stalled, stop = [], set(), threading.Event()
def client(number):
    other = connection.copy()
    with other.cursor() as cursor:
        while not stop.is_set():
            table = random.randrange({models})
            started = time.perf_counter()
            cursor.execute(f"SELECT amount, paid FROM generated_order{{table}} WHERE id = 1")
            cursor.fetchall()
            seconds = time.perf_counter() - started
            slowest.append(seconds)
            if seconds > 0.05:
                stalled.add(number)
            time.sleep(0.005)
    other.close()
clients = [threading.Thread(target=client, args=[number]) for number in range({readers})]
with connection.cursor() as cursor:
    for thread in clients:
        thread.start()
    time.sleep(0.3)
    slowest.clear(), stalled.clear()
    opened = time.perf_counter()
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    for number in range({models}):
        cursor.execute(f"SELECT count(*) FROM generated_order{{number}}")
    time.sleep({report} / 2)
    (folder / "go").touch()
    time.sleep(max(0, opened + {report} - time.perf_counter()))
    cursor.execute("COMMIT")
while not (folder / "done").exists():
    time.sleep(0.01)
stop.set()
for thread in clients:
    thread.join()
print(json.dumps([max(slowest), len(stalled), len(slowest)]))
"""
INSTALL = """
import contextlib, io, json, pathlib, time
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection
connection.ensure_connection()
load_command_class(get_commands()["pgtrigger"], "pgtrigger")
folder = pathlib.Path({folder!r})
(folder / "ready{number}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
refusal = ""
started = time.perf_counter()
try:
    with contextlib.redirect_stderr(io.StringIO()):
        call_command("pgtrigger", "install", *{uris!r})
except Exception as error:
    refusal = str(error).strip().splitlines()[0]
seconds = time.perf_counter() - started
(folder / "done").touch()
print(json.dumps([seconds, refusal]))
"""


def run() -> list[Row]:
    """Measure both, in a project of 50 tables (about two minutes)."""
    with project("benchmark", models=MODELS, triggers_each=TRIGGERS_EACH) as generated:
        return [*_readers(generated), _installs(generated)]


def _readers(generated: Project) -> list[Row]:
    reads: dict[bool, list[tuple[float, int, int]]] = {False: [], True: []}
    installs: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPEATS):
        for ours in (False, True):
            generated.run(OTHER_CONDITIONS, ours=False)
            seconds, read = _read_while_installing(generated, ours=ours)
            _assert_clean(generated)
            installs[ours].append(seconds)
            reads[ours].append(read)
    (stock, ours_worst) = (max(worst for worst, *_ in reads[ours]) for ours in (False, True))
    stalled = [max(count for _, count, _ in reads[ours]) for ours in (False, True)]
    total = sum(count for *_, count in reads[True])
    note = (
        f"Of {READERS} clients, {stalled[0]} waited for more than 50 ms beside stock, {stalled[1]} "
        f"beside ours ({total:,} reads)."
    )
    beside = f"beside a report of {REPORT_SECONDS:.0f} s"
    return [
        Row(
            f"worst read while {MODELS} conditions are replaced {beside}", stock, ours_worst, note
        ),
        Row("that install", max(installs[False]), max(installs[True])),
    ]


def _read_while_installing(generated: Project, *, ours: bool) -> tuple[float, Any]:
    """Return the seconds of one install, and what the readers say about theirs."""
    folder = _signals(generated)
    uris = [f"generated.Order{number}:closed_{number}" for number in range(MODELS)]
    with ThreadPoolExecutor() as pool:
        installing = pool.submit(generated.run, _install(folder, uris), ours=ours)
        _wait_for(folder, "ready0")
        reading = pool.submit(generated.run, _reading(folder), ours=False)
        seconds, refusal = installing.result()
        if refusal:
            raise AssertionError(refusal)
        return seconds, reading.result()


def _reading(folder: Path) -> str:
    return READ.format(folder=str(folder), models=MODELS, readers=READERS, report=REPORT_SECONDS)


def _install(folder: Path, uris: Sequence[str], number: int = 0) -> str:
    return INSTALL.format(folder=str(folder), uris=list(uris), number=number)


def _signals(generated: Project) -> Path:
    folder = generated.folder / "signals"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def _wait_for(folder: Path, *names: str) -> None:
    until = time.monotonic() + PATIENCE
    while not all((folder / name).exists() for name in names):
        if time.monotonic() > until:
            raise TimeoutError(names)
        time.sleep(0.01)


def _assert_clean(generated: Project) -> None:
    state = generated.run(STATE, ours=True)
    if state != [0, {"INSTALLED": TRIGGERS}]:
        raise AssertionError(state)


def _installs(generated: Project) -> Row:
    seconds: dict[bool, list[float]] = {False: [], True: []}
    refusals: dict[bool, list[str]] = {False: [], True: []}
    missing: dict[bool, int] = {False: 0, True: 0}
    for _ in range(REPEATS):
        for ours in (False, True):
            generated.run(DROP_ALL, ours=True)
            done = _installs_at_once(generated, ours=ours)
            seconds[ours].append(max(each for each, _ in done))
            refusals[ours] += [refusal for _, refusal in done if refusal]
            _, summary = generated.run(STATE, ours=True)
            missing[ours] += TRIGGERS - summary.get("INSTALLED", 0)
    if refusals[True] or missing[True]:
        raise AssertionError((refusals[True], missing[True]))
    kinds = f" ({'; '.join(sorted(set(refusals[False])))})" if refusals[False] else ""
    note = (
        f"Of {INSTALLS * REPEATS} runs of stock {len(refusals[False])} failed{kinds}, and "
        f"{missing[False]} triggers were missing afterwards; of ours none failed, and none were."
    )
    name = f"{INSTALLS} installs of {TRIGGERS} at once, until the last has ended"
    return Row(name, max(seconds[False]), max(seconds[True]), note)


def _installs_at_once(generated: Project, *, ours: bool) -> list[tuple[float, str]]:
    folder = _signals(generated)
    with ThreadPoolExecutor(max_workers=INSTALLS) as pool:
        running = [
            pool.submit(generated.run, _install(folder, [], number), ours=ours)
            for number in range(INSTALLS)
        ]
        _wait_for(folder, *(f"ready{number}" for number in range(INSTALLS)))
        (folder / "go").touch()
        return [one.result() for one in running]
