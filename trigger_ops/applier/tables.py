"""One table's transaction: take the lock of applies, look again, act, and look at what it left."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql

from trigger_ops.applier import Planning, StepResult, Terms
from trigger_ops.applier.refusals import DATABASE_ERRORS, Meaning, meaning_of, sentence_of
from trigger_ops.catalog.conditions import condition_text
from trigger_ops.catalog.transactions import in_transaction
from trigger_ops.catalog.versions import Left, left_from, read_function_marks, read_marks
from trigger_ops.durations import milliseconds
from trigger_ops.exceptions import StalePlan
from trigger_ops.ledger.announcements import renewal
from trigger_ops.ledger.entries import Record, Run, insertion
from trigger_ops.ledger.leases import ending, opening
from trigger_ops.planner import Step
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.sql import Composable, load
from trigger_ops.states import Result, Verb

KEY = 0x7472_6967_5F6F_7073
"""The advisory transaction lock that all applies on a database share: "trig_ops" in ASCII."""

SETTINGS = (
    *("lock_timeout", "client_connection_check_interval", "search_path", "TimeZone", "DateStyle"),
    *("IntervalStyle", "extra_float_digits", "bytea_output", "quote_all_identifiers"),
)
"""What a table's transaction sets for itself, and gives back to a caller's transaction."""


class NotKept(Exception):
    """A statement succeeded, and yet the trigger is not what it should be afterwards."""


class AnnouncementLost(Exception):
    """Another run took over while this one was away: it must change nothing more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """One database in one run.

    ``home`` is the schema of our own tables, None where they are missing. ``announced`` tells
    that the run has said so there. ``inside`` tells of a caller's transaction. ``lasts`` is how
    long a disable lasts; ``holds`` how long an announcement does.
    """

    alias: str
    connection: BaseDatabaseWrapper
    run: Run
    terms: Terms
    planning: Planning
    role: str
    home: str | None
    announced: bool
    holds: dt.timedelta
    lasts: dt.timedelta | None
    notices_clients: bool

    @property
    def inside(self) -> bool:
        """True inside a transaction of the caller's, which must survive us."""
        return in_transaction(self.connection)

    def write(self, composed: Composable) -> str:
        """Write a composed statement down with this connection's quoting."""
        text: str = composed.as_string(self.connection.connection)
        return text


def attempt(
    place: Workplace, steps: Sequence[Step], *, separately: bool = False
) -> list[StepResult]:
    """Carry out the steps of one table in one transaction, or in a savepoint of the caller's.

    ``separately`` gives each step a savepoint of its own, so that those that fail are known.

    Raises:
        DatabaseError: when the table is as it was.
        StalePlan: under strict terms, when something has changed since it was planned.
        AnnouncementLost: when another run took over.
        NotKept: unless ``separately``, when a change did not bring what it should.
    """
    started = time.monotonic()
    with transaction.atomic(using=place.alias), place.connection.cursor() as cursor:
        before = _settings(cursor) if _joins(place.connection) else {}
        _open(place, cursor)
        current = _current(place, cursor, steps)
        if separately:
            results = [_one(place, cursor, step) for step in current]
        else:
            results = _all(place, cursor, current)
        _give_back(cursor, before)
    ms = round((time.monotonic() - started) * 1000)
    return [dataclasses.replace(one, ms=ms) for one in results]


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


def _open(place: Workplace, cursor: Any) -> None:
    """Set the timeouts, take the lock of applies, and renew the announcement: one message."""
    interval = "SET LOCAL client_connection_check_interval = '1s'; "
    message = (
        f"SET LOCAL lock_timeout = {milliseconds(place.terms.lock_timeout)}; "
        f"{interval if place.notices_clients else ''}"
        f"SELECT pg_catalog.pg_advisory_xact_lock({KEY})"
    )
    if place.announced and place.home:
        composed = renewal(place.home, place.run.id, place.holds)
        message = f"{message}; {place.write(composed)}"
    cursor.execute(message)
    if not _last_rows(cursor) and place.announced:
        raise AnnouncementLost


def _last_rows(cursor: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a message's last statement: psycopg 2 keeps it, psycopg 3 begins with the first."""
    while is_psycopg3 and cursor.nextset():
        pass
    return list(cursor.fetchall()) if cursor.description else []


def _current(place: Workplace, cursor: Any, steps: Sequence[Step]) -> list[Step]:
    """Return the steps as they are right now: as planned if nothing has changed since."""
    names = frozenset(step.trigger for step in steps)
    first = steps[0]
    if first.table_oid is None:
        same = all(
            step.marks
            == read_function_marks(
                cursor, step.schema or "", step.trigger, int(step.trigger == IGNORE_FUNCTION)
            )
            for step in steps
        )
        fresh = None if same else place.planning.functions(place.alias)
    else:
        where, marks = read_marks(cursor, first.table_oid, names)
        same = where == (first.schema, first.table) and all(
            step.marks == marks.get(step.trigger, ()) for step in steps
        )
        fresh = None if same else place.planning.table(place.alias, first.table_oid, names)
    if fresh is None:
        return list(steps)
    return _reconciled(place, steps, fresh)


def _reconciled(place: Workplace, planned: Sequence[Step], fresh: Sequence[Step]) -> list[Step]:
    """Match a fresh plan with the one that was made: what is done is done, what is new is judged."""
    by_name = {(step.schema, step.trigger): step for step in fresh}
    current = []
    for step in planned:
        now = by_name.get((step.schema, step.trigger))
        if now is None:
            now = _without_statements(step, *_GONE[place.run.verb is Verb.PRUNE])
        elif now.is_work and place.terms.strict and now.statements != step.statements:
            raise StalePlan(
                f"{step.uri} has changed since the plan was made: make a new plan and look at it."
            )
        elif not step.hazards | place.terms.allowed >= now.hazards:
            words = ",".join(sorted(now.hazards - step.hazards))
            why = f"it has changed since it was planned; to go on, add --allow {words}"
            now = _without_statements(step, Result.FAILED, why)
        current.append(now)
    return current


_GONE = (
    (Result.FAILED, "its table was dropped or renamed since it was planned: run this again"),
    (Result.UNCHANGED, "it is gone already"),
)


def _without_statements(step: Step, result: Result, reason: str) -> Step:
    return dataclasses.replace(
        step, result=result, reason=reason, statements=(), opens_lease=None, ends_lease=False
    )


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
    """Execute steps, with what they leave in the ledger, and read what they left on the table."""
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
    cursor.execute(";\n".join(lines))
    rows = _last_rows(cursor)
    return left_from(rows) if first.table_oid is not None else {}


def _lines(place: Workplace, step: Step) -> list[str]:
    lines = []
    for statement in step.statements:
        lines.append(statement.sql)
        if place.home:
            record = Record(
                sql=statement.sql, undo=statement.undo, lock=statement.lock.value, **_about(step)
            )
            lines.append(place.write(insertion(place.home, place.run, [record])))
    if place.home and step.is_work and not step.statements:
        record = Record(detail=step.reason, **_about(step))
        lines.append(place.write(insertion(place.home, place.run, [record])))
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
