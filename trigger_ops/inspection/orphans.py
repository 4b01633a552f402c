"""Triggers that look like pgtrigger's and that the code does not know: ours, or foreign."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from trigger_ops.catalog.snapshot import CatalogTrigger, Snapshot
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.states import Status, Verdict

_OURS = re.compile(r"^pgtrigger_.*_[0-9a-f]{5}$")
_SHA1 = re.compile(r"^[0-9a-f]{40}$")
_PLAIN = re.compile(r"^[a-z_][a-z0-9_$]*$")


def looks_like_pgtrigger(name: str) -> bool:
    """Tell whether stock's ``LIKE 'pgtrigger_%'`` would take the name for its own."""
    return len(name) > len("pgtrigger") and name.startswith("pgtrigger")


def looks_installed(live: CatalogTrigger) -> bool:
    """Tell whether pgtrigger, of whatever project, installed it: name, function and comment agree."""
    return (
        _OURS.match(live.name) is not None
        and live.function == live.name
        and _SHA1.match(live.comment or "") is not None
    )


def is_provably_ours(live: CatalogTrigger, tables: Collection[tuple[str | None, str]]) -> bool:
    """Tell whether pgtrigger must have installed it: name, function, comment and table agree."""
    return looks_installed(live) and (
        (None, live.table) in tables or (live.schema, live.table) in tables
    )


def foreign_triggers(database: InspectedDatabase) -> list[CatalogTrigger]:
    """Return the triggers of a database that this project neither declares nor ever installed."""
    own = {
        one.installed.oid
        for one in database.triggers
        if one.status is Status.PRUNE and one.installed is not None
    }
    return [
        live
        for live in (database.snapshot.triggers if database.snapshot else ())
        if (live.table, live.name) not in database.registered and live.oid not in own
    ]


def unregistered(
    snapshot: Snapshot,
    *,
    alias: str,
    everything: Sequence[RegisteredTrigger],
    taken: Collection[tuple[int | None, str]],
    tables: Collection[tuple[str | None, str]],
    applied: Collection[str],
    scope: Scope,
) -> list[InspectedTrigger]:
    """Return the triggers named like pgtrigger's that no registered one stands for.

    Ours are PRUNE, anybody else's FOREIGN. ``taken`` are (table oid, name) of registered ones,
    ``applied`` the pgids that the applied migrations still want. A registered trigger in a schema
    that was not asked for is neither.
    """
    known = {(one.table[1], one.pgid) for one in everything}
    found = []
    for live in snapshot.triggers:
        if not looks_like_pgtrigger(live.name) or (live.table_oid, live.name) in taken:
            continue
        elsewhere = not scope.covers(live.schema, snapshot.server.search_path)
        if elsewhere and (live.table, live.name) in known:
            continue
        found.append(_inspected(snapshot, alias, live, tables, applied))
    return found


def _inspected(
    snapshot: Snapshot,
    alias: str,
    live: CatalogTrigger,
    tables: Collection[tuple[str | None, str]],
    applied: Collection[str],
) -> InspectedTrigger:
    ours = is_provably_ours(live, tables)
    verdict = Verdict.FOREIGN
    if ours:
        verdict = Verdict.PENDING if live.name in applied else Verdict.ORPHANED
    return InspectedTrigger(
        uri=f"{_table_name(snapshot, live)}:{live.name}",
        database=alias,
        schema=live.schema,
        table=live.table,
        trigger=live.name,
        status=Status.PRUNE if ours else Status.FOREIGN,
        enabled=live.mode,
        verdict=verdict,
        installed_hash=live.comment,
        installed=live,
        elsewhere=live.schema not in snapshot.server.own_path,
    )


def _table_name(snapshot: Snapshot, live: CatalogTrigger) -> str:
    """Name the table as ``regclass`` would, so that stock's ``table:trigger`` lines stay."""
    parts = [live.table]
    if live.schema not in snapshot.server.search_path:
        parts.insert(0, live.schema)
    return ".".join(
        part if _PLAIN.match(part) else '"{}"'.format(part.replace('"', '""')) for part in parts
    )
