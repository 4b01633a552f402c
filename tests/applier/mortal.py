"""A process that installs triggers and is killed at a point that is asked for.

For each number on stdin a child is made that dies by SIGKILL when it has passed that many points:
before and after every statement, and before and after every commit, from the first row of the
ledger on. Prints how the child ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command
from django.db import connection


def live(number: int, arguments: list[str]) -> None:
    """Run a command until so many points are passed."""
    passed, begun = 0, False

    def point() -> None:
        nonlocal passed
        passed += begun
        if passed > number:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(execute: Callable[..., Any], *given: Any) -> Any:
        nonlocal begun
        begun = begun or ("INSERT INTO" in str(given[0]) and "ledgerentry" in str(given[0]))
        point()
        result = execute(*given)
        point()
        return result

    commit = connection._commit

    def committing() -> None:
        point()
        commit()
        point()

    connection._commit = committing  # type: ignore[method-assign]  # one connection, not its class
    with connection.execute_wrapper(statement):
        call_command("pgtrigger", *arguments, verbosity=0)


def main() -> None:
    django.setup()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live(int(line), sys.argv[1:])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
