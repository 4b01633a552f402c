"""The one place at a time where recorded checks are written."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from trigger_ops import conf
from trigger_ops.catalog.transactions import first_line, without_injection
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.ledger.rights import grants_of
from trigger_ops.models import (
    Allowance,
    DriftFinding,
    DriftRun,
    DriftTarget,
    FindingEvent,
    Notice,
)

_TABLES: tuple[type[models.Model], ...] = (
    *(DriftRun, DriftTarget, DriftFinding, FindingEvent, Allowance, Notice),
)

LOCK = 0x7452_4F70_7344_7266
"""The advisory lock of whoever writes: a number of ours, held for one short transaction."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """A transaction on the recording database: ``now`` is its clock, ``pid`` its backend."""

    alias: str
    now: dt.datetime
    pid: int


@contextlib.contextmanager
def recording(*, deletes: bool = False) -> Iterator[Book]:
    """Give a transaction on the recording database that no other one writes beside.

    ``deletes`` says that records go in it, which takes one right more.

    Raises:
        NotRecorded: when the database cannot be reached, or is not migrated.
        BadSettings: when it is not PostgreSQL.
    """
    with _opened(waits="pg_catalog.pg_advisory_xact_lock", deletes=deletes) as book:
        yield book


@contextlib.contextmanager
def reading_records() -> Iterator[Book]:
    """Give a transaction on the recording database to read in, beside whoever writes.

    Raises:
        NotRecorded: when the database cannot be reached, or is not migrated.
        BadSettings: when it is not PostgreSQL.
    """
    with _opened(waits=None) as book:
        yield book


@contextlib.contextmanager
def _opened(*, waits: str | None, deletes: bool = False) -> Iterator[Book]:
    alias = conf.record_database()
    connection = connections[alias]
    if connection.vendor != "postgresql":
        raise BadSettings(
            f'TRIGGER_OPS["RECORD_DATABASE"] is "{alias}", which is not PostgreSQL: '
            "name an alias that is, and checks can be recorded."
        )
    try:
        with (
            without_injection(connection),
            transaction.atomic(using=alias),
            connection.cursor() as cursor,
            _pinned(cursor, zone="" if connection.timezone else "UTC"),
        ):
            if waits is not None:
                cursor.execute(f"SELECT {waits}(%s)", [LOCK])
            cursor.execute(
                "SELECT pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), "
                "pg_catalog.pg_backend_pid(), ARRAY(SELECT t FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS t "
                "WHERE pg_catalog.to_regclass(pg_catalog.quote_ident(t)) IS NULL)",
                [[model._meta.db_table for model in _TABLES]],
            )
            now, pid, missing = cursor.fetchone()
            if missing:
                raise NotRecorded(
                    _(
                        '"%(alias)s" has no table %(table)s: run manage.py migrate trigger_ops '
                        "--database %(alias)s."
                    ),
                    alias=alias,
                    table=missing[0],
                )
            yield Book(alias=alias, now=now.replace(tzinfo=dt.UTC), pid=pid)
    except (DatabaseError, InterfaceError) as error:
        rights = ("SELECT",) if waits is None else ("SELECT", "INSERT", "UPDATE")
        grants = grants_of(alias, error, _TABLES, (*rights, "DELETE") if deletes else rights)
        raise NotRecorded(
            _('"%(alias)s" cannot be recorded in: %(error)s.'),
            alias=alias,
            error=first_line(error) + (f": run {grants.rstrip(';')}" if grants else ""),
        ) from error


@contextlib.contextmanager
def _pinned(cursor: Any, *, zone: str) -> Iterator[None]:
    """Set what our statements depend on; a transaction that is the caller's gets back what it had.

    Without ``USE_TZ`` times come without a zone, and in UTC alone no hour comes twice a year.
    """
    limit = str(conf.statement_timeout())
    wanted = {"statement_timeout": limit, "lock_timeout": limit}
    if zone:
        wanted["TimeZone"] = zone
    read = ", ".join(["pg_catalog.current_setting(%s)"] * len(wanted))
    cursor.execute(f"SELECT {read}", list(wanted))
    before = dict(zip(wanted, cursor.fetchone(), strict=True))
    _set(cursor, wanted)
    yield
    _set(cursor, before)  # after an error the rollback has undone it


def _set(cursor: Any, settings: Mapping[str, str]) -> None:
    calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
    cursor.execute(f"SELECT {calls}", [text for pair in settings.items() for text in pair])


def aware(moment: dt.datetime) -> dt.datetime:
    """Return a time with a zone. Without ``USE_TZ`` times are read in UTC while we record."""
    return moment.replace(tzinfo=dt.UTC) if timezone.is_naive(moment) else moment


def aware_or_none(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a time with a zone, or None."""
    return None if moment is None else aware(moment)
