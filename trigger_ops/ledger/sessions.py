"""Sessions as the database's clock sees them, with their reviews and events."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.rights import SESSIONS, read_ours
from trigger_ops.ledger.tables import moment, named
from trigger_ops.models import (
    Change,
    Review,
    Session,
    SessionEvent,
    SessionStatement,
    SessionTransaction,
)
from trigger_ops.records import EventRecord, ReviewRecord, SessionRecord
from trigger_ops.sql import Composable
from trigger_ops.states import SessionState

LARGEST = 2**63 - 1
"""The largest number that a session can have."""

OWN_PROCESS = ("run", "shell", "code")
"""Surfaces whose session is ended by the process that opened it, if that lives."""

# When it was last used: as in trigger_ops_is_idle, which enter asks. Whatever is final is as it
# is stored, save a session that was closed after its time: what it still wrote was refused then.
_SESSIONS = """\
WITH used AS (
    SELECT s.*, CASE WHEN s.state OPERATOR(pg_catalog.<>) 'pending' THEN greatest(
               (SELECT pg_catalog.max(t.at) FROM {transactions} t WHERE t.session_id OPERATOR(pg_catalog.=) s.id),
               (SELECT pg_catalog.max(c.at) FROM {changes} c WHERE c.session_id OPERATOR(pg_catalog.=) s.id),
               (SELECT pg_catalog.max(m.at) FROM {statements} m WHERE m.session_id OPERATOR(pg_catalog.=) s.id)) END AS newest
      FROM {sessions} s WHERE {own}
), judged AS (
    SELECT u.*, CASE
               WHEN u.state OPERATOR(pg_catalog.=) 'pending' AND u.opened OPERATOR(pg_catalog.+) u.waits OPERATOR(pg_catalog.<=) {now} THEN 'expired'
               WHEN u.state OPERATOR(pg_catalog.=) 'ended' AND u.ended OPERATOR(pg_catalog.>=) u.expires THEN 'expired'
               WHEN u.state OPERATOR(pg_catalog.=) 'active' AND (
                    u.expires OPERATOR(pg_catalog.<=) {now}
                    OR greatest(u.newest, u.activated) OPERATOR(pg_catalog.+) u.idle OPERATOR(pg_catalog.<=) {now}
                       AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                                        WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.classid OPERATOR(pg_catalog.=) {lock}::pg_catalog.oid
                                          AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) u.id AND l.database OPERATOR(pg_catalog.=)
                                              (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())))
               THEN CASE WHEN u.surface OPERATOR(pg_catalog.=) ANY (ARRAY[{surfaces}]::pg_catalog.text[]) THEN 'abandoned' ELSE 'expired' END
               ELSE u.state END AS now_is
      FROM used u
)
SELECT j.id, j.now_is, j.uris::pg_catalog.text, j.triggers::pg_catalog.text, j.reason, j.ticket, j.surface, j.opener, j.opener_key, j.role,
       j.host, j.needs, j.most_rows, j.extensions, j.most_extensions, j.lasts, j.idle, pg_catalog.timezone('UTC', j.opened),
       pg_catalog.timezone('UTC', j.activated), pg_catalog.timezone('UTC', j.expires), pg_catalog.timezone('UTC', j.ended),
       j.ended_by, j.end_cause, pg_catalog.timezone('UTC', j.newest)
  FROM judged j WHERE {judged} ORDER BY j.id DESC LIMIT {limit}"""

_COLUMNS = (
    *("id", "state", "uris", "triggers", "reason", "ticket", "surface", "opened_by", "opener_key"),
    *("role", "host", "needs", "most_rows", "extensions", "most_extensions", "lasts", "idle"),
    *("opened", "activated", "expires", "ended", "ended_by", "end_cause", "newest"),
)
_TIMES = ("opened", "activated", "expires", "ended", "newest")
_LISTS = ("uris", "triggers")

_REVIEWS = """\
SELECT r.session_id, r.reviewer, r.verdict, r.remark, pg_catalog.timezone('UTC', r.at)
  FROM {reviews} r WHERE r.session_id OPERATOR(pg_catalog.=) ANY ({ids}) ORDER BY r.id"""

_EVENTS = """\
SELECT e.id, e.session_id, e.kind, e.actor, pg_catalog.timezone('UTC', e.at), e.detail::pg_catalog.text
  FROM {events} e WHERE e.session_id OPERATOR(pg_catalog.=) ANY ({ids}) ORDER BY e.id"""

# Whatever session it was about, if any.
_DENIALS = """\
SELECT e.id, e.session_id, e.kind, e.actor, pg_catalog.timezone('UTC', e.at), e.detail::pg_catalog.text
  FROM {events} e WHERE e.kind OPERATOR(pg_catalog.=) ANY ({kinds}) ORDER BY e.id DESC LIMIT {limit}"""

_DENIED = """\
SELECT pg_catalog.count(*), pg_catalog.timezone('UTC', pg_catalog.max(e.at))
  FROM {events} e WHERE e.kind OPERATOR(pg_catalog.=) ANY ({kinds})"""

REFUSED = "refused"
"""The kind of event that a refused statement is recorded as."""

REJECTED = "rejected"
"""The kind of event that a request is recorded as which was not granted."""

LOCK = 1953656688
"""The class of the advisory locks that backends hold while they are in a session."""


def read_sessions(
    alias: str,
    home: str,
    *,
    number: int | None = None,
    states: Collection[SessionState] = (),
    opener: str | None = None,
    limit: int = 100,
) -> list[SessionRecord]:
    """Return sessions, newest first, that satisfy everything that is asked for.

    ``state`` is what the database's clock makes of it: a request that nobody reviewed in time is
    expired, and so is a session that is past its end or was not used for too long; one of a
    process's own (``run``, ``shell``, ``code``) was abandoned then. Nothing is written down.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    if number is not None and not 0 < number <= LARGEST:
        return []
    own, judged = [], []
    if number is not None:
        own.append(sql.SQL("s.id OPERATOR(pg_catalog.=) {}").format(sql.Literal(number)))
    if opener is not None:
        own.append(sql.SQL("s.opener OPERATOR(pg_catalog.=) {}").format(sql.Literal(opener)))
    if states:
        wanted = texts(one.value for one in states)
        judged.append(sql.SQL("j.now_is OPERATOR(pg_catalog.=) ANY ({})").format(wanted))
    statement = sql.SQL(_SESSIONS).format(
        sessions=named(home, Session),
        transactions=named(home, SessionTransaction),
        changes=named(home, Change),
        statements=named(home, SessionStatement),
        now=sql.SQL("pg_catalog.clock_timestamp()"),
        lock=sql.Literal(LOCK),
        surfaces=sql.SQL(", ").join(map(sql.Literal, OWN_PROCESS)),
        own=_all(own),
        judged=_all(judged),
        limit=sql.Literal(limit),
    )
    rows = [
        dict(zip(_COLUMNS, row, strict=True))
        for row in read_ours(alias, home, statement, SESSIONS)
    ]
    reviews = _reviews(alias, home, [row["id"] for row in rows])
    return [_session(alias, row, reviews) for row in rows]


def read_events(alias: str, home: str, sessions: Iterable[int]) -> list[EventRecord]:
    """Return what happened to sessions, oldest first.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_EVENTS).format(events=named(home, SessionEvent), ids=numbers(sessions))
    return _events(alias, home, statement)


def read_denials(alias: str, home: str, *, limit: int = 100) -> list[EventRecord]:
    """Return refused statements and requests, newest first, whether or not in a session.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_DENIALS).format(
        events=named(home, SessionEvent),
        kinds=texts((REFUSED, REJECTED)),
        limit=sql.Literal(limit),
    )
    return _events(alias, home, statement)


def count_denials(alias: str, home: str) -> tuple[int, dt.datetime | None]:
    """Return how many statements and requests were refused, and when the newest one was.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    statement = sql.SQL(_DENIED).format(
        events=named(home, SessionEvent), kinds=texts((REFUSED, REJECTED))
    )
    ((number, newest),) = read_ours(alias, home, statement, SESSIONS)
    return number, _moment(newest)


def _events(alias: str, home: str, statement: Composable) -> list[EventRecord]:
    return [
        EventRecord(
            id=id_,
            session=session,
            kind=kind,
            actor=actor,
            at=moment(at),
            detail=_as_mapping(detail),
        )
        for id_, session, kind, actor, at, detail in read_ours(alias, home, statement, SESSIONS)
    ]


def numbers(some: Iterable[int]) -> Composable:
    """Return an array of 64-bit numbers, which may be empty."""
    listed = sql.SQL(", ").join(map(sql.Literal, some))
    return sql.SQL("ARRAY[{}]::pg_catalog.int8[]").format(listed)


def texts(some: Iterable[str]) -> Composable:
    """Return an array of texts, which may be empty."""
    listed = sql.SQL(", ").join(map(sql.Literal, some))
    return sql.SQL("ARRAY[{}]::pg_catalog.text[]").format(listed)


def _all(conditions: list[Composable]) -> Composable:
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _session(
    alias: str, row: dict[str, Any], reviews: Mapping[int, list[ReviewRecord]]
) -> SessionRecord:
    values = dict(row)
    values.update({name: _moment(values[name]) for name in _TIMES})
    values.update({name: tuple(json.loads(values[name])) for name in _LISTS})
    values["state"] = SessionState(values["state"])
    return SessionRecord(**values, database=alias, reviews=tuple(reviews.get(values["id"], ())))


def _reviews(alias: str, home: str, sessions: list[int]) -> Mapping[int, list[ReviewRecord]]:
    found: defaultdict[int, list[ReviewRecord]] = defaultdict(list)
    if not sessions:
        return found
    statement = sql.SQL(_REVIEWS).format(reviews=named(home, Review), ids=numbers(sessions))
    for session, reviewer, verdict, remark, at in read_ours(alias, home, statement, SESSIONS):
        found[session].append(
            ReviewRecord(reviewer=reviewer, verdict=verdict, remark=remark, at=moment(at))
        )
    return found


def _moment(at: dt.datetime | None) -> dt.datetime | None:
    return None if at is None else moment(at)


def _as_mapping(detail: str | None) -> Mapping[str, Any]:
    found = json.loads(detail or "{}")
    return found if isinstance(found, dict) else {"detail": found}
