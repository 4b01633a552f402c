"""Where a finding holds: what was observed, and the schemas that show it, one for each place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from trigger_ops.drift import Finding
from trigger_ops.drift.digests import digest_of
from trigger_ops.records import FindingRecord, Places


def places_of(one: Finding | FindingRecord) -> Places:
    """Return the places of a finding; most show all the same, and keep no more than schemas."""
    return one.places or ((one.digest, tuple(sorted(one.schemas))),)


def united(several: Iterable[Places]) -> Places:
    """Return all places of several findings about one thing."""
    found: dict[str, list[str]] = defaultdict(list)
    for places in several:
        for digest, schemas in places:
            found[digest].extend(schemas)
    return tuple((digest, tuple(sorted(found[digest]))) for digest in sorted(found))


def within(places: Places, schemas: Collection[str]) -> Places:
    """Return the places in some schemas."""
    kept = (
        (digest, tuple(schema for schema in shown if schema in schemas))
        for digest, shown in places
    )
    return tuple((digest, shown) for digest, shown in kept if shown)


def count_of(places: Places) -> int:
    """Return how many places there are."""
    return sum(len(schemas) for _, schemas in places)


def digest_of_places(places: Places) -> str:
    """Digest what was observed in all places together, however many show each thing."""
    digests = [digest for digest, _ in places]
    return digests[0] if len(digests) == 1 else digest_of(digests)
