"""Commands in processes of their own that need not load Django again: each is forked from one that has.

A command gets its own environment, arguments, folder and pipes, reads the settings anew, and ends
as any process does. One that needs an interpreter that started otherwise gets a new one. What shows
only while Django is loaded has to be tried without this.

Nothing of Django is imported on top: this is also the client, which starts in a moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
_AT_START = ("PYTHON", "LC_", "LANG", "DJANGO_SETTINGS_MODULE", "TRIGGER_OPS_DRIVER")
"""Variables that count when an interpreter starts, or when Django is loaded."""


class Nursery:
    """A process that has loaded Django with one environment, and forks for each command.

    ``python`` is a program that runs ``manage.py`` there, and all else with Python itself.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="nursery")
        self._address = f"{self._folder.name}/line"
        self.python = Path(self._folder.name) / "python"
        client = f'"{sys.executable}" -I -S "{__file__}" "{self._address}"'
        self.python.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        self.python.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as line:
            line.bind(self._address)
            line.listen(16)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", "--serve", str(line.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[line.fileno()],
                start_new_session=True,
            )

    def fits(self, environment: dict[str, str]) -> bool:
        """Tell whether an interpreter that started with an environment would be the same."""
        return _at_start(environment) == _at_start(self._environment)

    def run(
        self, arguments: tuple[str, ...], environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` in the project's folder; return what it printed, and its exit code."""
        words = ["manage.py", *arguments]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            files = [out.fileno(), err.fileno()]
            code = _ask(self._address, words, environment, str(ROOT), files, timeout)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                words, code, out.read().decode(), err.read().decode()
            )

    def close(self) -> None:
        """End it, and whatever it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


def _at_start(environment: Any) -> dict[str, str]:
    # PYTHON itself is the recipes' own.
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_AT_START) and name != "PYTHON"
    }


def _ask(
    address: str,
    words: list[str],
    environment: dict[str, str],
    folder: str,
    files: list[int],
    timeout: float | None = None,
) -> int:
    """Have a command run with two files for what it prints; return its exit code."""
    asked = json.dumps({"words": words, "environment": environment, "folder": folder}).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        line.connect(address)
        socket.send_fds(line, [len(asked).to_bytes(8, "big")], files)
        line.sendall(asked)
        return int(line.recv(64))


# In the nursery -----------------------------------------------------------------------------------


def _serve(line: socket.socket) -> NoReturn:
    import django

    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    while True:
        caller, _ = line.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            line.close()
            _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> NoReturn:
    """Run one command, and send its exit code to whoever asked for it."""
    size, (out, err), *_ = socket.recv_fds(caller, 8, 2)
    asked = b""
    while len(asked) < int.from_bytes(size, "big"):
        asked += caller.recv(1 << 16)
    child = os.fork()
    if not child:
        caller.close()
        _become(json.loads(asked), out, err)
    _, status = os.waitpid(child, 0)
    caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(asked: dict[str, Any], out: int, err: int) -> NoReturn:
    """Be the command that is asked for: with its pipes, environment, folder and arguments."""
    import runpy
    import traceback

    code: Any = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(asked["folder"])
        if _at_start(asked["environment"]) != _at_start(os.environ):
            os.execve(sys.executable, [sys.executable, *asked["words"]], asked["environment"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = asked["words"]
        _forget_settings()
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code
        if code is not None and not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def _forget_settings() -> None:
    """Have the settings read anew, with what the environment now says of databases."""
    from django.conf import settings
    from django.db import connections
    from django.utils.functional import empty

    for module in (
        os.environ["DJANGO_SETTINGS_MODULE"],
        "demo_site.settings",
        "demo_site.database",
    ):
        sys.modules.pop(module, None)
    settings._wrapped = empty  # type: ignore[assignment]  # pytest-django's settings take any name
    for connection in connections.all(initialized_only=True):
        del connections[connection.alias]
    vars(connections).pop("settings", None)
    connections._settings = None


if __name__ == "__main__":
    address, *rest = sys.argv[1:]
    if address == "--serve":
        _serve(socket.socket(fileno=int(rest[0])))
    if rest[:1] != ["manage.py"]:
        os.execv(sys.executable, [sys.executable, *rest])
    code = _ask(address, rest, dict(os.environ), str(Path.cwd()), [1, 2])
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)
