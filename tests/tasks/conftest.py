"""Fleets of databases with workers and beats as real processes, over a real broker."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import load_backend

from tests.site import ROOT

QUICK_POLLING = 0.05
"""Seconds between two looks into the folder of the filesystem transport."""


@dataclass(frozen=True)
class Process:
    """A worker or beat, with all its children in a process group of its own."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it with all its children, so that none of them can do anything more."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(20)

    def children(self) -> list[int]:
        """Return the processes of its pool."""
        pid = self.popen.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def succeeded(self, task: str) -> int:
        """Return how many tasks of a name it did to the end."""
        lines = self.log.read_text().splitlines()
        return sum(f"Task trigger_ops.{task}[" in one and "] succeeded" in one for one in lines)

    def tried_again(self, task: str) -> list[str]:
        """Return why it tried a task again, each time."""
        pattern = rf"Task trigger_ops\.{task}\[\S+\] retry: Retry in \S+: (.*)"
        return re.findall(pattern, self.log.read_text())


@dataclass
class Fleet:
    """A project with many databases; ``settings`` are what its settings module reads."""

    settings: dict[str, Any]
    folder: Path
    processes: list[Process] = field(default_factory=list)

    @property
    def aliases(self) -> list[str]:
        return list(self.settings["databases"])

    def environment(self, name: str = "") -> dict[str, str]:
        """Return what a process needs; its connections bear its name."""
        settings = copy.deepcopy(self.settings)
        for database in settings["databases"].values():
            database["OPTIONS"]["application_name"] = name
        return {
            **os.environ,
            "FLEET": json.dumps(settings),
            "DJANGO_SETTINGS_MODULE": "tests.tasks.fleet.settings",
            "PYTHONPATH": str(ROOT),
        }

    def worker(self, name: str, *options: str) -> Process:
        """Start a worker with one process, unless ``options`` say otherwise; wait for it."""
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        options = options or ("--concurrency", "1")
        given = ("worker", "-n", f"{name}@%h", "-l", "INFO", *quiet, *options)
        return self._start(name, " ready.", *given)

    def beat(self, name: str, *options: str) -> Process:
        schedule = ("-s", str(self.folder / f"{name}.schedule"))
        return self._start(name, "beat: Starting", "beat", "-l", "INFO", *(options or schedule))

    def _start(self, name: str, ready: str, *arguments: str) -> Process:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "tests.tasks.fleet.celery", *arguments],
                cwd=ROOT,
                env=self.environment(name),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        wait_for(lambda: ready in log.read_text() or popen.poll() is not None, log.read_text)
        assert popen.poll() is None, log.read_text()
        return process

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("-m", "django", *arguments)

    def python(self, script: str) -> str:
        """Run a script in the project after ``django.setup()``; return what it prints."""
        setup = "import tests.tasks.fleet.celery, django; django.setup()\n"
        done = self._run("-c", setup + script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment("manage"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def send(self, *, times: int = 1, **terms: Any) -> None:
        """Send ``check_databases`` as a program of the project does."""
        self.python(
            "from trigger_ops.tasks import check_databases\n"
            f"for _ in range({times}): check_databases.delay(**{terms!r})"
        )

    def connected(self, alias: str = "default") -> contextlib.AbstractContextManager[Any]:
        """Give a connection of the test's own to a database of the fleet."""
        return connected_to(self.settings["databases"][alias])

    def ask(self, statement: str, *parameters: Any, alias: str = "default") -> list[Any]:
        with self.connected(alias) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    @contextlib.contextmanager
    def locked(self, alias: str, table: str = "public.fleet_stock0") -> Iterator[None]:
        """Let whoever reads this table wait."""
        with self.connected(alias) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
            cursor.execute("ROLLBACK")

    def holder(self, alias: str) -> str:
        """Return the name of the process that has claimed a database, "" if none has."""
        rows = self.ask(
            "SELECT a.application_name FROM trigger_ops_drifttarget t "
            "JOIN pg_stat_activity a ON a.pid = t.pid "
            "WHERE t.database = %s AND t.finished IS NULL AND t.claim IS NOT NULL",
            alias,
        )
        return str(rows[0][0]) if rows else ""

    def runs(self) -> list[tuple[bool, bool]]:
        """Return of each run whether it has finished and is complete."""
        return self.ask(
            "SELECT finished IS NOT NULL, complete FROM trigger_ops_driftrun ORDER BY began"
        )

    def wait_for_runs(self, number: int = 1, seconds: float = 90) -> None:
        def finished() -> bool:
            runs = self.runs()
            return len(runs) >= number and all(one for one, _ in runs)

        wait_for(finished, self.logs, seconds)

    def targets(self) -> dict[str, tuple[str, int, int, str]]:
        """Return state, times sent, triggers and reason of each database in the last run."""
        rows = self.ask(
            "SELECT database, state, times_sent, triggers, reason FROM trigger_ops_drifttarget "
            "WHERE run_id = (SELECT id FROM trigger_ops_driftrun ORDER BY began DESC LIMIT 1)"
        )
        return {row[0]: row[1:] for row in rows}

    def events(self) -> list[tuple[str, str, str, int]]:
        """Return database, ID and kind of each event, with the number of its notices."""
        return self.ask(
            "SELECT f.database, f.code, e.kind, "
            "(SELECT count(*) FROM trigger_ops_notice n WHERE n.event_id = e.id) "
            "FROM trigger_ops_findingevent e JOIN trigger_ops_driftfinding f ON f.id = e.finding_id "
            "WHERE f.level <> 'INFO' ORDER BY 1, 2, e.id"
        )

    def succeeded(self, task: str) -> list[int]:
        return [one.succeeded(task) for one in self.processes]

    def logs(self) -> str:
        state = f"{self.runs()}\n{self.targets()}\n"
        return state + "\n".join(f"{one.name}\n{one.log.read_text()}" for one in self.processes)

    def close(self) -> None:
        for one in self.processes:
            one.kill()


def wait_for(
    condition: Callable[[], object], explain: Callable[[], str], seconds: float = 60
) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


@contextlib.contextmanager
def connected_to(settings: Mapping[str, Any]) -> Iterator[Any]:
    """Give a connection of the driver's own that commits at once, past pytest-django's ban."""
    given = {**connections["default"].settings_dict, **settings}
    options = {key: value for key, value in given["OPTIONS"].items() if key != "pool"}
    wrapper = load_backend(given["ENGINE"]).DatabaseWrapper({**given, "OPTIONS": options}, "own")
    with contextlib.closing(
        wrapper.get_new_connection(wrapper.get_connection_params())
    ) as connection:
        connection.autocommit = True
        yield connection


def maintain(statement: str, *names: str) -> None:
    with connected_to({"NAME": "postgres"}) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def entry(name: str) -> dict[str, Any]:
    """Return a database on the server of the tests, as ``settings.DATABASES`` has it."""
    given = connections["default"].settings_dict
    keys = ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    return {**copy.deepcopy({key: given[key] for key in keys}), "NAME": name}


class Shipyard:
    """Makes fleets as copies of a database that is built once for each size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"fleet_{uuid.uuid4().hex[:8]}"
        self._templates: dict[tuple[int, int], str] = {}
        self._made: list[str] = []

    def make(
        self, folder: Path, *, aliases: int, schemas: int = 2, models: int = 1, **settings: Any
    ) -> Fleet:
        """Make a fleet of databases, each with so many schemas and two triggers a model."""
        template = self._template(schemas, models)
        names = [f"{template}_{uuid.uuid4().hex[:6]}_{number:02}" for number in range(aliases)]
        for name in names:
            maintain("CREATE DATABASE {} TEMPLATE {}", name, template)
            self._made.append(name)
        databases = {_alias(number): entry(name) for number, name in enumerate(names)}
        return fleet_of(databases, folder, models=models, **settings)

    def _template(self, schemas: int, models: int) -> str:
        if (schemas, models) not in self._templates:
            name = f"{self._prefix}_{len(self._templates)}"
            maintain("CREATE DATABASE {}", name)
            self._made.append(name)
            self._templates[schemas, models] = name
            databases = {"default": entry(name)}
            fleet = fleet_of(databases, self.folder, models=models, schemas=schemas)
            done = fleet._run("-m", "tests.tasks.fleet.build")
            assert done.returncode == 0, done.stderr
        return self._templates[schemas, models]

    def close(self) -> None:
        # Each takes the server a checkpoint, and several share one.
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(partial(maintain, "DROP DATABASE IF EXISTS {} WITH (FORCE)"), self._made)
            )


def fleet_of(databases: dict[str, Any], folder: Path, *, models: int, **settings: Any) -> Fleet:
    """Return a fleet of databases that are there; ``settings`` are its own."""
    given = {"databases": copy.deepcopy(databases), "models": models, **settings}
    return Fleet({**given, "celery": {**broker(folder), **settings.get("celery", {})}}, folder)


def _alias(number: int) -> str:
    return f"shop{number:02}" if number else "default"


def broker(folder: Path) -> dict[str, Any]:
    """Return Celery's settings: the broker of the environment, or files in a folder."""
    # Tests that run beside each other share a server; none takes another's messages.
    queue = {"task_default_queue": f"fleet-{uuid.uuid4().hex}", "worker_hijack_root_logger": True}
    url = os.environ.get("CELERY_BROKER_URL")
    if url:
        return {"broker_url": url, **queue}
    messages, control = folder / "messages", folder / "control"
    for one in (messages, control):
        one.mkdir(parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
        "polling_interval": QUICK_POLLING,
    }
    return {
        "broker_url": "filesystem://",
        "broker_transport": "tests.tasks.fleet.messages:Transport",
        "broker_transport_options": options,
        **queue,
    }


@pytest.fixture(scope="session")
def shipyard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipyard]:
    one = Shipyard(tmp_path_factory.mktemp("shipyard"))
    yield one
    one.close()


@pytest.fixture
def make_fleet(shipyard: Shipyard, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Return a function that makes a fleet, whose processes end with the test."""
    made: list[Fleet] = []

    def make(**settings: Any) -> Fleet:
        made.append(shipyard.make(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
