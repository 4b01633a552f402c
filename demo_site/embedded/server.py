"""Make a data folder, start a server on it, find the one that runs, stop it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from demo_site.embedded import account as accounts
from demo_site.embedded.account import Account
from demo_site.embedded.binaries import Binaries
from demo_site.embedded.exceptions import EmbeddedPostgresError

PATIENCE = 60.0
_PORT_TRIES = 5
_LOG_LINES = 5
_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
_LOCAL = "-c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
# Iterations slow down whoever guesses. A password of 192 random bits is not to be guessed, and each
# connection would pay for them on both sides.
_ONE_ITERATION = ("-c", "scram_iterations=1")
_HAS_ITERATIONS = 16


@dataclass(frozen=True)
class Server:
    """A running server: its data folder, process id and TCP port."""

    data: Path
    pid: int
    port: int


def running(data: Path) -> Server | None:
    """Return the server of this data folder, waiting for one that is still starting.

    Raises EmbeddedPostgresError when it is not ready after PATIENCE seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while (pid := _process_of(data)) is not None:
        lines = _pid_file_lines(data)
        if len(lines) > 7 and lines[7].strip() == "ready":
            return Server(data, pid, int(lines[3]))
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"The server in {data} (process {pid}) does not become ready: stop it with "
                "'python -m demo_site.embedded stop'."
            )
        time.sleep(0.02)
    return None


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _process_of(data: Path) -> int | None:
    lines = _pid_file_lines(data)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    return pid if _serves(pid, data) else None


def _serves(pid: int, data: Path) -> bool:
    """Say whether the process is a server of `data`: after a reboot its number may be another's."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/cmdline").exists():
            return True
        return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (ProcessLookupError, PermissionError, FileNotFoundError):
        return False


def initialise(data: Path, binaries: Binaries, account: Account, password: str) -> None:
    """Make the data folder. It gets its name last, so that a half-made one is never used."""
    unfinished = data.with_name(f"{data.name}.new")
    password_file = data.with_name(f"{data.name}.password")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    try:
        password_file.write_text(password)
        if account.switch:
            os.chown(unfinished, account.uid, account.gid)
            os.chown(password_file, account.uid, account.gid)
        code, output = accounts.run(
            [
                *(binaries.folder / "initdb", "-D", unfinished, "-U", "postgres"),
                *("-A", "scram-sha-256", f"--pwfile={password_file}"),
                *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
                *(_ONE_ITERATION if binaries.major >= _HAS_ITERATIONS else ()),
            ],
            account,
        )
    finally:
        password_file.unlink(missing_ok=True)
    if code:
        raise EmbeddedPostgresError(f"initdb failed in {data}: {_tail(output)}")
    unfinished.rename(data)


def start(data: Path, binaries: Binaries, account: Account, *, durable: bool) -> Server:
    """Start the server on a free port and return it when it takes connections.

    Without `durable` nothing is flushed to disk: quick, and lost if the machine goes down.
    """
    _forget_foreign_process(data)
    log = data / "server.log"
    for _ in range(_PORT_TRIES):
        before = log.stat().st_size if log.exists() else 0
        settings = f"-p {_free_port()} {_LOCAL}" + ("" if durable else f" {_FAST}")
        code, output = accounts.run(
            [
                *(binaries.folder / "pg_ctl", "start", "-D", data, "-w", "-t", f"{PATIENCE:.0f}"),
                *("-l", log, "-o", settings),
            ],
            account,
        )
        server = running(data) if code == 0 else None
        if server is not None:
            return server
        said = _read_from(log, before)
        if "could not bind" not in said:
            break
    raise EmbeddedPostgresError(
        f"PostgreSQL {binaries.major} did not start on {data} ({_tail(said or output)}): "
        "drop the data with 'make demo-reset', or set DATABASE_URL to a server of yours."
    )


def _forget_foreign_process(data: Path) -> None:
    """Remove a left-over pid file whose number now belongs to a process that is no server of ours.

    PostgreSQL itself sees through a number that nobody has, and through another account's.
    """
    lines = _pid_file_lines(data)
    if lines and lines[0].isdigit() and _lives(int(lines[0])):
        (data / "postmaster.pid").unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _read_from(log: Path, position: int) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(position)
            return stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LOG_LINES:])


def stop(data: Path) -> bool:
    """Stop the server of this data folder, if one runs; say whether one did.

    By signals, as pg_ctl does it, because an interpreter at its end may not start programs.
    """
    pid = _process_of(data)
    if pid is None:
        return False
    for wanted in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, by force
        os.kill(pid, wanted)
        deadline = time.monotonic() + PATIENCE / 3
        while time.monotonic() < deadline:
            if not _serves(pid, data):
                return True
            time.sleep(0.01)
    raise EmbeddedPostgresError(f"The server in {data} (process {pid}) does not stop: kill it.")
