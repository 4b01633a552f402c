"""Run benchmarks by name: ``python -m benchmarks [NAME ...]`` (none: all the quick ones)."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import (
    Row,
    changing,
    dashboard,
    demo,
    inspection,
    recording,
    render,
    scale,
    sessions,
    startup,
    together,
)

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "startup": startup.run,
    "inspection": inspection.run,
    "changing": changing.run,
    "together": together.run,
    "sessions": sessions.run,
    "scale": scale.run,
    "recording": recording.run,
    "dashboard": dashboard.run,
    "demo": demo.run,
    "startup-large": startup.run_large,
}
#: Run only when they are named: each takes minutes.
SLOW = frozenset({"startup-large"})


def main() -> None:
    """Parse the names, run the benchmarks and print one table for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in SLOW]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"unknown: {', '.join(unknown)}. Choose from: {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"{name}\n{render(BENCHMARKS[name]())}\n", flush=True)


if __name__ == "__main__":
    main()
