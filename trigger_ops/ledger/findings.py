"""Findings over time: opened, brought up to date and resolved in one transaction with their run."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Sequence

from django.db.models import Q, QuerySet

from trigger_ops.drift import Finding
from trigger_ops.drift.life import Step
from trigger_ops.drift.places import places_of
from trigger_ops.drift.vouching import needed
from trigger_ops.ledger.freshness import read_readings
from trigger_ops.ledger.recording import Book, aware, aware_or_none
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget, FindingEvent, Notice
from trigger_ops.records import Destination, FindingChange, FindingRecord
from trigger_ops.states import EventKind, Level

BATCH = 1000

CHANGED_BATCH = 50
"""Rows that one statement brings up to date: each is compared with every one of its batch."""

STILL_TOLD = dt.timedelta(days=1)
"""How long people may have to wait to be told of something; nobody tries for longer."""

_UPDATED = (
    *("digest", "level", "uri", "schema", "schemas", "places", "status", "enabled", "facets"),
    *("count", "message", "fix", "allowed", "last_seen", "told_count"),
)


def read_open_findings(
    book: Book, databases: Collection[str] | None = None
) -> list[FindingRecord]:
    """Return the open findings of some databases, or of all, in the order they were seen."""
    found = DriftFinding.objects.using(book.alias).filter(resolved__isnull=True)
    if databases is not None:
        found = found.filter(database__in=list(databases))
    return [record_of(one) for one in found.order_by("pk")]


def write_steps(
    book: Book,
    run: uuid.UUID,
    steps: Sequence[Step],
    destinations: Sequence[Destination],
) -> list[FindingChange]:
    """Carry out what was decided about the findings of a run; return what people are told.

    Each change that a destination wants gets a notice in the outbox, in this same transaction.
    """
    rows = _opened(book, steps)
    _updated(book, steps, rows)
    events = [
        FindingEvent(
            finding=rows[step.key],
            run=run,
            kind=step.kind,
            at=book.now,
            digest=rows[step.key].digest,
            count=rows[step.key].count,
            message=rows[step.key].message,
        )
        for step in steps
        if step.kind is not None
    ]
    events = FindingEvent.objects.using(book.alias).bulk_create(events, batch_size=BATCH)
    told = {step.key for step in steps if step.told}
    changes = [change_of(event) for event in events if event.finding.key in told]
    _write_notices(book, changes, destinations)
    return changes


def end_elsewhere(book: Book, run: uuid.UUID, databases: Collection[str]) -> int:
    """End the open findings of all other databases, which no check will look at again.

    Nobody is told: whoever took a database out of the settings knows. Returns how many there were.
    """
    gone = list(
        DriftFinding.objects.using(book.alias)
        .filter(resolved__isnull=True)
        .exclude(database__in=list(databases))
    )
    FindingEvent.objects.using(book.alias).bulk_create(
        (
            FindingEvent(
                finding=one,
                run=run,
                kind=EventKind.RESOLVED,
                at=book.now,
                digest=one.digest,
                count=one.count,
                message=f'The settings have no PostgreSQL database "{one.database}" any more.',
            )
            for one in gone
        ),
        batch_size=BATCH,
    )
    ended = DriftFinding.objects.using(book.alias).filter(pk__in=[one.pk for one in gone])
    return ended.update(resolved=book.now)


def _opened(book: Book, steps: Sequence[Step]) -> dict[str, DriftFinding]:
    """Return the rows of all findings of the steps by key, new ones made."""
    before = [step.before.id for step in steps if step.before is not None and _changes(step)]
    found = DriftFinding.objects.using(book.alias).in_bulk(before)
    rows = {one.key: one for one in found.values()}
    new = [
        _filled(
            DriftFinding(
                key=step.key,
                code=step.after.id,
                database=step.after.database,
                table=step.after.table or "",
                trigger=step.after.trigger or "",
                first_seen=book.now,
            ),
            step,
            step.after,
            book.now,
        )
        for step in steps
        if step.before is None and step.after is not None
    ]
    made = DriftFinding.objects.using(book.alias).bulk_create(new, batch_size=BATCH)
    return {**rows, **{one.key: one for one in made}}


def _updated(book: Book, steps: Sequence[Step], rows: dict[str, DriftFinding]) -> None:
    old = [step for step in steps if step.before is not None]
    seen = [step.before.id for step in old if step.before and step.after and not _changes(step)]
    findings = DriftFinding.objects.using(book.alias)
    for start in range(0, len(seen), 10 * BATCH):
        findings.filter(pk__in=seen[start : start + 10 * BATCH]).update(last_seen=book.now)
    changed = [
        _filled(rows[step.key], step, step.after, book.now)
        for step in old
        if step.after is not None and _changes(step)
    ]
    findings.bulk_update(changed, _UPDATED, batch_size=CHANGED_BATCH)
    gone = [rows[step.key] for step in old if step.after is None]
    for row in gone:
        row.resolved = book.now
    findings.filter(pk__in=[row.pk for row in gone]).update(resolved=book.now)


def _changes(step: Step) -> bool:
    """Tell whether more than the time has changed."""
    before, after = step.before, step.after
    if before is None or after is None or step.kind is not None:
        return True
    fresh = (after.level, after.uri or "", after.status or "", after.enabled or "", after.facets)
    known = (before.level, before.uri, before.status, before.enabled, before.facets)
    if places_of(after) != places_of(before):
        return True
    return fresh != known or (
        after.message,
        after.fix,
        step.count,
        step.schemas,
        step.allowed,
    ) != (
        before.message,
        before.fix,
        before.count,
        before.schemas,
        before.allowed,
    )


def _filled(row: DriftFinding, step: Step, after: Finding, now: dt.datetime) -> DriftFinding:
    row.digest, row.level = after.digest, after.level.name
    row.uri, row.schema = after.uri or "", after.schema or ""
    row.schemas, row.count = list(step.schemas), step.count
    places = places_of(after)
    row.places = {} if places == ((after.digest, step.schemas),) else dict(places)
    row.status = after.status.value if after.status is not None else ""
    row.enabled = after.enabled.value if after.enabled is not None else ""
    row.facets = [facet.value for facet in after.facets]
    row.message, row.fix = after.message, after.fix
    row.allowed, row.last_seen = step.allowed, now
    if step.told:
        row.told_count = step.count
    return row


def _write_notices(
    book: Book, changes: Iterable[FindingChange], destinations: Sequence[Destination]
) -> None:
    Notice.objects.using(book.alias).bulk_create(
        (
            Notice(event_id=change.id, destination=one.name, written=book.now, due=book.now)
            for change in changes
            for one in destinations
            if one.wants(change.finding.level, change.kind)
        ),
        batch_size=BATCH,
    )


def prune_records(
    book: Book, older_than: dt.timedelta, databases: Collection[str] = ()
) -> dict[str, int]:
    """Delete what is over for longer than that; return how many runs and findings went.

    Open findings stay, with all that happened to them, and so do those of which somebody is still
    to be told, the last complete run, and those that vouch for one of the ``databases``. Runs that
    nobody finished go as well.
    """
    limit = book.now - older_than
    runs = _old_runs(book, limit).exclude(pk__in=_last_runs(book, databases))
    waiting = Notice.objects.using(book.alias).filter(
        sent__isnull=True, given_up__isnull=True, written__gt=book.now - STILL_TOLD
    )
    findings = (
        DriftFinding.objects.using(book.alias)
        .filter(resolved__lt=limit)
        .exclude(pk__in=waiting.values("event__finding"))
    )
    counts = {"runs": runs.count(), "findings": findings.count()}
    runs.delete()
    findings.delete()
    return counts


def prune_scope(book: Book, older_than: dt.timedelta, scope: str) -> int:
    """Delete runs in one scope that are over for longer, whatever they vouch for; return how many.

    Checks are then no longer expected to look at these schemas.
    """
    runs = _old_runs(book, book.now - older_than).filter(whole=True, scope=scope)
    number = runs.count()
    runs.delete()
    return number


def _old_runs(book: Book, limit: dt.datetime) -> QuerySet[DriftRun]:
    at_work = DriftTarget.objects.using(book.alias).filter(claimed_until__gt=book.now)
    return (
        DriftRun.objects.using(book.alias)
        .filter(Q(finished__lt=limit) | Q(finished__isnull=True, began__lt=limit))
        .exclude(pk__in=at_work.values("run"))
    )


def _last_runs(book: Book, databases: Collection[str]) -> set[uuid.UUID]:
    """Return the runs by which it is known how fresh everything is, however old they are."""
    vouching = needed(read_readings(book, databases))
    complete = DriftRun.objects.using(book.alias).filter(
        finished__lte=book.now, whole=True, complete=True
    )
    newest = complete.order_by("-finished").values_list("pk", flat=True)[:1]
    return {*newest, *(one.run_id for one in vouching if one.run_id is not None)}


def change_of(event: FindingEvent) -> FindingChange:
    """Return an event with its finding as inert data."""
    return FindingChange(
        id=event.pk,
        kind=EventKind(event.kind),
        at=aware(event.at),
        run=event.run,
        finding=record_of(event.finding),
    )


def record_of(finding: DriftFinding) -> FindingRecord:
    """Return a finding as inert data."""
    return FindingRecord(
        id=finding.pk,
        key=finding.key,
        digest=finding.digest,
        code=finding.code,
        level=Level[finding.level],
        database=finding.database,
        uri=finding.uri,
        schema=finding.schema,
        schemas=tuple(finding.schemas),
        table=finding.table,
        trigger=finding.trigger,
        status=finding.status,
        enabled=finding.enabled,
        facets=tuple(finding.facets),
        count=finding.count,
        told_count=finding.told_count,
        message=finding.message,
        fix=finding.fix,
        allowed=finding.allowed,
        first_seen=aware(finding.first_seen),
        last_seen=aware(finding.last_seen),
        resolved=aware_or_none(finding.resolved),
        places=tuple((one, tuple(finding.places[one])) for one in sorted(finding.places)),
    )
