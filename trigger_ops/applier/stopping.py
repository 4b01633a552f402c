"""Why a run ends before its last table, in a sentence that says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from trigger_ops.applier.refusals import DATABASE_ERRORS, Meaning, meaning_of, sentence_of
from trigger_ops.applier.waiting import Waits
from trigger_ops.applier.workplaces import KEY, Workplace, briefly
from trigger_ops.catalog.versions import read_blockers
from trigger_ops.planner import Step
from trigger_ops.states import Lock

TAKEN_OVER = "Another run took over from this one while it was away: run the same command again."


class Stopped(Exception):
    """The run cannot go on. ``busy`` tells that it is safe to try again later."""

    def __init__(self, sentence: str, *, busy: bool) -> None:
        super().__init__(sentence)
        self.busy = busy


def gave_up(
    place: Workplace, steps: Sequence[Step], error: BaseException, waits: Waits
) -> Stopped:
    """Say how long a table was waited for, and who has it."""
    blockers = _blockers(place, steps)
    what = f"the lock on {steps[0].schema}.{steps[0].table}" if steps[0].table else "its turn"
    who = f" It is held by {blockers}." if blockers else ""
    return Stopped(
        f"Gave up waiting for {what} after {waits.tries} tries in {waits.spent:.1f} s "
        f"({sentence_of(error, role=place.role)}).{who} Run the same command again, with a "
        "longer --lock-budget if need be.",
        busy=True,
    )


def _blockers(place: Workplace, steps: Sequence[Step]) -> str:
    exclusive = any(one.lock is Lock.ACCESS_EXCLUSIVE for step in steps for one in step.statements)
    connection = place.connection
    with (
        contextlib.suppress(*DATABASE_ERRORS),
        briefly(connection),
        connection.cursor() as cursor,
    ):
        found = read_blockers(cursor, steps[0].table_oid or 0, key=KEY, exclusive=exclusive)
        return "; ".join(map(str, found[:5]))
    return ""


def ended_by(
    error: BaseException, *, role: str, connection: BaseDatabaseWrapper, at: str = ""
) -> Stopped:
    """Say which refusal ended a run; ``at`` is the table that it was at."""
    sentence = sentence_of(error, role=role)
    meaning = meaning_of(error, connection)
    if meaning is Meaning.LOST:
        where = f" at {at}, which is as it was or as it should be" if at else ""
        return Stopped(
            f'The connection to "{connection.alias}" was lost{where} ({sentence}). Run the same '
            "command again.",
            busy=True,
        )
    return Stopped(f"{sentence}.", busy=meaning is Meaning.AGAIN)
