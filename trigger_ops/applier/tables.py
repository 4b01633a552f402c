"""One table's transaction: take the lock of applies, look again, act, and look at what it left."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql

from trigger_ops.applier import StepResult
from trigger_ops.applier.current import current_steps
from trigger_ops.applier.refusals import DATABASE_ERRORS, Meaning, meaning_of, sentence_of
from trigger_ops.applier.workplaces import KEY, Workplace
from trigger_ops.catalog.conditions import condition_text
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.transactions import in_transaction
from trigger_ops.catalog.versions import Left, as_marked, left_from
from trigger_ops.durations import milliseconds
from trigger_ops.ledger.announcements import renewal, renewed
from trigger_ops.ledger.entries import Record, insertion
from trigger_ops.ledger.leases import ending, opening
from trigger_ops.planner import Step
from trigger_ops.sql import Composable, load
from trigger_ops.states import Result

SETTINGS = (
    *("lock_timeout", "client_connection_check_interval", "search_path", "TimeZone", "DateStyle"),
    *("IntervalStyle", "extra_float_digits", "bytea_output", "quote_all_identifiers"),
)
"""What a table's transaction sets for itself, and gives back to a caller's transaction."""

DIVISION_BY_ZERO = "22012"


class NotKept(Exception):
    """A statement succeeded, and yet the trigger is not what it should be afterwards."""


class AnnouncementLost(Exception):
    """Another run took over while this one was away: it must change nothing more."""


def attempt(
    place: Workplace,
    steps: Sequence[Step],
    *,
    patience: dt.timedelta,
    separately: bool = False,
) -> list[StepResult]:
    """Carry out the steps of one table in one transaction, or in a savepoint of the caller's.

    ``patience`` bounds the wait for each lock. ``separately`` gives each step a savepoint of its
    own, so that those that fail are known.

    Raises:
        DatabaseError: when the table is as it was.
        StalePlan: under strict terms, when something has changed since it was planned.
        AnnouncementLost: when another run took over.
        NotKept: unless ``separately``, when a change did not bring what it should.
    """
    started = time.monotonic()
    results = None
    if steps[0].table_oid is not None and not (separately or in_transaction(place.connection)):
        results = _at_once(place, steps, patience)
    if results is None:
        results = _in_turn(place, steps, patience, separately=separately)
    ms = round((time.monotonic() - started) * 1000)
    return [dataclasses.replace(one, ms=ms) for one in results]


def _at_once(
    place: Workplace, steps: Sequence[Step], patience: dt.timedelta
) -> list[StepResult] | None:
    """Open, look, act and look again in one message; None if the table is not as planned.

    The look divides by zero unless all is as planned. That ends the message before anything is
    done, without a round trip to ask.
    """
    first = steps[0]
    as_planned = as_marked(
        place.connection,
        first.table_oid or 0,
        (first.schema or "", first.table or ""),
        {step.trigger: step.marks for step in steps},
    )
    if place.announced and place.home:
        as_planned += f" AND {place.write(renewed(place.home, place.run.id))}"
    work = [step for step in steps if step.is_work]
    lines = [
        "BEGIN",
        *_opening(place, patience, joins=False),
        f"SELECT 1 OPERATOR(pg_catalog./) CASE WHEN {as_planned} THEN 1 ELSE 0 END",
        *_acting(place, work),
    ]
    try:
        with place.connection.cursor() as cursor, _ended(cursor):
            cursor.execute(";\n".join(lines))
            left = left_from(_last_rows(cursor))
            return [_kept(step, left) for step in steps]
    except DATABASE_ERRORS as error:
        if sqlstate(error) != DIVISION_BY_ZERO:
            raise
        return None


@contextlib.contextmanager
def _ended(cursor: Any) -> Iterator[None]:
    """End the transaction that a message begins by itself, on a connection with autocommit.

    Not ``transaction.atomic``: the drivers send its BEGIN alone, one round trip more for each table.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(*DATABASE_ERRORS):
            cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def _in_turn(
    place: Workplace, steps: Sequence[Step], patience: dt.timedelta, *, separately: bool
) -> list[StepResult]:
    """Open, look, plan anew what is not as planned, act, and look again: message by message."""
    with transaction.atomic(using=place.alias), place.connection.cursor() as cursor:
        joins = _joins(place.connection)
        before = _settings(cursor) if joins else {}
        _open(place, cursor, patience, joins=joins)
        current = current_steps(place, cursor, steps)
        if separately:
            results = [_one(place, cursor, step) for step in current]
        else:
            results = _all(place, cursor, current)
        _give_back(cursor, before)
    return results


def _joins(connection: BaseDatabaseWrapper) -> bool:
    """Tell, inside our own atomic block, whether it is but a savepoint of the caller's."""
    return bool(connection.savepoint_ids) or not connection.commit_on_exit


def _settings(cursor: Any) -> dict[str, str]:
    cursor.execute(
        "SELECT s, pg_catalog.current_setting(s) FROM pg_catalog.unnest(%s::pg_catalog.text[]) s",
        [list(SETTINGS)],
    )
    return dict(cursor.fetchall())


def _give_back(cursor: Any, settings: dict[str, str]) -> None:
    """Put settings back that would outlive our savepoint."""
    if settings:
        calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
        cursor.execute(f"SELECT {calls}", [part for pair in settings.items() for part in pair])


def _open(place: Workplace, cursor: Any, patience: dt.timedelta, *, joins: bool) -> None:
    cursor.execute(";\n".join(_opening(place, patience, joins=joins)))
    if not _last_rows(cursor) and place.announced:
        raise AnnouncementLost


def _opening(place: Workplace, patience: dt.timedelta, *, joins: bool) -> list[str]:
    """Set the timeouts, take the lock of applies, and renew the announcement: one message."""
    # A project may default to REPEATABLE READ, which would look again at what there was before
    # the wait for the lock. 0 would be no timeout at all.
    lines = [] if joins else ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED"]
    lines.append(f"SET LOCAL lock_timeout = {max(1, milliseconds(patience))}")
    if place.notices_clients:
        lines.append("SET LOCAL client_connection_check_interval = '1s'")
    lines.append(f"SELECT pg_catalog.pg_advisory_xact_lock({KEY})")
    if place.announced and place.home:
        lines.append(place.write(renewal(place.home, place.run.id, place.holds)))
    return lines


def _last_rows(cursor: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a message's last statement: psycopg 2 keeps it, psycopg 3 begins with the first."""
    while is_psycopg3 and cursor.nextset():
        pass
    return list(cursor.fetchall()) if cursor.description else []


def _all(place: Workplace, cursor: Any, steps: Sequence[Step]) -> list[StepResult]:
    """Send everything that one table needs in one message."""
    work = [step for step in steps if step.is_work]
    left: dict[str, Left] = {}
    if work:
        left = _send(place, cursor, work)
    return [_kept(step, left) for step in steps]


def _one(place: Workplace, cursor: Any, step: Step) -> StepResult:
    """Send what one step needs; a refusal that concerns it alone is its result."""
    if not step.is_work:
        return StepResult(step=step, result=step.result, reason=step.reason)
    try:
        with transaction.atomic(using=place.alias):
            return _kept(step, _send(place, cursor, [step]))
    except NotKept as error:
        return StepResult(step=step, result=Result.FAILED, reason=str(error))
    except DATABASE_ERRORS as error:
        if meaning_of(error, place.connection) is not Meaning.FAILED:
            raise
        reason = sentence_of(error, role=place.role)
        return StepResult(step=step, result=Result.FAILED, reason=reason)


def _send(place: Workplace, cursor: Any, steps: Sequence[Step]) -> dict[str, Left]:
    """Execute steps, and return what they left on the table."""
    cursor.execute(";\n".join(_acting(place, steps)))
    rows = _last_rows(cursor)
    return left_from(rows) if steps[0].table_oid is not None else {}


def _acting(place: Workplace, steps: Sequence[Step]) -> list[str]:
    """State what steps do, with what they leave in the ledger, and read what is left of them."""
    lines: list[str] = []
    first = steps[0]
    if first.path is not None:
        path = sql.SQL(", ").join(map(sql.Identifier, first.path)) if first.path else sql.SQL("''")
        lines.append(place.write(sql.SQL("SET LOCAL search_path = {}").format(path)))
    for step in steps:
        lines.extend(_lines(place, step))
    if first.table_oid is not None:
        queries = load("catalog")
        parameters = {"table": first.table_oid, "names": [step.trigger for step in steps]}
        compose: Any = place.connection.ops  # Django's stubs do not know compose_sql
        lines += [queries["repin"], compose.compose_sql(queries["installed"], parameters)]
    return lines


def _lines(place: Workplace, step: Step) -> list[str]:
    lines = []
    for statement in step.statements:
        lines.append(statement.sql)
        if place.home:
            record = Record(
                sql=statement.sql, undo=statement.undo, lock=statement.lock.value, **_about(step)
            )
            lines.append(place.write(insertion(place.alias, place.home, place.run, [record])))
    if place.home and step.is_work and not step.statements:
        record = Record(detail=step.reason, **_about(step))
        lines.append(place.write(insertion(place.alias, place.home, place.run, [record])))
    if place.home and (step.opens_lease or step.ends_lease):
        lines.append(place.write(_lease(place, place.home, step)))
    return lines


def _about(step: Step) -> dict[str, Any]:
    return {
        "database": step.database,
        "schema": step.schema or "",
        "table": step.table or "",
        "uri": step.uri,
        "trigger": step.trigger,
        "before": step.before,
        "after": step.after,
        "outcome": step.result.value,
    }


def _lease(place: Workplace, home: str, step: Step) -> Composable:
    on = {"schema": step.schema or "", "table": step.table or "", "trigger": step.trigger}
    if step.opens_lease is None or place.lasts is None:
        cause = f"{place.run.verb.value} by {place.run.author.actor}"
        return ending(home, cause=cause, **on)
    return opening(
        home,
        lease_id=uuid.uuid4(),
        uri=step.uri,
        restore=step.opens_lease,
        author=place.run.author,
        lasts=place.lasts,
        **on,
    )


_LETTERS = {"ENABLED": "O", "DISABLED": "D", "REPLICA": "R", "ALWAYS": "A"}


def _kept(step: Step, left: dict[str, Left]) -> StepResult:
    """Compare what a step left with what it should have."""
    if not step.is_work or step.table_oid is None:
        return StepResult(step=step, result=step.result, reason=step.reason)
    found = left.get(step.trigger)
    if step.result is Result.DROPPED:
        if found is not None:
            raise NotKept("it was dropped and is still there: look for an event trigger")
        return StepResult(step=step, result=step.result, reason=step.reason)
    if found is None:
        raise NotKept("it is not there after the change: look for an event trigger")
    letter = _LETTERS.get(step.after.get("enabled", ""), found.enabled)
    comment = step.after.get("hash", found.comment)
    if (found.enabled, found.comment) != (letter, comment):
        raise NotKept("its mode or comment is not what was set: look for an event trigger")
    condition = None
    if found.definition is not None:
        condition = condition_text(found.definition, found.uses, plain=False)
    return StepResult(step=step, result=step.result, reason=step.reason, condition=condition)
