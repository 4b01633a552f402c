"""What stands in the way before a single statement is tried: rights, and servers that only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.guard import WatchedTable
from trigger_ops.catalog.snapshot import CatalogTable
from trigger_ops.planner import Step
from trigger_ops.planner.situation import Situation
from trigger_ops.registry import IGNORE_FUNCTION


def obstacles_of(situation: Situation, steps: Iterable[Step]) -> Iterator[str]:
    """Yield a sentence for everything that the role or the server does not allow."""
    work = [step for step in steps if step.is_work]
    server = situation.snapshot.server
    if not work:
        return
    if server.in_recovery or server.read_only:
        kind = "is a standby" if server.in_recovery else "starts transactions READ ONLY"
        yield (
            f'The server of "{situation.database.alias}" {kind}: run this against the primary, '
            "as a role that may write."
        )
        return
    for step in work:
        yield from _about_table(step, situation)
        for statement in step.statements:
            if statement.function is not None:
                yield from _about_function(*statement.function, situation)
        if step.table is None and step.statements:
            yield from _about_guard(situation)


def _about_guard(situation: Situation) -> Iterator[str]:
    """Its rows and functions are changed by whoever owns our tables."""
    catalog, role = situation.database.guarded, situation.snapshot.server.role
    if catalog is None:
        return
    for missing in situation.app_roles:
        if missing not in catalog.roles:
            yield (
                f'TRIGGER_OPS["APP_ROLES"] names role "{missing}", which does not exist on '
                f'"{situation.database.alias}": correct the name, or run CREATE ROLE '
                f"{_written(situation, missing)};"
            )
    foreign = [one for one in catalog.own_tables if not one.may_alter]
    if foreign:
        name = _written(situation, catalog.home, foreign[0].name)
        yield (
            f'Role "{role}" does not own our table {name}, "{foreign[0].owner}" does: run this as '
            f'"{foreign[0].owner}", or run {_grant(situation, foreign[0].owner, role)};'
        )
    if not all(one.may_create for one in catalog.own_tables):
        yield (
            f'Role "{role}" may not create functions in schema "{catalog.home}": run '
            f"GRANT CREATE ON SCHEMA {_written(situation, catalog.home)} TO "
            f"{_written(situation, role)};"
        )
    for one in catalog.functions:
        if not one.may_replace:
            name = f"{_written(situation, catalog.home, one.name)}({one.arguments})"
            yield (
                f'Function {name} belongs to "{one.owner}", and role "{role}" may not replace '
                f"it: run ALTER FUNCTION {name} OWNER TO {_written(situation, role)};"
            )
            return


def _about_table(step: Step, situation: Situation) -> Iterator[str]:
    """Creating needs the TRIGGER privilege alone, but comments and modes need the owner."""
    table: CatalogTable | WatchedTable | None = situation.tables.get(
        (step.schema or "", step.table or "")
    )
    catalog = situation.database.guarded
    if table is None and catalog is not None:
        table = next((one for one in catalog.tables if one.oid == step.table_oid), None)
        if table is None and any(one.oid == step.table_oid for one in catalog.own_tables):
            yield from _about_guard(situation)
    if table is None or table.may_alter or not step.statements:
        return
    role = situation.snapshot.server.role
    name = _written(situation, table.schema, table.name)
    yield (
        f'Role "{role}" does not own table {name}, "{table.owner}" does: run this as '
        f'"{table.owner}", or run {_grant(situation, table.owner, role)}; or '
        f"ALTER TABLE {name} OWNER TO {_written(situation, role)};"
    )


def _about_function(schema: str, name: str, situation: Situation) -> Iterator[str]:
    """PostgreSQL wants CREATE on the schema even of whoever replaces a function of their own."""
    role = situation.snapshot.server.role
    owner, may_replace = _owner_of(schema, name, situation)
    if owner is not None and not may_replace:
        arguments = "(name)" if name == IGNORE_FUNCTION else "()"
        yield (
            f'Function {_written(situation, schema, name)}{arguments} belongs to "{owner}", and '
            f'role "{role}" may not replace it: run ALTER FUNCTION '
            f"{_written(situation, schema, name)}{arguments} OWNER TO "
            f"{_written(situation, role)};"
        )
    if not all(one.may_create for one in situation.tables.values() if one.schema == schema):
        yield (
            f'Role "{role}" may not create functions in schema "{schema}": run '
            f"GRANT CREATE ON SCHEMA {_written(situation, schema)} TO "
            f"{_written(situation, role)};"
        )


def _owner_of(schema: str, name: str, situation: Situation) -> tuple[str | None, bool]:
    for live in situation.executing.get((schema, name), ()):
        return live.function_owner, live.may_replace_function
    around = situation.snapshot.surroundings
    if around is not None:
        for orphan in around.orphan_functions:
            if (orphan.schema, orphan.name) == (schema, name):
                return orphan.owner, orphan.may_replace
        for function in around.ignore_functions:
            if (function.schema, IGNORE_FUNCTION) == (schema, name):
                return function.owner, function.may_replace
    return None, True


def _grant(situation: Situation, owner: str, role: str) -> str:
    return f"GRANT {_written(situation, owner)} TO {_written(situation, role)}"


def _written(situation: Situation, *names: str) -> str:
    return situation.pen(sql.Identifier(*names))
