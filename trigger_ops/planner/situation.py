"""What a planner knows of one database, and the bricks that all verbs build steps from."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from trigger_ops.catalog.snapshot import CatalogTable, CatalogTrigger, Snapshot
from trigger_ops.exceptions import Busy
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.inspection.conditions import base_key
from trigger_ops.inspection.orphans import foreign_triggers
from trigger_ops.leases import Lease
from trigger_ops.planner import Marks, Request, Statement, Step
from trigger_ops.planner.spelling import (
    comment,
    own_function,
    recreate_function,
    recreate_trigger,
    switch,
)
from trigger_ops.records import GuardState
from trigger_ops.registry.definition import ROW
from trigger_ops.sql import Composable
from trigger_ops.states import Enabled, Hazard, Lock, Result, Verb

Pen = Callable[[Composable], str]
"""Writes a composed statement down, with the quoting of the connection it is meant for."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardTerms:
    """The guard of one database: as it is (None: off), and as the settings want it."""

    guard: GuardState | None = None
    wanted: GuardState | None = None
    app_roles: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """One database as it was inspected, and what was asked for.

    ``leases`` are the open ones by (schema, table, trigger), ``tables`` are by (schema, name),
    ``executing`` are the triggers that execute a function, by its (schema, name), ``foreign``
    those that this project neither declares nor ever installed. ``guard`` is the guard as it is,
    None where it is off; ``wanted`` is what the settings say of it and ``app_roles`` are those who
    work with it, both for the verbs that put it in place.
    """

    request: Request
    database: InspectedDatabase
    snapshot: Snapshot
    leases: Mapping[tuple[str, str, str], Lease]
    pen: Pen
    tables: Mapping[tuple[str, str], CatalogTable]
    executing: Mapping[tuple[str, str], list[CatalogTrigger]]
    foreign: tuple[CatalogTrigger, ...] = ()
    guard: GuardState | None = None
    wanted: GuardState | None = None
    app_roles: tuple[str, ...] = ()

    def table_of(self, trigger: InspectedTrigger) -> CatalogTable | None:
        """Return the table that a trigger is or would be on."""
        return self.tables.get((trigger.schema or "", trigger.table))

    def state(
        self,
        composed: Composable,
        lock: Lock,
        reason: str,
        *undo: Composable,
        hazards: tuple[Hazard, ...] = (),
        function: tuple[str, str] | None = None,
    ) -> Statement:
        """Write one statement down, with what takes it back."""
        return Statement(
            sql=self.pen(composed),
            lock=lock,
            reason=reason,
            undo="; ".join(map(self.pen, undo)),
            hazards=hazards,
            function=function,
        )

    def others_executing(self, schema: str, name: str) -> list[CatalogTrigger]:
        """Return the triggers beyond this project's that execute one function."""
        return [
            live
            for live in self.foreign
            if (live.function_schema, live.function) == (schema, name)
        ]

    def is_shared(self, live: CatalogTrigger) -> bool:
        """Tell whether another trigger executes the same function."""
        users = self.executing.get((live.function_schema, live.function), ())
        return len(users) > 1

    def function_back(self, live: CatalogTrigger) -> list[Composable]:
        """Return what brings a live trigger's function back once it is dropped, owner included."""
        back = [recreate_function(live)]
        if live.function_owner != self.snapshot.server.role:
            back.append(own_function(live.function_schema, live.function, live.function_owner))
        return back

    def path_for(self, schema: str) -> tuple[str, ...] | None:
        """Return the search_path that names resolve with, None for the session's own."""
        scope, server = self.request.scope, self.snapshot.server
        if scope.path is not None:
            return scope.path
        if scope.glob is not None and schema not in server.search_path:
            return (schema, *server.search_path)
        return None

    def step(
        self,
        trigger: InspectedTrigger,
        result: Result,
        *statements: Statement,
        reason: str = "",
        after: Mapping[str, str] | None = None,
        opens_lease: Enabled | None = None,
        ends_lease: bool = False,
    ) -> Step:
        """Make the step of one inspected trigger."""
        table, live = self.table_of(trigger), trigger.installed
        schema = live.schema if live else table.schema if table else trigger.schema
        return Step(
            uri=trigger.uri,
            database=trigger.database,
            schema=schema,
            table=trigger.table,
            table_oid=live.table_oid if live else table.oid if table else None,
            trigger=trigger.trigger,
            result=result,
            statements=statements,
            reason=reason,
            marks=marks_of(live),
            before=state_of(trigger),
            after=dict(after or {}),
            opens_lease=opens_lease,
            ends_lease=ends_lease,
            path=self.path_for(schema) if schema else None,
            seal=self._seal(trigger, table),
        )

    def _seal(self, trigger: InspectedTrigger, table: CatalogTable | None) -> str:
        definition = trigger.registered.definition if trigger.registered else None
        if self.request.verb is not Verb.INSTALL or not definition or not definition.condition:
            return ""
        return base_key(definition, table.columns_digest if table else None, self.snapshot.server)

    def refused(self, trigger: InspectedTrigger, why: str) -> Step:
        """Make the step of a trigger that was asked for by name, or else is passed over."""
        named = bool(self.request.selectors)
        return self.step(trigger, Result.FAILED if named else Result.SKIPPED, reason=why)


def situation_of(
    request: Request,
    database: InspectedDatabase,
    leases: Iterable[Lease],
    pen: Pen,
    terms: GuardTerms | None = None,
) -> Situation:
    """Index one inspected database for planning; ``terms`` say how its guard is and should be.

    Raises:
        Busy: for a database that could not be read.
    """
    if database.snapshot is None:
        raise Busy(database.reason)
    executing: defaultdict[tuple[str, str], list[CatalogTrigger]] = defaultdict(list)
    for live in database.snapshot.triggers:
        executing[live.function_schema, live.function].append(live)
    return Situation(
        request=request,
        database=database,
        snapshot=database.snapshot,
        leases={one.place: one for one in leases},
        pen=pen,
        tables={(one.schema, one.name): one for one in database.snapshot.tables},
        executing=executing,
        foreign=tuple(foreign_triggers(database)),
        guard=terms.guard if terms else None,
        wanted=terms.wanted if terms else None,
        app_roles=terms.app_roles if terms else (),
    )


def marks_of(live: CatalogTrigger | None) -> Marks:
    """Return the version of a live trigger and of its clones, as the query `marks` reads it."""
    if live is None:
        return ()
    function = (live.function_oid, live.function_version)
    rows = [(live.oid, live.version, *function, live.comment or "")]
    rows += [(one.oid, one.version, *function, "") for one in live.clones]
    return tuple(sorted(rows))


def state_of(trigger: InspectedTrigger) -> dict[str, str]:
    """Return a trigger's state in words, for the record."""
    return {
        "status": trigger.status.value,
        "enabled": trigger.enabled.value,
        "hash": trigger.installed_hash or "",
        "differs": ", ".join(facet.value for facet in trigger.facets),
    }


def modes_back(live: CatalogTrigger, *, also_new: bool = False) -> list[Composable]:
    """Return what puts a trigger and its clones back into the modes that they are in.

    ``CREATE OR REPLACE TRIGGER`` makes them all ENABLED (measured on PostgreSQL 15 and 18).
    ``also_new`` gives clones that it adds the mode of the trigger itself.
    """
    # What is left of a row trigger on partitions does not come back with a statement trigger.
    clones = live.clones if live.type_bits & ROW else ()
    mode = Enabled.from_catalog(live.enabled)
    here = (live.name, live.schema, live.table)
    back = [switch(*here, mode, only=not also_new)] if live.enabled != "O" else []
    usual = live.enabled if also_new else "O"
    return back + [
        switch(live.name, one.schema, one.table, Enabled.from_catalog(one.enabled), only=True)
        for one in clones
        if one.enabled != usual
    ]


def recreation(live: CatalogTrigger) -> list[Composable]:
    """Return what brings a dropped or replaced trigger back, comment and modes included."""
    back = [recreate_trigger(live)]
    if live.comment is not None:
        back.append(comment(live.name, live.schema, live.table, live.comment))
    return [*back, *modes_back(live)]
