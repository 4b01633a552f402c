"""A project's database at a distance: far enough that a round trip takes a millisecond."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks.latency import distant
from benchmarks.project import Project

ROUND_TRIP = 0.001
"""Seconds of the network between the process and the server."""
TOLERANCE, ATTEMPTS = 0.00004, 6

ROUND_TRIP_MEDIAN = """
import json, statistics, time
from django.db import connection
def trip():
    started = time.perf_counter()
    cursor.execute("SELECT 1")
    return time.perf_counter() - started
with connection.cursor() as cursor:
    trip()
    print(json.dumps(statistics.median(trip() for _ in range(300))))
"""


@contextlib.contextmanager
def a_millisecond_away(generated: Project) -> Iterator[tuple[str, str]]:
    """Yield the DATABASE_URL of the same database, and in words how far away it was measured.

    The proxy's own threads take a part of each trip, more of it on a busy machine: so its delay is
    corrected until a round trip is what it should be.
    """
    delay = ROUND_TRIP / 2
    for attempt in range(ATTEMPTS):
        with distant(generated.url, seconds=delay) as url:
            trip = generated.run(ROUND_TRIP_MEDIAN, ours=False, url=url)
            if abs(trip - ROUND_TRIP) < TOLERANCE or attempt == ATTEMPTS - 1:
                yield url, f"{trip * 1000:.2f} ms round trip"
                return
        delay = max(0.0, delay - (trip - ROUND_TRIP) / 2)
