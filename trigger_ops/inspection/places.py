"""Finds the tables that each registered trigger belongs on, by OID."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

from trigger_ops.catalog.snapshot import CatalogTable, CatalogTrigger, Server, Snapshot
from trigger_ops.inspection import InspectedTrigger, Scope
from trigger_ops.registry import RegisteredTrigger


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One registered trigger on one table; ``table_oid`` None where the table is missing.

    ``hidden`` marks a table behind another one of the same name on the search_path, ``elsewhere``
    one that the connection's own path does not lead to, whatever path was asked for.
    """

    registered: RegisteredTrigger
    schema: str | None
    table_oid: int | None
    installed: CatalogTrigger | None
    hidden: bool = False
    elsewhere: bool = False


def places(
    triggers: Sequence[RegisteredTrigger], snapshot: Snapshot, alias: str, scope: Scope
) -> list[Place]:
    """Return where each trigger belongs, in the order given; one place where nothing is found.

    Without a glob a table is found as PostgreSQL would: the first schema of the search_path that
    has it. Schemas count even where the role has no USAGE on them.
    """
    tables: defaultdict[str, dict[str, CatalogTable]] = defaultdict(dict)
    for table in snapshot.tables:
        tables[table.name][table.schema] = table
    installed = {(one.table_oid, one.name): one for one in snapshot.triggers}
    found = []
    for registered in triggers:
        by_schema = tables[registered.table[1]]
        matching = list(_tables(registered, by_schema, snapshot, scope))
        own = next((one for one in snapshot.server.own_path if one in by_schema), None)
        for number, table in enumerate(matching):
            live = installed.get((table.oid, registered.pgid))
            found.append(
                Place(
                    registered=registered,
                    schema=table.schema,
                    table_oid=table.oid,
                    installed=live,
                    hidden=number > 0 and scope.glob is None,
                    elsewhere=registered.table[0] is None and table.schema != own,
                )
            )
        if not matching:
            found.append(
                Place(
                    registered=registered,
                    schema=registered.table[0],
                    table_oid=None,
                    installed=None,
                )
            )
    return found


def _tables(
    registered: RegisteredTrigger,
    by_schema: dict[str, CatalogTable],
    snapshot: Snapshot,
    scope: Scope,
) -> Iterator[CatalogTable]:
    fixed = registered.table[0]
    if fixed is not None:
        if fixed in by_schema:
            yield by_schema[fixed]
    elif scope.glob is not None:
        yield from (by_schema[schema] for schema in sorted(by_schema) if scope.takes(schema))
    else:
        path = [schema for schema in snapshot.server.search_path if schema in by_schema]
        # A path that was asked for says which table is meant; the session's own may have been
        # bent to show a decoy, so what it hides is looked at as well.
        yield from (by_schema[schema] for schema in path[: 1 if scope.path else None])


def misplaced(trigger: InspectedTrigger, server: Server) -> bool:
    """Tell whether the trigger's own function lives in a schema where it has no business.

    Stock pgtrigger puts every function into the first schema of the search_path, so a table that
    the code itself names with another schema can have it nowhere else. Which schema is first
    depends on rights that who looks need not have.
    """
    live, registered = trigger.installed, trigger.registered
    if live is None or registered is None or live.function != trigger.trigger:
        return False
    if live.function_schema == live.schema:
        return False
    return registered.table[0] is None or live.function_schema not in server.search_path
