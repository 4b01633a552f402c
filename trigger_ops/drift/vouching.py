"""What vouches for a database: the recorded checks that read all of it, as widely as it ever was."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import statistics
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trigger_ops.inspection import Scope
from trigger_ops.records import RunRecord, TargetRecord

EVERYWHERE = "--schema-glob *"
"""The scope of a check of all schemas; "" is that of the schemas of the search_path."""

SHORTEST = dt.timedelta(minutes=15)
"""A reading is never too old before that; the only one there is may be no older."""

INTERVALS = 3
"""A reading may be late by so many times what lies between readings, as the schedules have it."""

_NAMED, _GLOB = "--schema ", "--schema-glob "


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """That a check without a selector could read all of a database, in a scope, by ``ended``.

    ``run_id`` is the run that did; None for a check that was not recorded. ``run`` and ``target``
    are what is on record of it, where that was asked for.
    """

    database: str
    scope: str
    ended: dt.datetime
    run_id: uuid.UUID | None = None
    run: RunRecord | None = None
    target: TargetRecord | None = None


def scope_words(scope: Scope) -> str:
    """Return which schemas a check looks at, as runs keep it; "" is the search_path's."""
    if scope.glob is not None:
        return f"{_GLOB}{scope.glob}"
    return " ".join(f"{_NAMED}{schema}" for schema in scope.path or ())


def covers(wide: str, narrow: str) -> bool:
    """Tell whether a check in one scope sees all that one in the other sees.

    One of schemas that somebody named is a look at these alone: any other counts for more.
    """
    if wide in (narrow, EVERYWHERE):
        return True
    if not is_named(narrow):
        return False
    return not is_named(wide) or _names(wide) >= _names(narrow)


def is_named(scope: str) -> bool:
    """Tell whether a scope is of schemas that were named one by one."""
    return scope.startswith(_NAMED)


def _names(scope: str) -> frozenset[str]:
    return frozenset(scope.removeprefix(_NAMED).split(f" {_NAMED}"))


def vouching(readings: Iterable[Reading]) -> dict[str, Reading]:
    """Return the reading by which each database is as fresh as it is.

    A database has to be read as widely as it ever was. Where two of its scopes do not cover each
    other, such as those of two globs, both are needed, and the older one counts.
    """
    oldest: dict[str, Reading] = {}
    for one in needed(readings):
        known = oldest.get(one.database)
        if known is None or known.ended > one.ended:
            oldest[one.database] = one
    return oldest


def needed(readings: Iterable[Reading]) -> list[Reading]:
    """Return the newest reading of each database in each scope that no other one covers."""
    found: dict[str, dict[str, Reading]] = defaultdict(dict)
    for one in readings:
        known = found[one.database].get(one.scope)
        if known is None or known.ended < one.ended:
            found[one.database][one.scope] = one
    return [one for scopes in found.values() for one in _widest(scopes)]


def _widest(scopes: Mapping[str, Reading]) -> Iterator[Reading]:
    for scope in scopes:
        if any(covers(other, scope) and not covers(scope, other) for other in scopes):
            continue
        same = (reading for other, reading in scopes.items() if covers(other, scope))
        yield max(same, key=lambda reading: reading.ended)


def longest_age(ends: Sequence[dt.datetime], *, alone: dt.timedelta = SHORTEST) -> dt.timedelta:
    """Return how old the newest reading may be, by when the last ones ended, the newest first.

    ``alone`` is for the only one there is: nobody knows yet how often there is one.
    """
    if len(ends) < 2:
        return alone
    gaps = [(later - earlier).total_seconds() for later, earlier in itertools.pairwise(ends)]
    return max(SHORTEST, INTERVALS * dt.timedelta(seconds=statistics.median(gaps)))


def spelled(scope: str) -> str:
    """Return a scope in the words of the command line."""
    return "--all-schemas" if scope == EVERYWHERE else scope
