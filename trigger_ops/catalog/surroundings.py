"""Reads what lies round the triggers of one database, all of it or what a plan needs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.utils import DatabaseError

from trigger_ops.catalog.snapshot import (
    Extent,
    FunctionSetting,
    IgnoreFunction,
    Meddler,
    Operator,
    OrphanFunction,
    ParameterGrant,
    RelatedTable,
    Rule,
    StoredSetting,
    Surroundings,
)
from trigger_ops.sql import load


def read_surroundings(
    cursor: Any, parameters: dict[str, Any], extent: Extent
) -> Surroundings | None:
    """Read what lies round the triggers, by one query; None where nothing is wanted.

    ``parameters`` are those of :func:`~trigger_ops.catalog.reading.read_snapshot`, in whose
    transaction, with pinned settings, this runs.
    """
    if extent is Extent.NOTHING:
        return None
    parts = [load("catalog")["changeable"]]
    if extent is Extent.ALL:
        parts.append(load("catalog")["surroundings"])
    cursor.execute("\nUNION ALL\n".join(parts), parameters)
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, detail in cursor.fetchall():
        found[kind].append(json.loads(detail) if isinstance(detail, str) else detail)
    defaults = _session_defaults(cursor) if extent is Extent.ALL else ()
    return Surroundings(
        settings=(*map(_setting, found["setting"]), *defaults),
        ignore_functions=tuple(
            IgnoreFunction(
                **{
                    **detail,
                    "settings": tuple(detail["settings"] or ()),
                    "owner_is_member_of": tuple(detail["owner_is_member_of"]),
                }
            )
            for detail in found["ignore_function"]
        ),
        rules=tuple(Rule(**detail) for detail in found["rule"]),
        children=_related(found["child"]),
        above=_related(found["above"]),
        partitions=_related(found["partition"]),
        former_partitions=_related(found["former_partition"]),
        orphan_functions=tuple(OrphanFunction(**detail) for detail in found["orphan_function"]),
        function_settings=tuple(FunctionSetting(**one) for one in found["function_setting"]),
        grants=tuple(ParameterGrant(**detail) for detail in found["privilege"]),
        subscriptions=tuple(detail["name"] for detail in found["subscription"]),
        operators=tuple(Operator(**detail) for detail in found["operator"]),
        meddlers=tuple(Meddler(**detail) for detail in found["meddler"]),
    )


def _related(details: Iterable[dict[str, Any]]) -> tuple[RelatedTable, ...]:
    return tuple(RelatedTable(**one) for one in details)


def _setting(detail: dict[str, Any]) -> StoredSetting:
    name, _, value = detail["setting"].partition("=")
    return StoredSetting(database=detail["database"], role=detail["role"], name=name, value=value)


def _session_defaults(cursor: Any) -> Iterable[StoredSetting]:
    """Return what this very session started with: covers ALTER SYSTEM and connection options."""
    cursor.execute('SAVEPOINT "trigger_ops_defaults"')
    try:
        cursor.execute("SELECT current_setting('pgtrigger.ignore', true) IS NOT NULL")
        if cursor.fetchone()[0]:
            # Not for a session that never heard of it: RESET would make it known, no rollback
            # would undo that, and the ignore function is slower where it is known and empty.
            cursor.execute("RESET pgtrigger.ignore")
        cursor.execute(load("catalog")["session_defaults"])
        ignored, role = cursor.fetchone()
    except DatabaseError:
        cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_defaults"')
        return []
    cursor.execute('ROLLBACK TO SAVEPOINT "trigger_ops_defaults"')
    values = {"pgtrigger.ignore": ignored, "session_replication_role": role}
    return [
        StoredSetting(database=None, role=None, name=name, value=value, source="session")
        for name, value in values.items()
        if value
    ]
