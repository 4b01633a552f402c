"""Inspects one database: read, join, judge, and look again at what is suspect."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from trigger_ops.catalog.migrations import Applied, read_applied
from trigger_ops.catalog.reading import read_snapshot
from trigger_ops.catalog.snapshot import CatalogTrigger, Extent, RelatedTable, Snapshot
from trigger_ops.catalog.transactions import connection_of, in_transaction
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.inspection import TABLE_MISSING, InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.inspection.conditions import CanonicalConditions, live_condition
from trigger_ops.inspection.confirming import Suspects, confirmed, suspects_of
from trigger_ops.inspection.judging import (
    SAME,
    Comparison,
    Judgement,
    candidates,
    differing_facets,
    judge,
)
from trigger_ops.inspection.orphans import unregistered
from trigger_ops.inspection.places import Place, places
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.registry.definition import Definition
from trigger_ops.registry.history import History, MigrationFiles
from trigger_ops.states import Enabled, Facet, Status, Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What to inspect, and how.

    ``chosen`` are the triggers asked for, ``everything`` all registered ones (so that the others
    are not taken for orphans), ``tables`` the project's tables as (schema or None, name),
    ``modes`` the expected enabled mode by URI where it is not ENABLED. ``migrations`` loads what
    migrations say, None where they say nothing; unless ``history`` asks for it in any case, it is
    called only where something differs from the code: loading takes longer than most of the rest.
    ``twice`` looks again at what is suspect, and ``suspects`` are those of a first look: nothing
    else is then read. ``surroundings`` says how much of what lies round the triggers is read too.
    Timeouts are milliseconds.
    """

    alias: str
    chosen: Sequence[RegisteredTrigger]
    everything: Sequence[RegisteredTrigger]
    tables: frozenset[tuple[str | None, str]]
    scope: Scope = dataclasses.field(default_factory=Scope)
    modes: Mapping[str, Enabled] = dataclasses.field(default_factory=dict)
    remembered: Mapping[str, str] = dataclasses.field(default_factory=dict)
    migrations: Callable[[], MigrationFiles | None] = lambda: None
    history: bool = True
    twice: bool = True
    suspects: Suspects | None = None
    surroundings: Extent = Extent.NOTHING
    orphans: bool = True
    statement_timeout: int = 30_000
    lock_timeout: int = 2_000


def inspect_database(question: Question) -> InspectedDatabase:
    """Inspect one database. Never raises for a database that is down: it says so instead."""
    started = time.monotonic()
    connection = connection_of(question.alias)
    if connection.vendor != "postgresql":
        reason = f'"{question.alias}" is not PostgreSQL, so pgtrigger installs nothing there.'
        return _without_reading(question, Status.UNALLOWED, "not postgresql", reason)
    try:
        database = _inspect(question)
        suspects = suspects_of(database) if question.twice else None
        if suspects is not None and not in_transaction(connection):
            again = _inspect(_narrowed(question, database, suspects))
            database = confirmed(database, again, suspects)
    except DatabaseUnreadable as error:
        return _without_reading(question, Status.UNKNOWN, "unreachable", str(error))
    return dataclasses.replace(database, ms=round((time.monotonic() - started) * 1000))


def _without_reading(
    question: Question, status: Status, word: str, reason: str
) -> InspectedDatabase:
    verdict = Verdict.UNVERIFIED if status is Status.UNKNOWN else Verdict.NOT_ALLOWED
    return InspectedDatabase(
        alias=question.alias,
        status=word,
        reason=reason,
        triggers=tuple(
            InspectedTrigger(
                uri=one.uri,
                database=question.alias,
                schema=one.table[0],
                table=one.table[1],
                trigger=one.pgid,
                status=status,
                enabled=Enabled.NOT_APPLICABLE,
                verdict=verdict,
                reason=reason,
                registered=one,
                registered_hash=one.definition.hash if one.definition else None,
            )
            for one in question.chosen
        ),
    )


def _narrowed(question: Question, first: InspectedDatabase, suspects: Suspects) -> Question:
    """Return the question of a second look: the same of what is suspect, and of nothing else."""
    uris = {uri for uri, _, _ in suspects.keys}
    return dataclasses.replace(
        question,
        chosen=[one for one in question.chosen if one.uri in uris],
        remembered={**question.remembered, **first.spelled},
        suspects=suspects,
        surroundings=Extent.NOTHING,
        orphans=any(one.is_suspect and one.registered is None for one in first.triggers),
    )


def _read(question: Question) -> Snapshot:
    """Read a database, with the search_path that was asked for."""
    snapshot = read_snapshot(
        question.alias,
        tables=[name for _, name in question.tables],
        only=question.suspects.tables if question.suspects is not None else None,
        surroundings=question.surroundings,
        statement_timeout=question.statement_timeout,
        lock_timeout=question.lock_timeout,
    )
    path = question.scope.path
    if path is None:
        return snapshot
    server = dataclasses.replace(snapshot.server, search_path=path, install_schema=path[0])
    return dataclasses.replace(snapshot, server=server)


def _inspect(question: Question) -> InspectedDatabase:
    snapshot = _read(question)
    server = snapshot.server
    found = places(question.chosen, snapshot, question.alias, question.scope)
    if question.suspects is not None:
        found = question.suspects.among(found)
    conditions = CanonicalConditions(
        alias=question.alias,
        server=server,
        statement_timeout=question.statement_timeout,
        lock_timeout=question.lock_timeout,
        known=dict(question.remembered),
    )
    _spell(found, conditions, {})
    legs: dict[str, History] = {}
    compared = [_compared(place, conditions) for place in found]
    if question.history or any(one != SAME for one in compared):
        legs = _legs(question, found, server.search_path)
        _spell(found, conditions, legs)
    triggers = [
        inspected
        for place, comparison in zip(found, compared, strict=True)
        if not place.hidden or place.installed is not None
        for inspected in [_inspected(question, place, comparison, conditions, legs)]
        if not place.hidden or inspected.is_suspect
    ]
    applied = frozenset(pgid for leg in legs.values() for pgid in leg.applied)
    if question.suspects is not None:
        applied |= question.suspects.applied
    triggers += _orphans(question, snapshot, found, applied)
    return InspectedDatabase(
        alias=question.alias,
        status="ok",
        triggers=tuple(triggers),
        snapshot=snapshot,
        schemas=len({one.schema for one in found if one.schema and one.table_oid}),
        shadowed=_shadowed(found),
        registered=frozenset((one.table[1], one.pgid) for one in question.everything),
        spelled=conditions.minted,
        applied=applied,
        known_pgids=frozenset(
            [one.pgid for one in question.everything]
            + [pgid for leg in legs.values() for pgid in leg.ever]
        ),
    )


def _orphans(
    question: Question, snapshot: Snapshot, found: Sequence[Place], applied: Collection[str]
) -> list[InspectedTrigger]:
    """Return the triggers named like pgtrigger's that none of the code stands for, if asked for."""
    if not question.orphans:
        return []
    if len(question.chosen) != len(question.everything):
        found = places(question.everything, snapshot, question.alias, question.scope)
    return unregistered(
        snapshot,
        alias=question.alias,
        everything=question.everything,
        taken={(one.table_oid, one.registered.pgid) for one in found},
        tables=question.tables,
        applied=applied,
        scope=question.scope,
    )


def _shadowed(found: Sequence[Place]) -> tuple[RelatedTable, ...]:
    hidden = {
        one.table_oid: RelatedTable(
            table_oid=one.table_oid, schema=one.schema, name=one.registered.table[1]
        )
        for one in found
        if one.hidden and one.installed is None and one.table_oid and one.schema
    }
    return tuple(hidden.values())


def _spell(
    found: Sequence[Place], conditions: CanonicalConditions, legs: Mapping[str, History]
) -> None:
    """Have every condition spelled out that a verdict will need, in as few steps as possible."""
    while True:
        for place in found:
            definition, live = place.registered.definition, place.installed
            if definition is None or live is None:
                continue
            conditions.want(definition, live)
            leg = _leg(legs, place)
            if leg is not None and _needs_history(definition, live, conditions, leg):
                for form in candidates(definition, live, leg):
                    conditions.want(form, live)
        if not conditions.spell_wanted():
            return


def _compared(place: Place, conditions: CanonicalConditions) -> Comparison:
    """Compare a place with the code, once what the code says is spelled out."""
    definition, live = place.registered.definition, place.installed
    if definition is None or live is None:
        return SAME
    return differing_facets(definition, live, conditions)


def _needs_history(
    definition: Definition, live: CatalogTrigger, conditions: CanonicalConditions, leg: History
) -> bool:
    applied = leg.applied.get(definition.pgid)
    if applied is not None and applied.hash != definition.hash:
        return True
    return bool(differing_facets(definition, live, conditions)[0])


def _legs(question: Question, found: Sequence[Place], path: Sequence[str]) -> dict[str, History]:
    """Return what migrations say, by schema; "" stands for every schema without its own record."""
    migrations = question.migrations()
    if migrations is None:
        return {}
    own = {place.schema for place in found if place.schema} if question.scope.glob else set()
    applied = read_applied(
        question.alias,
        lambda schema: schema in path or schema in own,
        statement_timeout=question.statement_timeout,
        lock_timeout=question.lock_timeout,
    )
    on_path = next((schema for schema in path if schema in applied), None)
    records: dict[str, Applied | None] = dict(applied) if question.scope.glob else {}
    records[""] = applied[on_path] if on_path is not None else frozenset()
    return {
        schema: migrations.history(record)
        for schema, record in records.items()
        if record is not None
    }


def _leg(legs: Mapping[str, History], place: Place) -> History | None:
    leg = legs.get(place.schema or "", legs.get(""))
    return leg if leg is not None and leg.covers(place.registered.app_label) else None


def _inspected(
    question: Question,
    place: Place,
    compared: Comparison,
    conditions: CanonicalConditions,
    legs: Mapping[str, History],
) -> InspectedTrigger:
    registered, live = place.registered, place.installed
    definition = registered.definition
    judgement = _judgement(question, place, compared, conditions, _leg(legs, place))
    facets = set(judgement.facets)
    expected = question.modes.get(registered.uri, Enabled.ENABLED)
    mode = live.mode if live is not None else Enabled.NOT_APPLICABLE
    if live is not None and mode is not expected:
        facets.add(Facet.ENABLED)
    return InspectedTrigger(
        uri=registered.uri,
        database=question.alias,
        schema=place.schema,
        table=registered.table[1],
        trigger=registered.pgid,
        status=judgement.status,
        enabled=mode,
        verdict=judgement.verdict,
        facets=tuple(facet for facet in Facet if facet in facets) if facets else (),
        expected_mode=expected,
        registered_hash=definition.hash if definition else None,
        installed_hash=live.comment if live else None,
        reason=judgement.reason,
        condition=conditions.of(definition, live) if definition and live else None,
        live_condition=live_condition(live) if live else None,
        registered=registered,
        installed=live,
        elsewhere=place.elsewhere,
    )


def _judgement(
    question: Question,
    place: Place,
    compared: Comparison,
    conditions: CanonicalConditions,
    leg: History | None,
) -> Judgement:
    registered = place.registered
    if not registered.allowed_on(question.alias):
        reason = "" if place.installed is None else "the router says no, yet the trigger is there"
        return Judgement(status=Status.UNALLOWED, verdict=Verdict.NOT_ALLOWED, reason=reason)
    if registered.definition is None:
        return Judgement(
            status=Status.UNKNOWN, verdict=Verdict.BROKEN, reason=registered.error or ""
        )
    if place.installed is None:
        nothing_to_guard = leg is None and place.table_oid is None
        # A table whose model no applied migration made was not made by migrations: then the
        # record is no excuse for the missing trigger.
        unmade = place.table_oid is not None and leg is not None and not leg.made(registered)
        unapplied = leg is not None and registered.pgid not in leg.applied
        pending = nothing_to_guard or (unapplied and not unmade)
        reason = "" if place.table_oid else TABLE_MISSING
        return Judgement(
            status=Status.UNINSTALLED,
            verdict=Verdict.PENDING if pending else Verdict.MISSING,
            reason=reason,
        )
    return judge(registered.definition, place.installed, conditions, leg, compared)
