"""What becomes of findings from one check to the next. Decides; writes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from trigger_ops.drift import Finding
from trigger_ops.drift.digests import digest_of, key_of, without_schema
from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.states import EventKind, Facet

EVERYWHERE = frozenset({"trigger_ops.C003"})
"""IDs of which a check looks for strangers' triggers in every schema, whatever it was asked."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What one check of one database could tell.

    ``findings`` are by key. ``schemas`` are those that were looked at or are gone, None for all;
    ``tables`` are (schema, table) that were looked at beside them, because a model names its
    schema. ``uris`` are the triggers asked for, None for all. ``unread`` are (table, trigger) that could not
    be judged, ``blind`` the IDs that nothing could be said of.
    """

    findings: Mapping[str, Finding]
    schemas: frozenset[str] | None = None
    tables: frozenset[tuple[str, str]] = frozenset()
    uris: frozenset[str] | None = None
    unread: frozenset[tuple[str, str]] = frozenset()
    blind: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What to do with one finding: make it (``before`` is None), bring it up to date, or end it.

    ``kind`` is what happened to it, None for nothing that anybody should know; ``told`` says
    whether people are to be told. ``after`` is None where it is resolved; ``schemas`` and
    ``count`` are what it then has, those places included that were not looked at.
    """

    key: str
    before: FindingRecord | None
    after: Finding | None
    kind: EventKind | None
    told: bool = False
    allowed: bool = False
    schemas: tuple[str, ...] = ()
    count: int = 1


def by_key(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by what they are about; several about one thing become one.

    Tenants whose triggers were changed in two ways are one thing that somebody has to look at.
    """
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[key_of(finding)].append(finding)
    return {key: _merged(group) for key, group in groups.items()}


def _merged(group: Sequence[Finding]) -> Finding:
    first = group[0]
    if len(group) == 1:
        return first
    digests = sorted({one.digest for one in group})
    facets = {facet for one in group for facet in one.facets}
    messages = dict.fromkeys(without_schema(one.message, one.schema) for one in group)
    return dataclasses.replace(
        first,
        digest=digests[0] if len(digests) == 1 else digest_of(digests),
        facets=tuple(facet for facet in Facet if facet in facets),
        schemas=tuple(sorted({schema for one in group for schema in one.schemas})),
        count=sum(one.count for one in group),
        message=first.message
        + (f" And {len(messages) - 1} more like it." if len(messages) > 1 else ""),
    )


def follow(
    before: Sequence[FindingRecord],
    seen: Seen,
    allowances: Collection[AllowanceRecord] = (),
    *,
    now: dt.datetime,
) -> Iterator[Step]:
    """Yield what becomes of the open findings of one database, and of those that are new.

    People are told of what opens, changes, returns from an allowance, resolves, and of a count
    that has doubled since they were told; never of what an allowance covers.
    """
    allowed = {(one.key, one.digest) for one in allowances if one.is_live(now)}
    known = {one.key: one for one in before}
    for key, finding in seen.findings.items():
        is_allowed = (key, finding.digest) in allowed
        yield _step(key, known.get(key), finding, seen, is_allowed=is_allowed)
    for key, record in known.items():
        if key not in seen.findings:
            yield from _gone(record, seen)


def _step(
    key: str, before: FindingRecord | None, after: Finding, seen: Seen, *, is_allowed: bool
) -> Step:
    elsewhere = _elsewhere(before, seen) if before is not None else frozenset()
    schemas = tuple(sorted({*after.schemas, *elsewhere}))
    count = after.count + len(elsewhere.difference(after.schemas))
    kind = _kind(before, after, count, is_allowed=is_allowed)
    told = kind not in (None, EventKind.ALLOWED) and not is_allowed
    return Step(
        key=key,
        before=before,
        after=after,
        kind=kind,
        told=told,
        allowed=is_allowed,
        schemas=schemas,
        count=count,
    )


def _kind(
    before: FindingRecord | None, after: Finding, count: int, *, is_allowed: bool
) -> EventKind | None:
    if before is None:
        return EventKind.OPENED
    if is_allowed:
        return None if before.allowed else EventKind.ALLOWED
    if before.digest != after.digest:
        return EventKind.CHANGED
    if before.allowed:
        return EventKind.RETURNED
    doubled = before.told_count and count >= 2 * before.told_count
    return EventKind.GREW if doubled else None


def _gone(record: FindingRecord, seen: Seen) -> Iterator[Step]:
    """Yield the end of a finding, if this check would have seen it; else it stays as it was."""
    if record.code in seen.blind or (record.table, record.trigger) in seen.unread:
        return
    if seen.uris is not None and record.uri not in seen.uris:
        return
    remaining = _elsewhere(record, seen)
    if not remaining:
        told = record.told_count > 0 and not record.allowed
        yield Step(key=record.key, before=record, after=None, kind=EventKind.RESOLVED, told=told)


def _elsewhere(record: FindingRecord, seen: Seen) -> frozenset[str]:
    """Return the schemas of a finding about a table that were not looked at this time."""
    if seen.schemas is None or not record.table or (record.code in EVERYWHERE and not record.uri):
        return frozenset()
    return frozenset(
        schema
        for schema in frozenset(record.schemas) - seen.schemas
        if (schema, record.table) not in seen.tables
    )
