"""What is suspect after a first reading, and what a second one of it alone leaves of that.

``pg_get_triggerdef`` is not bound to the snapshot, so that one reading may mix two moments of a
deploy. What only one of two readings saw was in motion, and is not reported.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from trigger_ops.catalog.snapshot import Snapshot
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.inspection.places import Place

Key = tuple[str, str | None, str]
"""Which trigger, in which schema, on which table."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Suspects:
    """What is to be read again: these triggers, and the tables of these names wherever they are.

    ``anywhere`` are the URIs of those whose table was missing: it may turn up in any schema.
    ``applied`` are the trigger names that migrations wanted somewhere when all was read.
    """

    keys: frozenset[Key]
    tables: frozenset[str]
    anywhere: frozenset[str]
    applied: frozenset[str]

    def have(self, key: Key) -> bool:
        """Tell whether a trigger in one place is to be judged again."""
        return key in self.keys or key[0] in self.anywhere

    def among(self, places: Iterable[Place]) -> list[Place]:
        """Return the places to be judged again."""
        return [
            one
            for one in places
            if self.have((one.registered.uri, one.schema, one.registered.table[1]))
        ]


def suspects_of(database: InspectedDatabase) -> Suspects | None:
    """Return what of an inspected database is worth a second look, None where nothing is."""
    found = [one for one in database.triggers if one.is_suspect]
    if not found:
        return None
    return Suspects(
        keys=frozenset(_key(one) for one in found),
        tables=frozenset(one.table for one in found),
        anywhere=frozenset(one.uri for one in found if one.table_missing),
        applied=database.applied,
    )


def confirmed(
    first: InspectedDatabase, second: InspectedDatabase, suspects: Suspects
) -> InspectedDatabase:
    """Return the first reading, with all that was suspect as the second one saw it."""
    again: dict[str, dict[Key, InspectedTrigger]] = defaultdict(dict)
    for one in second.triggers:
        if suspects.have(_key(one)):
            again[one.uri][_key(one)] = one
    seen = {_key(one) for one in first.triggers}
    triggers: list[InspectedTrigger] = []
    for one in first.triggers:
        triggers += _still(one, again[one.uri], seen) if one.is_suspect else [one]
    return dataclasses.replace(
        first,
        triggers=tuple(triggers),
        snapshot=_merged(first.snapshot, second.snapshot, suspects),
        spelled={**first.spelled, **second.spelled},
        known_pgids=first.known_pgids | second.known_pgids,
    )


def _key(one: InspectedTrigger) -> Key:
    return (one.uri, one.schema, one.table)


def _still(
    suspect: InspectedTrigger, again: Mapping[Key, InspectedTrigger], seen: Collection[Key]
) -> Iterator[InspectedTrigger]:
    """Yield what is left of a suspect, and where its table has turned up; nothing if it is gone."""
    if _key(suspect) in again:
        yield again[_key(suspect)]
    if suspect.table_missing:
        yield from (one for key, one in again.items() if key not in seen)


def _merged(
    first: Snapshot | None, second: Snapshot | None, suspects: Suspects
) -> Snapshot | None:
    """Return the first snapshot with the tables that were read again as they are in the second."""
    if first is None or second is None:
        return first
    read_again = {one.oid for one in second.tables}

    def is_old(oid: int, name: str) -> bool:
        return oid in read_again or name in suspects.tables

    triggers = [one for one in first.triggers if not is_old(one.table_oid, one.table)]
    tables = [one for one in first.tables if not is_old(one.oid, one.name)]
    return dataclasses.replace(
        first,
        triggers=tuple(
            sorted(
                [*triggers, *second.triggers],
                key=lambda one: (one.schema, one.table, one.name, one.oid),
            )
        ),
        tables=tuple(sorted([*tables, *second.tables], key=lambda one: (one.schema, one.name))),
    )
