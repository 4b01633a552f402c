from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.past.models import Receipt
from tests.sessions.conftest import Written, session
from trigger_ops import api

WORKERS, SESSIONS, INSIDE, OUTSIDE = 20, 5, 50, 50


def work(worker: int, start: threading.Barrier) -> tuple[dict[int, list[str]], int]:
    """Change a row of its own in sessions and try to outside; return what was changed in which."""
    expected: dict[int, list[str]] = {}
    refused = 0
    try:
        receipt = Receipt.objects.create(number=f"{worker}")
        mine = Receipt.objects.filter(pk=receipt.pk)
        start.wait(30)
        for number in range(SESSIONS):
            with session(actor=f"user:w{worker}") as running:
                values = [f"{worker}.{number}.{one}" for one in range(INSIDE)]
                for value in values[: INSIDE // 2]:
                    mine.update(number=value)
                with atomic():
                    for value in values[INSIDE // 2 :]:
                        mine.update(number=value)
                expected[running.id] = values
            for one in range(OUTSIDE):
                try:
                    mine.update(number=f"outside {one}")
                except DatabaseError as error:
                    refused += api.is_trigger_error(error)
    finally:
        connection.close()
    return expected, refused


def test_every_row_belongs_to_its_session(
    everywhere: BaseDatabaseWrapper, written: Written
) -> None:
    start = threading.Barrier(WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda worker: work(worker, start), range(WORKERS)))
    expected = {number: values for changed, _ in results for number, values in changed.items()}
    assert len(expected) == WORKERS * SESSIONS
    assert [refused for _, refused in results] == [SESSIONS * OUTSIDE] * WORKERS

    found: dict[int, list[str]] = {number: [] for number in expected}
    for number, new in written(
        "SELECT session_id, new ->> 'number' FROM trigger_ops_change"
        " WHERE op = 'UPDATE' ORDER BY id"
    ):
        found[number].append(new)
    assert found == expected
    kept = written(
        "SELECT session_id FROM trigger_ops_sessionstatement"
        " UNION ALL SELECT session_id FROM trigger_ops_sessiontransaction WHERE template <> ''"
    )
    assert Counter(number for (number,) in kept) == dict.fromkeys(expected, INSIDE)
    assert written("SELECT count(*) FROM trigger_ops_session WHERE state <> 'ended'") == [(0,)]
