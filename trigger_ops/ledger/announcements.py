"""The one run that is changing triggers: it says so in a row that expires."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops import conf
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.transactions import in_transaction
from trigger_ops.exceptions import Busy
from trigger_ops.leases import Announcement
from trigger_ops.ledger.entries import Run
from trigger_ops.ledger.tables import moment, named, read, write
from trigger_ops.models import RunLease

ATTEMPTS = 5
"""How often the row may change hands while we look at who has it."""

_HELD = ("55P03", "40001")
"""SQLSTATEs of a row that somebody's transaction holds, or has just changed."""

# A backend that is gone takes its run with it; a number that was given out again only delays.
_LIVE = """\
l.expires OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
   AND EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(l.pid))"""

_ANNOUNCE = """\
INSERT INTO {leases} AS l (one, run, verb, holder, pid, since, expires)
VALUES (1, {run}, {verb}, {holder}, pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp(),
        pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) {lasts})
ON CONFLICT (one) DO UPDATE
   SET run = excluded.run, verb = excluded.verb, holder = excluded.holder, pid = excluded.pid,
       since = excluded.since, expires = excluded.expires
 WHERE l.run OPERATOR(pg_catalog.=) excluded.run OR NOT ({live})
RETURNING 1"""

_RENEW = """\
UPDATE {leases}
   SET expires = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) {lasts},
       pid = pg_catalog.pg_backend_pid()
 WHERE run OPERATOR(pg_catalog.=) {run}
   AND expires OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
RETURNING 1"""

_RENEWED = """\
EXISTS (SELECT FROM {leases} AS l WHERE l.run OPERATOR(pg_catalog.=) {run}
           AND l.expires OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())"""

_READ = """\
SELECT l.run::pg_catalog.text, l.verb, l.holder, l.pid,
       pg_catalog.timezone('UTC', l.since), pg_catalog.timezone('UTC', l.expires)
  FROM {leases} AS l WHERE {live}"""


def announce(alias: str, home: str, run: Run, lasts: dt.timedelta) -> Announcement | None:
    """Say that a run is at work; return None, or else the run that is already.

    A run whose time is up, or whose backend is gone, is taken over from; but not while a
    transaction of its own has renewed the announcement and is still open.

    Raises:
        Busy: when the row changes hands faster than it can be read.
        DatabaseError: for anything else the database refuses.
    """
    for _ in range(ATTEMPTS):
        free = _try_to_announce(alias, home, run, lasts)
        if free:
            return None
        # A renewal that is not committed yet cannot be seen, only what it replaces.
        other = _read(alias, home, even_expired=free is None)
        if other is not None:
            return other
    raise Busy(
        f'Other runs keep announcing themselves on "{alias}": nothing was changed there, try again.'
    )


def renewal(home: str, run_id: uuid.UUID, lasts: dt.timedelta) -> Any:
    """Return the statement, without parameters, that a run renews its announcement with.

    It returns one row, or none where the announcement has expired or somebody took over: then the
    run must change nothing more.
    """
    return sql.SQL(_RENEW).format(
        leases=named(home, RunLease), run=sql.Literal(str(run_id)), lasts=sql.Literal(lasts)
    )


def renewed(home: str, run_id: uuid.UUID) -> Any:
    """Return a condition, without parameters, that holds after a renewal that renewed something."""
    return sql.SQL(_RENEWED).format(leases=named(home, RunLease), run=sql.Literal(str(run_id)))


def withdraw(alias: str, home: str, run_id: uuid.UUID) -> None:
    """Take a run's announcement back, if it is still its own."""
    statement = sql.SQL("DELETE FROM {} WHERE run OPERATOR(pg_catalog.=) {}")
    write(alias, statement.format(named(home, RunLease), sql.Literal(str(run_id))))


def read_announcement(alias: str, home: str) -> Announcement | None:
    """Return the run that is at work on a database, if one is.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    return _read(alias, home, even_expired=False)


def _try_to_announce(alias: str, home: str, run: Run, lasts: dt.timedelta) -> bool | None:
    """Return whether the row is ours now; None where a transaction of another run holds it."""
    statement = sql.SQL(_ANNOUNCE).format(
        leases=named(home, RunLease),
        live=sql.SQL(_LIVE),
        run=sql.Literal(str(run.id)),
        verb=sql.Literal(run.verb.value),
        holder=sql.Literal(run.author.actor),
        lasts=sql.Literal(lasts),
    )
    joins = in_transaction(connections[alias])
    patience = sql.SQL("SELECT pg_catalog.set_config('lock_timeout', {}, true)")
    try:
        with transaction.atomic(using=alias):
            if not joins:
                write(alias, patience.format(sql.Literal(str(conf.lock_timeout()))))
            return bool(write(alias, statement))
    except DatabaseError as error:
        if sqlstate(error) not in _HELD:
            raise
        return None


def _read(alias: str, home: str, *, even_expired: bool) -> Announcement | None:
    statement = sql.SQL(_READ).format(
        leases=named(home, RunLease), live=sql.SQL("true" if even_expired else _LIVE)
    )
    for run, verb, holder, pid, since, expires in read(alias, statement):
        return Announcement(
            run=uuid.UUID(run),
            verb=verb,
            database=alias,
            holder=holder,
            pid=pid,
            since=moment(since),
            expires=moment(expires),
        )
    return None
