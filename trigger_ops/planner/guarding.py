"""``guard install`` and ``guard remove``: what puts gate and witnesses in place, and takes them away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.guard import GuardCatalog, OwnFunction
from trigger_ops.catalog.snapshot import IgnoreFunction
from trigger_ops.inspection.guarding import gated_schemas
from trigger_ops.inspection.ignoring import called_schemas, difference, stock_ignore_body
from trigger_ops.inspection.orphans import looks_installed
from trigger_ops.inspection.own_objects import (
    expected_own_functions,
    function_difference,
    gate_body,
    live_functions,
)
from trigger_ops.planner import Marks, Statement, Step
from trigger_ops.planner.guard_rows import revoked_rows, rights, rows
from trigger_ops.planner.guard_spelling import create_gate, drop_own_function
from trigger_ops.planner.guard_steps import guard_step
from trigger_ops.planner.own_triggers import own_trigger_steps
from trigger_ops.planner.situation import Situation
from trigger_ops.planner.spelling import create_ignore_function, recreate_ignore_function
from trigger_ops.planner.witnessing import dropped_witnesses, witness_steps
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.sql.functions import ExpectedFunction
from trigger_ops.states import Hazard, Lock, Result, Verb

BEFORE_TABLES, AFTER_TABLES = 0, 2


def guard_steps(situation: Situation) -> Iterator[Step]:
    """Plan a guard verb: functions, then table after table, and gates where nothing goes unseen.

    A gate comes last when the guard is installed, and goes first when it is removed, so that no
    trigger is ever ignored without a witness.
    """
    catalog = situation.database.guarded
    if catalog is None:
        return
    if situation.request.verb is Verb.GUARD_INSTALL:
        yield from guard_functions(situation)
        yield from own_trigger_steps(situation, catalog)
        yield from witness_steps(situation, catalog)
    else:
        yield from guard_functions(situation)
        yield from dropped_witnesses(situation, catalog)


def guard_functions(situation: Situation) -> Iterator[Step]:
    """Plan what belongs to no table: functions, rights, policies, the guard's row, and gates."""
    catalog = situation.database.guarded
    if catalog is None:
        return
    if situation.request.verb is Verb.GUARD_INSTALL:
        yield from _function_steps(situation, catalog)
        yield from _rows_step(situation, rights(situation, catalog), "rights", BEFORE_TABLES)
        yield from _rows_step(situation, rows(situation, catalog), "policies", AFTER_TABLES)
        yield from _gate_steps(situation, catalog)
    else:
        yield from _stock_steps(situation, catalog)
        yield from _rows_step(situation, revoked_rows(situation), "policies", BEFORE_TABLES)
        yield from _dropped_functions(situation, catalog)


# Functions ----------------------------------------------------------------------------------------


def _function_steps(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    there = live_functions(catalog)
    for one in expected_own_functions(catalog.home):
        live = there.get((one.name, one.types))
        what = function_difference(one, live)
        if not what:
            continue
        statements = [
            situation.state(
                one.statement, Lock.NONE, what, *_function_undo(one, live, catalog.home)
            )
        ]
        if live is not None and not live.is_ours:
            owner = next((table.owner for table in catalog.own_tables), "")
            statements.append(_handed_over(situation, one, live, owner, catalog.home))
        if live is None or live.is_public != one.is_public:
            statements += _execution(situation, one, catalog.home)
        yield guard_step(
            situation,
            schema=catalog.home,
            name=one.name,
            result=Result.REPLACED if live else Result.CREATED,
            statements=statements,
            reason=what,
            marks=_function_marks(live),
            turn=BEFORE_TABLES,
            arguments=one.number,
        )


def _function_undo(one: ExpectedFunction, live: OwnFunction | None, home: str) -> list[Any]:
    if live is None:
        return [drop_own_function(home, one.name, one.arguments)]
    return [sql.SQL(live.definition.strip())]  # PostgreSQL's own statement


def _handed_over(
    situation: Situation, one: ExpectedFunction, live: OwnFunction, owner: str, home: str
) -> Statement:
    change = "ALTER FUNCTION {}({}) OWNER TO {}"
    name, arguments = sql.Identifier(home, one.name), sql.SQL(one.arguments)
    return situation.state(
        sql.SQL(change).format(name, arguments, sql.Identifier(owner)),
        Lock.NONE,
        "whoever owns the function can replace its body",
        sql.SQL(change).format(name, arguments, sql.Identifier(live.owner)),
    )


def _execution(situation: Situation, one: ExpectedFunction, home: str) -> Iterator[Statement]:
    name, arguments = sql.Identifier(home, one.name), sql.SQL(one.arguments)
    grant = sql.SQL("GRANT EXECUTE ON FUNCTION {}({}) TO PUBLIC").format(name, arguments)
    revoke = sql.SQL("REVOKE EXECUTE ON FUNCTION {}({}) FROM PUBLIC").format(name, arguments)
    if one.is_public:
        yield situation.state(grant, Lock.NONE, "every trigger calls it", revoke)
    else:
        yield situation.state(revoke, Lock.NONE, "only its owner may call it", grant)


def _dropped_functions(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    """Drop what the guard alone needs; sessions keep their functions."""
    there = live_functions(catalog)
    for one in reversed(expected_own_functions(catalog.home)):
        live = there.get((one.name, one.types))
        if live is None or not one.is_of_guard:
            continue
        undo = [sql.SQL(live.definition.strip())]
        if not live.is_public:
            text = "REVOKE EXECUTE ON FUNCTION {}({}) FROM PUBLIC"
            name = sql.Identifier(catalog.home, one.name)
            undo.append(sql.SQL(text).format(name, sql.SQL(one.arguments)))
        undo += _granted_back(one, live, catalog.home)
        yield guard_step(
            situation,
            schema=catalog.home,
            name=one.name,
            result=Result.DROPPED,
            statements=[
                situation.state(
                    drop_own_function(catalog.home, one.name, one.arguments),
                    Lock.NONE,
                    "the guard is removed",
                    *undo,
                )
            ],
            reason="the guard is removed",
            marks=_function_marks(live),
            turn=AFTER_TABLES,
            arguments=one.number,
        )


def _granted_back(one: ExpectedFunction, live: OwnFunction, home: str) -> Iterator[Any]:
    for role in live.granted:
        yield sql.SQL("GRANT EXECUTE ON FUNCTION {}({}) TO {}").format(
            sql.Identifier(home, one.name), sql.SQL(one.arguments), sql.Identifier(role)
        )


# Gates --------------------------------------------------------------------------------------------


def _gate_steps(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    proper = _ignore_functions(situation)
    for schema in sorted(gated_schemas(situation.database)):
        live = proper.get(schema)
        what = difference(live, gate_body(catalog.home)) if live else "it is missing"
        if what:
            yield _gate_step(
                situation, schema, live, create_gate(schema, catalog.home), what, AFTER_TABLES
            )


def _stock_steps(situation: Situation, catalog: GuardCatalog) -> Iterator[Step]:
    for schema, live in sorted(_ignore_functions(situation).items()):
        if live.body == gate_body(catalog.home):
            stock = create_ignore_function(schema, stock_ignore_body())
            yield _gate_step(situation, schema, live, stock, "the guard is removed", BEFORE_TABLES)


def _gate_step(
    situation: Situation,
    schema: str,
    live: IgnoreFunction | None,
    statement: Any,
    reason: str,
    turn: int,
) -> Step:
    shared = live is not None and schema in _called_by_others(situation)
    undo = [recreate_ignore_function(live)] if live else []
    return guard_step(
        situation,
        schema=schema,
        name=IGNORE_FUNCTION,
        result=Result.REPLACED if live else Result.CREATED,
        statements=[
            situation.state(
                statement,
                Lock.NONE,
                reason,
                *undo,
                hazards=(Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS,) if shared else (),
                function=(schema, IGNORE_FUNCTION),
            )
        ],
        reason=reason,
        marks=((live.oid, live.version, 0, "", ""),) if live else (),
        turn=turn,
        arguments=1,
    )


def _ignore_functions(situation: Situation) -> dict[str, IgnoreFunction]:
    around = situation.snapshot.surroundings
    return {
        one.schema: one for one in (around.ignore_functions if around else ()) if one.is_proper
    }


def _called_by_others(situation: Situation) -> frozenset[str]:
    around = situation.snapshot.surroundings
    others = list(filter(looks_installed, situation.foreign))
    return called_schemas(situation.snapshot, around.ignore_functions if around else (), others)


# Rows and rights --------------------------------------------------------------------------------


def _rows_step(
    situation: Situation, statements: Iterable[Statement], name: str, turn: int
) -> Iterator[Step]:
    stated = list(statements)
    catalog = situation.database.guarded
    if stated and catalog is not None:
        yield guard_step(
            situation,
            schema=catalog.home,
            name=f"the guard's {name}",
            result=Result.REPLACED,
            statements=stated,
            reason=stated[0].reason,
            turn=turn,
        )


def _function_marks(live: OwnFunction | None) -> Marks:
    return ((live.oid, live.version, 0, "", ""),) if live else ()
