"""Inspects and surveys triggers."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Collection, Mapping, Sequence

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.utils.translation import gettext_noop as _

from trigger_ops import conf, ledger
from trigger_ops.catalog.reading import read_schemas
from trigger_ops.catalog.snapshot import Extent
from trigger_ops.drift import Listing
from trigger_ops.exceptions import (
    DatabaseUnreadable,
    TriggerOpsError,
    UnknownDatabase,
    UnknownSchema,
    nearest,
)
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.inspection.joining import Question, inspect_database
from trigger_ops.registry import RegisteredTrigger, project_tables, registered_triggers
from trigger_ops.registry.history import load_migrations
from trigger_ops.registry.selectors import matches, select
from trigger_ops.states import Enabled, Facet, Status

LOGGER = logging.getLogger("trigger_ops")

NOWHERE_ELSE = Scope()
"""The connection's own search_path."""

_minted: dict[str, str] = {}
"""Canonical conditions that this process minted and nobody has remembered."""


def inspect(*selectors: str, using: str | None = None) -> list[InspectedTrigger]:
    """Inspect triggers of one database, in registry order; triggers no code knows come last.

    Inside a transaction this reads what that transaction sees, and leaves nothing in it.

    Raises:
        UnknownSelector, UnknownDatabase: naming the nearest match.
        DatabaseUnreadable: when the database cannot be read.
    """
    (database,) = inspect_all(selectors, [known(using or DEFAULT_DB_ALIAS)], NOWHERE_ELSE)
    if database.status == "unreachable":
        raise DatabaseUnreadable(database.reason)
    return list(database.triggers)


def survey(
    *selectors: str,
    databases: Sequence[str] | None = None,
    all_databases: bool = False,
    scope: Scope = NOWHERE_ELSE,
    asked: bool = False,
    statuses: Collection[Status] = (),
    ignoring: Collection[Facet] = (),
) -> Listing:
    """List triggers of one or more databases, for ``ls`` and ``diff``.

    ``asked`` says that differences count for the exit code, those in ``ignoring`` apart;
    ``statuses`` keeps only those.

    Raises:
        UnknownSelector, UnknownDatabase, UnknownSchema: naming the nearest match.
    """
    aliases = postgres_aliases() if all_databases else list(databases or [DEFAULT_DB_ALIAS])
    inspected = inspect_all(selectors, [known(alias) for alias in aliases], scope)
    triggers = [one for database in inspected for one in database.triggers]
    return Listing(
        databases=tuple(inspected),
        triggers=tuple(one for one in triggers if not statuses or one.status in statuses),
        asked=asked,
        ignoring=frozenset(ignoring),
    )


def keep(conditions: Mapping[str, str]) -> None:
    """Keep canonical conditions for this process, by key, until somebody remembers them."""
    _minted.update(conditions)


def remember() -> int:
    """Remember the canonical conditions that this process minted; return how many there were."""
    written = ledger.remember_conditions(_minted)
    if written:
        _minted.clear()
    return written


def remember_database(using: str) -> int:
    """Inspect one database and remember its canonical conditions; return how many were new.

    For moments that write anyway, such as ``migrate``: whatever stands in the way is logged, and
    never ends them.
    """
    if connections[using].vendor != "postgresql":
        return 0
    try:
        inspect_all((), [using], NOWHERE_ELSE)
        return remember()
    except (TriggerOpsError, DatabaseError) as error:
        LOGGER.warning("trigger_ops: conditions of %s were not remembered: %s", using, error)
        return 0


def postgres_aliases() -> list[str]:
    """Return the aliases of ``settings.DATABASES`` that are PostgreSQL, in their order."""
    return [alias for alias in connections if connections[alias].vendor == "postgresql"]


def inspect_all(
    selectors: Sequence[str],
    aliases: Sequence[str],
    scope: Scope,
    *,
    surroundings: Extent = Extent.NOTHING,
    orphans: bool | None = None,
    planning: bool = False,
) -> list[InspectedDatabase]:
    """Inspect databases, one after the other. ``orphans`` are looked for if nothing is selected.

    ``planning`` leaves out what no plan needs: migrations are asked only where something differs
    from the code, so that nothing is known to be ahead of them, and suspects are not looked at
    again, because each table's transaction does that.
    """
    remembered = ledger.remembered_conditions()
    _connect_once(aliases)
    everything = registered_triggers()
    chosen = select(everything, selectors)
    modes = _modes(everything)
    migrations = functools.cache(load_migrations)
    tables = project_tables()
    inspected = []
    _refuse_unknown_schemas(aliases, scope)
    for alias in aliases:
        database = inspect_database(
            Question(
                alias=alias,
                chosen=chosen,
                everything=everything,
                tables=tables,
                scope=scope,
                modes=modes,
                remembered={**_minted, **remembered},
                migrations=migrations,
                history=not planning,
                twice=not planning,
                surroundings=surroundings,
                orphans=not selectors if orphans is None else orphans,
                statement_timeout=conf.statement_timeout(),
                lock_timeout=conf.lock_timeout(),
            )
        )
        _minted.update(database.spelled)
        inspected.append(database)
    return inspected


def _connect_once(aliases: Sequence[str]) -> None:
    """See to it that this process has been connected to some server before triggers are compiled.

    pgtrigger quotes literals without a connection, so that libpq takes the rules of the last one
    there was; before the first one it doubles backslashes, as servers of 2010 wanted it.
    """
    if any(connections[alias].connection is not None for alias in postgres_aliases()):
        return
    for alias in aliases:
        # What holds the remembered conditions has just been tried.
        if alias != conf.record_database() and connections[alias].vendor == "postgresql":
            with contextlib.suppress(DatabaseError, InterfaceError):
                connections[alias].ensure_connection()
                return


def _modes(triggers: Sequence[RegisteredTrigger]) -> Mapping[str, Enabled]:
    """Return the declared enabled mode by URI. Where several selectors match, the last counts."""
    return {
        trigger.uri: Enabled(mode)
        for selector, mode in conf.declared_modes().items()
        for trigger in triggers
        if matches(trigger, selector)
    }


def known(alias: str) -> str:
    """Return an alias, if ``settings.DATABASES`` has it.

    Raises:
        UnknownDatabase: naming the nearest.
    """
    if alias not in connections:
        raise UnknownDatabase(
            _('settings.DATABASES has no alias "%(alias)s": %(nearest)s'),
            alias=alias,
            nearest=nearest(alias, list(connections)),
        )
    return alias


def _refuse_unknown_schemas(aliases: Sequence[str], scope: Scope) -> None:
    """Refuse a path that names what a database lacks, and a glob that matches nothing in any."""
    if scope.path is None and scope.glob in (None, "*"):
        return
    existing = {alias: _schemas(alias) for alias in aliases}
    for alias, schemas in existing.items():
        for schema in scope.path or ():
            if schemas is not None and schema not in schemas:
                raise UnknownSchema(
                    f'Database "{alias}" has no schema "{schema}": {nearest(schema, schemas)}'
                )
    if scope.glob is None or any(schemas is None for schemas in existing.values()):
        return
    known = {schema for schemas in existing.values() for schema in schemas or ()}
    if not any(scope.takes(schema) for schema in known):
        raise UnknownSchema(f'No schema matches "{scope.glob}": {nearest(scope.glob, known)}')


def _schemas(alias: str) -> list[str] | None:
    """Return the names of the schemas of a database, None where they cannot be read."""
    if connections[alias].vendor != "postgresql":
        return None
    try:
        return read_schemas(alias)
    except DatabaseUnreadable:
        return None
