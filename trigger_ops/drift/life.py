"""What becomes of findings from one check to the next. Decides; writes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from trigger_ops.drift import Finding
from trigger_ops.drift.answering import Answers
from trigger_ops.drift.digests import key_of, without_schema
from trigger_ops.drift.freshness import remembered
from trigger_ops.drift.places import (
    count_of,
    digest_of_places,
    places_of,
    united,
    within,
)
from trigger_ops.records import AllowanceRecord, FindingRecord, Places
from trigger_ops.states import EventKind, Facet

EVERYWHERE = frozenset({"trigger_ops.C003"})
"""IDs of which a check looks for strangers' triggers in every schema, whatever it was asked."""

OF_THE_PATH = frozenset({"trigger_ops.W013"})
"""IDs that are about the search_path: a schema that is not on it any more shows nothing of them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What one check of one database could tell.

    ``findings`` are by key. ``schemas`` are those that were looked at or are gone, None for all;
    ``tables`` are (schema, table) that were looked at beside them, because a model names its
    schema. ``uris`` are the triggers asked for, None for all. ``unread`` are (table, trigger) that could not
    be judged, ``unread_in`` the same with their schemas, ``blind`` the IDs that nothing could be
    said of. ``own_path`` says that the connection's own search_path was looked at.
    """

    findings: Mapping[str, Finding]
    schemas: frozenset[str] | None = None
    tables: frozenset[tuple[str, str]] = frozenset()
    uris: frozenset[str] | None = None
    unread: frozenset[tuple[str, str]] = frozenset()
    unread_in: frozenset[tuple[str, str, str]] = frozenset()
    blind: frozenset[str] = frozenset()
    own_path: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What to do with one finding: make it (``before`` is None), bring it up to date, or end it.

    ``kind`` is what happened to it, None for nothing that anybody should know; ``told`` says
    whether people are to be told. ``after`` is None where it is resolved; its digest and places,
    ``schemas`` and ``count`` are of all places, those included that were not looked at.
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
    places = united(places_of(one) for one in group)
    facets = {facet for one in group for facet in one.facets}
    messages = dict.fromkeys(without_schema(one.message, one.schema) for one in group)
    return dataclasses.replace(
        first,
        digest=digest_of_places(places),
        places=places,
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
    answers = Answers(allowances, now)
    known = {one.key: one for one in before}
    for key, finding in seen.findings.items():
        yield _step(key, known.get(key), finding, seen, answers)
    for key, record in known.items():
        if key not in seen.findings:
            yield from _gone(record, seen)


def _step(
    key: str, before: FindingRecord | None, after: Finding, seen: Seen, answers: Answers
) -> Step:
    schemas, count = frozenset(after.schemas), after.count
    if before is not None:
        elsewhere = _elsewhere(before, seen) - schemas
        unseen = within(places_of(before), elsewhere)
        schemas, count = schemas | elsewhere, count + count_of(unseen)
        after = _beside(before, after, unseen) if unseen else after
    is_allowed = answers.covering(key, after.digest, count) is not None
    outgrown = answers.outgrown(key, after.digest, count)
    kind = _kind(before, after, count, is_allowed=is_allowed, has_grown=outgrown is not None)
    told = kind not in (None, EventKind.ALLOWED) and not is_allowed
    return Step(
        key=key,
        before=before,
        after=after,
        kind=kind,
        told=told,
        allowed=is_allowed,
        schemas=tuple(sorted(schemas)),
        count=count,
    )


def _beside(before: FindingRecord, after: Finding, unseen: Places) -> Finding:
    """Return what was seen together with what others show that nobody looked at this time.

    Where that is what it was before, so are its words: they are of all places together.
    """
    places = united([places_of(after), unseen])
    if places == places_of(before):
        after = remembered(before)
    facets = {*after.facets, *(Facet(one) for one in before.facets)}
    return dataclasses.replace(
        after,
        digest=digest_of_places(places),
        places=places,
        facets=tuple(facet for facet in Facet if facet in facets),
    )


def _kind(
    before: FindingRecord | None,
    after: Finding,
    count: int,
    *,
    is_allowed: bool,
    has_grown: bool,
) -> EventKind | None:
    if before is None:
        return EventKind.OPENED
    if is_allowed:
        return None if before.allowed else EventKind.ALLOWED
    if before.digest != after.digest:
        return EventKind.CHANGED
    if before.allowed:
        return EventKind.GREW if has_grown else EventKind.RETURNED
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
    """Return the schemas of a finding about a table that were not looked at, or not judged."""
    if not record.table or (seen.own_path and record.code in OF_THE_PATH):
        return frozenset()
    schemas = frozenset(record.schemas)
    unread = frozenset(
        schema for schema in schemas if (schema, record.table, record.trigger) in seen.unread_in
    )
    if seen.schemas is None or (record.code in EVERYWHERE and not record.uri):
        return unread
    return unread | frozenset(
        schema for schema in schemas - seen.schemas if (schema, record.table) not in seen.tables
    )
