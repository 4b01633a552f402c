"""Findings about what others put where the triggers' own expressions and functions look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from trigger_ops.catalog.snapshot import Meddler
from trigger_ops.drift import Finding
from trigger_ops.drift.databases import about_database, body_bypasses
from trigger_ops.drift.triggers import quoted
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.ignoring import called_schemas
from trigger_ops.registry import IGNORE_FUNCTION


def strangers(
    database: InspectedDatabase, own: Collection[str] = frozenset()
) -> Iterator[Finding]:
    """Yield functions and operators that meddle, and the shared function's odd owners.

    ``own`` are the bodies of functions that we put there ourselves.
    """
    snapshot = database.snapshot
    around = snapshot.surroundings if snapshot else None
    if snapshot is None or around is None:
        return
    yield from _meddlers(database, [one for one in around.meddlers if one.body not in own])
    for operator in around.operators:
        types = f"{operator.left}, {operator.right}"
        yield about_database(
            database,
            "W011",
            f"The operator {operator.schema}.{operator.name} ({types}) compares built-in types: "
            f"where schema {operator.schema} is on the search_path, conditions and functions can "
            "mean it instead of PostgreSQL's own.",
            f"DROP OPERATOR {quoted(operator.schema)}.{operator.name} ({types}) CASCADE; "
            "-- and install what it drops",
            schema=operator.schema,
        )
    called = called_schemas(snapshot, around.ignore_functions)
    # Of the guarded tables alone: anybody may own one that is named like them.
    owners = {
        one.installed.table_owner for one in database.triggers if one.installed and one.registered
    }
    for function in around.ignore_functions:
        trusted = function.owner_is_superuser or owners & set(function.owner_is_member_of)
        if function.schema not in called or trusted:
            continue
        signature = f"{quoted(function.schema)}.{IGNORE_FUNCTION}({function.arguments})"
        yield about_database(
            database,
            "W012",
            f'The shared function {signature} belongs to role "{function.owner}", which owns none '
            "of this project's tables and can replace the body.",
            f"ALTER FUNCTION {signature} OWNER TO CURRENT_USER;",
            schema=function.schema,
        )


def _meddlers(database: InspectedDatabase, meddlers: Iterable[Meddler]) -> Iterator[Finding]:
    found = [one for one in meddlers if body_bypasses(one.body)]
    unasked = {one.function for one in found if not one.asked}
    for one in found:
        if one.asked and one.function in unasked:
            continue
        if one.asked:
            code = "I014"
            message = f"The {one.what} sets what switches triggers off, for whoever calls it."
        else:
            code = "C003"
            message = (
                f"{one.what[:1].upper()}{one.what[1:]} runs the function {one.function}, which "
                "sets what switches triggers off."
            )
        fix = one.fix or f"-- read the function {one.function}, then drop the {one.what}"
        yield about_database(database, code, message, fix)
