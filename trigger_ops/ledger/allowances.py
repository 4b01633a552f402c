"""Dated allowances: who answers for which finding, exactly as it is, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from trigger_ops.ledger.recording import Book, aware, aware_or_none
from trigger_ops.models import Allowance
from trigger_ops.records import AllowanceRecord, FindingRecord


def read_allowances(
    book: Book, databases: Collection[str] | None = None, *, live: bool = True
) -> list[AllowanceRecord]:
    """Return the allowances of some databases, or of all; only ``live`` ones unless told."""
    found = Allowance.objects.using(book.alias).order_by("pk")
    if live:
        found = found.filter(ended__isnull=True, expires__gt=book.now)
    if databases is not None:
        found = found.filter(database__in=list(databases))
    return [_record(one) for one in found]


def write_allowance(
    book: Book, finding: FindingRecord, *, owner: str, reason: str, lasts: dt.timedelta
) -> AllowanceRecord:
    """Write that somebody answers for a finding as it is now."""
    row = Allowance.objects.using(book.alias).create(
        key=finding.key,
        digest=finding.digest,
        code=finding.code,
        database=finding.database,
        uri=finding.uri,
        message=finding.message,
        count=finding.count,
        owner=owner,
        reason=reason,
        since=book.now,
        expires=book.now + lasts,
    )
    return _record(row)


def end_allowance(book: Book, number: int, *, by: str) -> AllowanceRecord | None:
    """End a live allowance before its time; None where there is none of that number."""
    row = (
        Allowance.objects.using(book.alias)
        .filter(pk=number, ended__isnull=True, expires__gt=book.now)
        .first()
    )
    if row is None:
        return None
    row.ended, row.ended_by = book.now, by
    row.save(using=book.alias, update_fields=["ended", "ended_by"])
    return _record(row)


def _record(row: Allowance) -> AllowanceRecord:
    return AllowanceRecord(
        id=row.pk,
        key=row.key,
        digest=row.digest,
        code=row.code,
        database=row.database,
        uri=row.uri,
        message=row.message,
        owner=row.owner,
        reason=row.reason,
        since=aware(row.since),
        expires=aware(row.expires),
        ended=aware_or_none(row.ended),
        ended_by=row.ended_by,
        count=row.count,
    )
