"""Collects the findings of a run, worst first, tenants with one cause as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trigger_ops.drift import Finding
from trigger_ops.drift.databases import at_work, bypasses
from trigger_ops.drift.digests import without_schema
from trigger_ops.drift.guarding import Guarding, about_guard, own_bodies, without_witnesses
from trigger_ops.drift.ids import KINDS
from trigger_ops.drift.places import digest_of_places, places_of, united
from trigger_ops.drift.strangers import strangers
from trigger_ops.drift.tables import (
    Generation,
    about_tables,
    generation,
    newest_generations,
    shared_functions,
)
from trigger_ops.drift.triggers import about_trigger, in_schema, in_schema_alone
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.leases import Announcement, Lease
from trigger_ops.states import Status, Verdict


def find(
    databases: Sequence[InspectedDatabase],
    leases: Sequence[Lease] = (),
    announcements: Sequence[Announcement] = (),
    guards: Sequence[Guarding] = (),
) -> tuple[Finding, ...]:
    """Return every finding about the databases: worst first, then in registry order.

    ``leases`` are the open ones of these databases, ``announcements`` the runs at work there,
    ``guards`` what their own tables say of those whose guard is on.
    """
    found: list[Finding] = []
    for database in databases:
        own = {one.place: one for one in leases if one.database == database.alias}
        guard = next((one for one in guards if one.database == database.alias), None)
        found.extend(grouped(_about(database, own, guard)))
        found.extend(
            at_work(database, one) for one in announcements if one.database == database.alias
        )
    return tuple(sorted(found, key=lambda finding: -finding.level))


def _about(
    database: InspectedDatabase,
    leases: Mapping[tuple[str, str, str], Lease],
    guard: Guarding | None,
) -> Iterator[Finding]:
    newest = newest_generations(database)
    shared = shared_functions(database)
    for trigger in database.triggers:
        lease = leases.get((trigger.schema or "", trigger.table, trigger.trigger))
        findings = about_trigger(
            trigger,
            lease,
            shared=bool(trigger.installed and trigger.installed.function_oid in shared),
        )
        yield from _generations(trigger, newest, findings)
    yield from bypasses(database, guarded=guard is not None and guard.is_on)
    yield from strangers(database, own_bodies(guard))
    yield from about_tables(without_witnesses(database, guard))
    if guard is not None:
        yield from about_guard(database, guard)


def _generations(
    trigger: InspectedTrigger,
    newest: Mapping[Generation, InspectedTrigger],
    findings: Iterable[Finding],
) -> Iterator[Finding]:
    orphaned = trigger.verdict is Verdict.ORPHANED
    newer = newest.get(generation(trigger)) if orphaned else None
    for finding in findings:
        if newer is None:
            yield finding
            continue
        kind = KINDS["W005"]
        yield dataclasses.replace(
            finding,
            id=kind.id,
            level=kind.level,
            message=(
                f"Two generations of one trigger are on the table, and both fire: this one is "
                f"what {newer.uri} was called before its model was renamed."
            ),
        )


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Fold what differs in nothing but the schema into one finding that counts its places."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        message = without_schema(finding.message, finding.schema)
        # An orphan's URI names its table, and with it the schema.
        about = finding.table if finding.status is Status.PRUNE else finding.uri
        key = (finding.id, about, finding.trigger, finding.facets, finding.enabled, message)
        groups.setdefault(key, []).append(finding)
    return [_folded(group) for group in groups.values()]


def _folded(group: Sequence[Finding]) -> Finding:
    if len(group) == 1:
        return group[0]
    places = united(places_of(one) for one in group)
    return dataclasses.replace(
        group[0],
        fix=_everywhere(group),
        schemas=tuple(sorted({schema for one in group for schema in one.schemas})),
        count=sum(one.count for one in group),
        digest=digest_of_places(places),
        places=places,
    )


def _everywhere(group: Sequence[Finding]) -> str:
    """Return what ends a finding in all of its schemas: each fix names no more than its own."""
    for one in group:
        for named in _options(one.schema):
            if named in one.fix:
                return one.fix.replace(named, " --all-schemas")
    return group[0].fix


def _options(schema: str | None) -> tuple[str, ...]:
    return (in_schema(schema), in_schema_alone(schema)) if schema else ()
