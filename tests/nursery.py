"""Commands in processes of their own that need not load Django again: each is forked from one that has.

A command gets its own environment, arguments and pipes, reads the settings anew, and ends as any
process does. What only shows when Django is loaded has to be tried in a new interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
_AT_START = ("PYTHON", "LC_", "LANG", "DJANGO_SETTINGS_MODULE", "TRIGGER_OPS_DRIVER")
"""Variables that count when an interpreter starts, or when Django is loaded."""


class Nursery:
    """A process that has loaded Django with one environment, and forks for each command."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
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
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            tempfile.TemporaryFile() as asked,
        ):
            asked.write(json.dumps({"words": words, "environment": environment}).encode())
            asked.flush()
            files = [asked.fileno(), out.fileno(), err.fileno()]
            self._ours.settimeout(timeout)
            socket.send_fds(self._ours, [b"run"], files)
            code = int(self._ours.recv(64))
            printed = []
            for file in (out, err):
                file.seek(0)
                printed.append(file.read().decode())
        return subprocess.CompletedProcess(words, code, *printed)

    def close(self) -> None:
        """End it, and whatever it runs."""
        self._ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _at_start(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


def _serve(line: socket.socket) -> None:
    import django

    django.setup()
    while True:
        message, files, *_ = socket.recv_fds(line, 16, 3)
        if not message:
            return
        child = os.fork()
        if not child:
            _become(line, *files)
        for one in files:
            os.close(one)
        _, status = os.waitpid(child, 0)
        line.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(line: socket.socket, asked: int, out: int, err: int) -> NoReturn:
    """Be the command that is asked for: with its pipes, environment and arguments."""
    code: Any = 1
    try:
        line.close()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.lseek(asked, 0, os.SEEK_SET)
        with open(asked, encoding="utf-8") as file:
            given = json.load(file)
        os.environ.clear()
        os.environ.update(given["environment"])
        sys.argv = given["words"]
        _forget_settings()
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
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

    for module in (os.environ["DJANGO_SETTINGS_MODULE"], "demo_site.settings", "demo_site.database"):
        sys.modules.pop(module, None)
    settings._wrapped = empty  # type: ignore[assignment]
    for connection in connections.all(initialized_only=True):
        del connections[connection.alias]
    vars(connections).pop("settings", None)
    connections._settings = None


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
