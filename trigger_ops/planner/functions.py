"""A trigger's own function: what makes it the code's, in its table's schema, and takes that back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.snapshot import CatalogTable, CatalogTrigger
from trigger_ops.inspection.comparison import is_harmless
from trigger_ops.planner import Statement
from trigger_ops.planner.situation import Situation
from trigger_ops.planner.spelling import create_function, drop_function, own_function
from trigger_ops.registry.definition import Definition
from trigger_ops.sql import Composable
from trigger_ops.states import Hazard, Lock

OWNER_RULES = "whoever owns the function can replace its body"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Function:
    """A function of the wanted name that is there already; ``back`` makes it again as it is."""

    owner: str
    back: tuple[Composable, ...]
    settings: tuple[str, ...] = ()
    owner_rules_table: bool = False


def own_functions(
    definition: Definition,
    table: CatalogTable | CatalogTrigger,
    live: CatalogTrigger | None,
    situation: Situation,
) -> Iterator[Statement]:
    """State what creates or replaces the trigger's own function, in its table's schema.

    One that is there already may belong to a stranger, and stays with its owner when replaced.
    """
    if not definition.executes_own_function:
        return
    schema, name = table.schema, definition.pgid
    there = _function_there(schema, name, live, situation)
    others = situation.others_executing(schema, name)
    undo = there.back if there else (drop_function(schema, name),)
    yield situation.state(
        create_function(definition, schema, there.settings if there else ()),
        Lock.NONE,
        "the function is not the code's" if there else "the function is missing",
        *undo,
        hazards=(Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS,) if others else (),
        function=(schema, name),
    )
    owner = table.table_owner if isinstance(table, CatalogTrigger) else table.owner
    if there and there.owner != owner and not there.owner_rules_table:
        yield _handed_over(schema, name, there.owner, owner, situation)


def _function_there(
    schema: str, name: str, live: CatalogTrigger | None, situation: Situation
) -> _Function | None:
    executing = situation.executing.get((schema, name), [])
    if executing:
        one = next((each for each in executing if each is live), executing[0])
        return _Function(
            owner=one.function_owner,
            back=tuple(situation.function_back(one)[:1]),
            settings=tuple(each for each in one.function_settings if is_harmless(each, one)),
            owner_rules_table=one is live and one.function_owner_rules_table,
        )
    around = situation.snapshot.surroundings
    for orphan in around.orphan_functions if around else ():
        if (orphan.schema, orphan.name) == (schema, name):
            text = sql.SQL(orphan.definition.strip())  # PostgreSQL's own statement
            return _Function(owner=orphan.owner, back=(text,))
    return None


def _handed_over(
    schema: str, name: str, owner: str, wanted: str, situation: Situation
) -> Statement:
    return situation.state(
        own_function(schema, name, wanted),
        Lock.NONE,
        OWNER_RULES,
        own_function(schema, name, owner),
        function=(schema, name),
    )


def owner_of_function(live: CatalogTrigger, situation: Situation) -> Statement:
    """State what gives a live trigger's function to the owner of its table."""
    return _handed_over(
        live.function_schema, live.function, live.function_owner, live.table_owner, situation
    )


def moved_function(
    live: CatalogTrigger, definition: Definition, situation: Situation
) -> Iterator[Statement]:
    """State what drops the function that the trigger has just been taken away from."""
    moved = live.function == definition.pgid and live.function_schema != live.schema
    if not moved or situation.is_shared(live):
        return
    if definition.executes_own_function and live.may_replace_function:
        yield situation.state(
            drop_function(live.function_schema, live.function),
            Lock.NONE,
            f"it now executes the function in {live.schema}",
            *situation.function_back(live),
        )
