"""`python -m demo_site.embedded start|stop|status|url|reset`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from demo_site.embedded.exceptions import EmbeddedPostgresError
from demo_site.embedded.home import Home
from demo_site.embedded.launch import enter, find_running, reset, settled, stop, url_of

TEST_HOMES = "test-*"


def main(arguments: list[str] | None = None) -> int:
    """Carry out one verb and return the exit code: 0 done, 1 not running, 5 not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m demo_site.embedded", description="The PostgreSQL of the demo site."
    )
    parser.add_argument("verb", choices=["start", "stop", "status", "url", "reset"])
    parser.add_argument("--home", type=Path, help="where its data is (default: .demo)")
    options = parser.parse_args(arguments)
    home = settled(options.home)
    verbs = {"start": _start, "stop": _stop, "status": _status, "url": _url, "reset": _reset}
    try:
        return verbs[options.verb](home)
    except EmbeddedPostgresError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{home.path} cannot be used: {error}.", file=sys.stderr)
        return EmbeddedPostgresError.exit_code


def _start(home: Home) -> int:
    if os.environ.get("DATABASE_URL"):
        print("DATABASE_URL is set, so no server is started: unset it first.", file=sys.stderr)
        return 2
    url = enter(home, durable=False)
    home.keep.touch()
    print(url)
    return 0


def _stop(home: Home) -> int:
    print("Stopped." if home.path.exists() and stop(home) else "No server was running.")
    return 0


def _status(home: Home) -> int:
    running = find_running(home)
    if running is None:
        print(f"No server runs for {home.path}.")
        return 1
    print(f"Process {running.pid} on 127.0.0.1:{running.port}, data in {running.data}.")
    return 0


def _url(home: Home) -> int:
    running = find_running(home)
    if running is None:
        print(f"No server runs for {home.path}.", file=sys.stderr)
        return 1
    print(url_of(home, running))
    return 0


def _reset(home: Home) -> int:
    for path in sorted(home.path.glob(TEST_HOMES)):
        reset(Home(path), unless_in_use=True)
    done = reset(home)
    print(f"Dropped {home.path}." if done else f"Nothing to drop: {home.path} does not exist.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
