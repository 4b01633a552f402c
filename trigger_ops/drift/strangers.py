"""Findings about what others put where the triggers' own expressions and functions look."""

from __future__ import annotations

from collections.abc import Iterator

from trigger_ops.drift import Finding
from trigger_ops.drift.databases import about_database, called_schemas
from trigger_ops.drift.triggers import quoted
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.registry import IGNORE_FUNCTION


def strangers(database: InspectedDatabase) -> Iterator[Finding]:
    """Yield operators in the place of PostgreSQL's own, and the shared function's odd owners."""
    snapshot = database.snapshot
    around = snapshot.surroundings if snapshot else None
    if snapshot is None or around is None:
        return
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
    for function in around.ignore_functions:
        if function.schema not in called or function.owner_is_trusted:
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
