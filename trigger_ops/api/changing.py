"""Plans changes, carries them out, and reads what was done."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import uuid
from collections.abc import Collection, Iterable, Sequence

from django.db import DatabaseError, InterfaceError, connections
from django.utils.translation import gettext_noop as _

from trigger_ops import conf
from trigger_ops.api.guard_terms import guard_terms, refuse_while_in_use
from trigger_ops.api.inspecting import inspect_all, keep, known, remember
from trigger_ops.applier import OnProgress, RunReport, Terms
from trigger_ops.applier.running import apply as carry_out
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.snapshot import Extent
from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import (
    DatabaseUnreadable,
    Refused,
    StalePlan,
    TriggerOpsError,
    UnknownDatabase,
    UnknownSchema,
    UnknownSelector,
)
from trigger_ops.inspection import InspectedDatabase, Scope
from trigger_ops.inspection.conditions import key_of
from trigger_ops.leases import Lease
from trigger_ops.ledger import tables as own_tables
from trigger_ops.ledger.entries import Author, Entry, Run, read_entries
from trigger_ops.ledger.leases import read_leases
from trigger_ops.planner import Plan, Request, Step
from trigger_ops.planner.files import PlanFile, refusal
from trigger_ops.planner.making import (
    GUARDING,
    make_plan,
    plan_functions,
    plan_table,
    refuse_hazards,
)
from trigger_ops.planner.situation import GuardTerms, Pen, Situation, situation_of
from trigger_ops.registry.pausing import collector_paused
from trigger_ops.states import Hazard, Result, Status, Verb

LOGGER = logging.getLogger("trigger_ops")


def plan(request: Request, *, asked: bool = False) -> Plan:
    """Plan what a request takes; changes nothing.

    ``asked`` says that work counts for the plan's exit code.

    Raises:
        UnknownSelector, UnknownDatabase, UnknownSchema: naming the nearest match.
        Busy: when a database cannot be read.
        Refused: for a lease or a guard where our tables are missing.
    """
    with collector_paused():
        databases, guards = _with_guards(request, _inspected(request, request.databases))
        leases = {one.alias: _leases(one, request) for one in databases}
        return make_plan(
            request,
            databases,
            leases=leases,
            pens={alias: _pen(alias) for alias in request.databases},
            prunes=not request.selectors and conf.prune_on_install(),
            now=dt.datetime.now(dt.UTC),
            lifetime=conf.plan_lifetime(),
            asked=asked,
            guards=guards,
        )


def apply(
    planned: Plan,
    *,
    actor: str,
    reason: str = "",
    allowed: Collection[Hazard] = (),
    lock_budget: dt.timedelta | None = None,
    strict: bool = False,
    on_progress: OnProgress | None = None,
) -> RunReport:
    """Carry out a plan that was just made.

    ``actor`` is who does it (``user:NAME`` or ``os:user@host``), ``allowed`` the side effects
    that may happen. ``strict`` refuses what has changed since the plan was made; otherwise such
    a table is planned anew.

    Raises:
        Refused: before anything was changed, for a hazard or an obstacle, or a session that needs
            the guard.
    """
    refuse_hazards(planned, frozenset(allowed))
    refuse_while_in_use(planned.request)
    run = Run(
        id=uuid.uuid4(), verb=planned.request.verb, author=Author(actor=actor, reason=reason)
    )
    terms = Terms(
        lock_timeout=planned.request.lock_timeout,
        lock_budget=lock_budget if lock_budget is not None else conf.apply_lock_budget(),
        strict=strict,
        allowed=frozenset(allowed),
    )
    report = carry_out(
        planned,
        run=run,
        terms=terms,
        planning=_Planning(planned.request, frozenset(allowed)),
        on_progress=on_progress,
    )
    _seal(report)
    return report


def apply_file(
    file: PlanFile,
    *,
    verb: Verb,
    actor: str,
    reason: str = "",
    allowed: Collection[Hazard] = (),
    lock_budget: dt.timedelta | None = None,
    on_progress: OnProgress | None = None,
) -> RunReport:
    """Plan anew what a plan file asks for, and carry that out if it is what the file says.

    Raises:
        StalePlan: when anything differs.
        Refused: for a hazard or an obstacle.
    """
    try:
        fresh = plan(dataclasses.replace(file.request, actor=actor))
    except (UnknownSelector, UnknownDatabase, UnknownSchema) as error:
        raise StalePlan(f"The plan cannot be made any more: {error}") from error
    why = refusal(file, fresh, verb=verb, now=dt.datetime.now(dt.UTC))
    if why:
        raise StalePlan(why)
    return apply(
        fresh,
        actor=actor,
        reason=reason,
        allowed=allowed,
        lock_budget=lock_budget,
        strict=True,
        on_progress=on_progress,
    )


def read_log(
    aliases: Sequence[str],
    *,
    selectors: Collection[str] = (),
    run: uuid.UUID | None = None,
    verb: Verb | None = None,
    actor: str | None = None,
    since: dt.datetime | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Return entries of the ledgers of some databases, newest first.

    Raises:
        UnknownDatabase: naming the nearest match.
        Refused: where a database has no ledger.
        DatabaseUnreadable: when a database cannot be asked.
    """
    found: list[Entry] = []
    for alias in aliases:
        if connections[known(alias)].vendor != "postgresql":
            raise Refused(
                _(
                    '"%(alias)s" is no PostgreSQL database, and has no ledger: name another one '
                    "with -d."
                ),
                alias=alias,
            )
        home = own_tables.home(alias)
        if home is None:
            raise Refused(
                _(
                    'There is no ledger on "%(alias)s": run manage.py migrate trigger_ops '
                    "--database %(alias)s."
                ),
                alias=alias,
            )
        found += read_entries(
            alias,
            home,
            selectors=selectors,
            run=run,
            verb=verb,
            actor=actor,
            since=since,
            limit=limit,
        )
    return sorted(found, key=lambda entry: (entry.at, entry.id), reverse=True)[:limit]


def restore_leases(using: str) -> int:
    """Disable again what is on a live lease and fires; return how many triggers that were.

    For the end of ``migrate``: changing a column's type makes PostgreSQL's trigger anew, enabled.
    Whatever stands in the way is logged, and never ends a migration.
    """
    try:
        home = own_tables.home(using)
        live = [one for one in read_leases(using, home) if one.live] if home else []
        if not live:
            return 0
        request = Request(
            verb=Verb.DISABLE,
            databases=(using,),
            selectors=tuple(dict.fromkeys(one.uri for one in live)),
            lock_timeout=conf.apply_lock_timeout(),
        )
        planned = plan(request)
        places = {one.place for one in live}
        steps = tuple(
            step
            for step in planned.steps
            if (step.schema or "", step.table or "", step.trigger) in places
        )
        report = apply(
            dataclasses.replace(planned, steps=steps),
            actor="trigger_ops",
            reason="a live lease, after migrate",
        )
        return len(report.changed)
    except (TriggerOpsError, DatabaseError, InterfaceError) as error:
        LOGGER.warning("trigger_ops: leases on %s were not restored: %s", using, error)
        return 0


@dataclasses.dataclass(frozen=True)
class _Planning:
    """Plans anew, for the applier, what has changed since the plan was made."""

    request: Request
    allowed: frozenset[Hazard]

    def database(self, alias: str) -> Sequence[Step]:
        fresh = plan(dataclasses.replace(self.request, databases=(alias,)))
        refuse_hazards(fresh, self.allowed)
        return fresh.steps

    def table(self, alias: str, table_oid: int, names: frozenset[str]) -> Sequence[Step]:
        return plan_table(self._situation(alias), names, table_oid=table_oid)

    def functions(self, alias: str) -> Sequence[Step]:
        return plan_functions(self._situation(alias))

    def _situation(self, alias: str) -> Situation:
        inspected = _inspected(self.request, [alias])
        (database,), guards = _with_guards(self.request, inspected)
        leases = _leases(database, self.request)
        return situation_of(self.request, database, leases, _pen(alias), guards.get(alias))


def _inspected(request: Request, aliases: Iterable[str]) -> list[InspectedDatabase]:
    everything = not request.selectors
    prunes = request.verb is Verb.PRUNE or (
        everything and request.verb in (Verb.INSTALL, Verb.UNINSTALL)
    )
    replaces_or_drops = request.verb in (Verb.INSTALL, Verb.PRUNE, *GUARDING)
    # A gate is asked by the triggers of every schema; what were left out would lose its witnesses.
    everywhere = request.verb in GUARDING
    return inspect_all(
        request.selectors,
        [known(alias) for alias in aliases],
        Scope(glob="*") if everywhere else request.scope,
        surroundings=Extent.CHANGEABLE if replaces_or_drops else Extent.NOTHING,
        orphans=prunes or request.verb in GUARDING,
        # What migrations say tells which functions were this project's.
        planning=not request.functions,
    )


def _with_guards(
    request: Request, databases: Sequence[InspectedDatabase]
) -> tuple[list[InspectedDatabase], dict[str, GuardTerms]]:
    """Return inspected databases with what the plan has to know of their guards, by alias."""
    found, guards = [], {}
    for database in databases:
        completed, terms = guard_terms(database, request.verb)
        found.append(completed)
        if terms is not None:
            guards[database.alias] = terms
    return found, guards


def _leases(database: InspectedDatabase, request: Request) -> tuple[Lease, ...]:
    """Return the open leases of a database; none where our tables are missing.

    An install keeps modes as it finds them, so that it needs none unless something is dropped.
    """
    drops = any(one.status is Status.PRUNE for one in database.triggers)
    keeps = request.verb in GUARDING or (request.verb is Verb.INSTALL and not drops)
    if database.snapshot is None or keeps:
        return ()
    home = own_tables.home(database.alias)
    if home is not None:
        return _readable_leases(database.alias, home, role=database.snapshot.server.role)
    if request.lasts is not None or request.expired:
        raise Refused(
            _(
                'A lease needs the tables of trigger_ops, which are missing on "%(alias)s": run '
                "manage.py migrate trigger_ops --database %(alias)s."
            ),
            alias=database.alias,
        )
    return ()


def _readable_leases(alias: str, home: str, *, role: str) -> tuple[Lease, ...]:
    try:
        return read_leases(alias, home)
    except DatabaseUnreadable as error:
        if error.__cause__ is None or sqlstate(error.__cause__) != "42501":
            raise
        grant = _pen(alias)(own_tables.grant(home, role))
        raise Refused(
            f'Role "{role}" may not use the tables of trigger_ops on "{alias}": run {grant};'
        ) from error


def _pen(alias: str) -> Pen:
    """Return what writes statements down for a database that was just inspected."""
    connection = connections[alias]
    return lambda composed: str(composed.as_string(connection.connection))


def _seal(report: RunReport) -> None:
    """Remember conditions: of what was installed, as its own transaction read them, and others."""
    sealed: dict[str, str] = {}
    for one in report.results:
        installed = one.result in (Result.CREATED, Result.REPLACED)
        if installed and one.condition is not None and one.step.seal and one.step.schema:
            key = key_of(one.step.seal, one.step.schema, one.condition)
            sealed[key] = one.condition
    keep(sealed)
    try:
        remember()
    except (TriggerOpsError, DatabaseError, InterfaceError) as error:
        LOGGER.warning("trigger_ops: conditions were not remembered: %s", first_line(error))
