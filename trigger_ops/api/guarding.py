"""Keeps, reads and answers for the guard of a database."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops import conf
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.api.changing import apply, plan
from trigger_ops.api.guard_terms import guard_to_change
from trigger_ops.api.inspecting import inspect_all, known
from trigger_ops.catalog.reading import sqlstate
from trigger_ops.catalog.snapshot import Extent
from trigger_ops.catalog.transactions import first_line
from trigger_ops.drift.guarding import policy_differences
from trigger_ops.exceptions import DatabaseUnreadable, Refused, TriggerOpsError
from trigger_ops.guard import ddl
from trigger_ops.guard.keeping import find_gates
from trigger_ops.guard.profile import Profile, read_profile
from trigger_ops.guard.reading import is_denied, read_guarding, with_guard
from trigger_ops.guard.report import Gate, GuardedTable, GuardedTrigger, GuardReport
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger, Scope
from trigger_ops.inspection.guarding import gate_faults, gated_schemas, witness_faults
from trigger_ops.inspection.own_objects import NAMED_AT_MOST
from trigger_ops.ledger.guard import guard_home, read_unattributed
from trigger_ops.ledger.sessions import count_denials
from trigger_ops.ledger.tables import write
from trigger_ops.planner import Request
from trigger_ops.records import GuardState, Unattributed
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.sessions.requests import stated_reason
from trigger_ops.states import Verb

LOGGER = logging.getLogger("trigger_ops")

_EVERYWHERE = Scope(glob="*")
_UNWITNESSABLE = {"v": "a view", "f": "a foreign table"}

_ACKNOWLEDGE = """\
SELECT {home}.trigger_ops_acknowledge(ARRAY[{transactions}]::pg_catalog.int8[], {actor}, {reason})"""


def restore_guard(using: str) -> int:
    """Bring the guard up to date where it is on; return how many things were changed.

    For the end of ``migrate``: tables, partitions and triggers are new then, and stock code may
    have put the stock ignore function back. Whatever stands in the way is logged, and never ends
    a migration.
    """
    try:
        gates = find_gates(using)
        if gates is None:
            return 0
        if gates.ddl:
            _renew_ddl_guard(using, gates.home)
        request = Request(
            verb=Verb.GUARD_INSTALL, databases=(using,), lock_timeout=conf.apply_lock_timeout()
        )
        planned = plan(request)
        if not planned.work:
            return 0
        report = apply(planned, actor="trigger_ops", reason="the guard is on, after migrate")
    except (TriggerOpsError, DatabaseError, InterfaceError) as error:
        LOGGER.warning("trigger_ops: the guard on %s was not brought up to date: %s", using, error)
        return 0
    for one in report.failed:
        LOGGER.warning(
            "trigger_ops: the guard on %s lacks %s: %s", using, one.step.uri, one.reason
        )
    return len(report.changed)


def _renew_ddl_guard(using: str, home: str) -> None:
    """Bring the DDL guard up to date, which would let nobody replace our functions otherwise."""
    fault = ddl.fault(using, home)
    if not fault:
        return
    reason = "the DDL guard is on, after migrate"
    try:
        ddl.carry_out(
            using,
            home,
            ddl.statements(using, home),
            verb=Verb.GUARD_INSTALL,
            actor="trigger_ops",
            reason=reason,
        )
    except Refused as error:
        LOGGER.warning("trigger_ops: the DDL guard on %s %s: %s", using, fault, error)


# What holds ---------------------------------------------------------------------------------------


def guard_status(using: str) -> GuardReport:
    """Return what the guard of a database enforces, what it only detects, and what it lacks.

    Raises:
        UnknownDatabase: naming the nearest match.
        DatabaseUnreadable: when the database cannot be asked.
    """
    if connections[known(using)].vendor != "postgresql":
        raise DatabaseUnreadable(f'"{using}" is no PostgreSQL database, and has no triggers.')
    home = guard_home(using)
    if home is None:
        return GuardReport(database=using, missing=True)
    guard = read_guarding(using)
    if guard is not None and not guard.is_known:
        raise DatabaseUnreadable(guard.unread)
    if guard is None or not guard.is_on:
        past = guard.unattributed if guard is not None else ()
        return GuardReport(database=using, unattributed=past)
    (database,) = inspect_all((), [using], _EVERYWHERE, surroundings=Extent.ALL)
    if database.snapshot is None:
        raise DatabaseUnreadable(database.reason)
    role = database.snapshot.server.role
    database = with_guard(database, guard.state)
    ignorable = list(_ignorable(database))
    profile, asker = _profiles(using, home, ignorable, role=role)
    denied, last_denied = _denied(using, home)
    return GuardReport(
        database=using,
        state=guard.state,
        profile=profile,
        tables=tuple(_tables(database, guard.state, ignorable)),
        gates=tuple(_gates(database, guard.state)),
        differences=tuple(policy_differences(guard.state, guard.wanted)),
        writers=tuple(_writers(database)),
        ddl_fault=guard.ddl_fault,
        unattributed=guard.unattributed,
        more=guard.more,
        unread=guard.unread,
        denied=denied,
        last_denied=last_denied,
        role=role,
        asker=asker,
    )


def _denied(using: str, home: str) -> tuple[int, dt.datetime | None]:
    """Count what was refused so far; nothing is known of it where this role may not look."""
    try:
        return count_denials(using, home)
    except DatabaseUnreadable as error:
        if not is_denied(error):
            raise
        return 0, None


def _ignorable(database: InspectedDatabase) -> Iterator[InspectedTrigger]:
    """Yield the project's triggers that ask whether to stand aside."""
    for one in database.triggers:
        live = one.installed
        if one.registered is not None and live is not None and IGNORE_FUNCTION in live.body:
            yield one


def _profiles(
    using: str, home: str, ignorable: Collection[InspectedTrigger], *, role: str
) -> tuple[Profile, str]:
    """Return the profile, and why it is not that of the role that asks."""
    tables = {one.installed.table_oid for one in ignorable if one.installed is not None}
    roles = conf.app_roles() or (role,)
    profile = read_profile(using, home, roles=roles, tables=tables)
    if role in roles:
        return profile, ""
    own = read_profile(using, home, roles=(role,), tables=tables)
    return profile, "; ".join(own.reasons)


def _tables(
    database: InspectedDatabase, state: GuardState, ignorable: Collection[InspectedTrigger]
) -> Iterator[GuardedTable]:
    faults = defaultdict(list)
    for fault in witness_faults(database, state):
        faults[fault.schema, fault.table].append(f"{fault.name} {fault.what}")
    kinds: dict[tuple[str, str], str] = {}
    triggers: defaultdict[tuple[str, str], list[GuardedTrigger]] = defaultdict(list)
    for one in ignorable:
        if one.installed is not None:
            place = (one.installed.schema, one.installed.table)
            kinds[place] = _UNWITNESSABLE.get(one.installed.relkind, "")
            triggers[place].append(_guarded(one, state))
    for place in sorted({*triggers, *faults}):
        yield GuardedTable(
            schema=place[0],
            table=place[1],
            triggers=tuple(triggers[place]),
            faults=tuple(faults[place]),
            unwitnessable=kinds.get(place, ""),
        )


def _guarded(one: InspectedTrigger, state: GuardState) -> GuardedTrigger:
    _, policy, approvals = state.policies.get(one.trigger, ("", state.policy, 0))
    return GuardedTrigger(uri=one.uri, trigger=one.trigger, policy=policy, approvals=approvals)


def _gates(database: InspectedDatabase, state: GuardState) -> Iterator[Gate]:
    faults = list(gate_faults(database, state))
    for one in faults:
        yield Gate(schema=one.schema, name=one.label, fault=one.what, kind=one.kind)
    bad = {one.schema for one in faults if one.name == IGNORE_FUNCTION}
    for schema in sorted(gated_schemas(database) - bad):
        yield Gate(schema=schema, name=IGNORE_FUNCTION)


def _writers(database: InspectedDatabase) -> Iterator[str]:
    """Say who else was granted rights to write our tables, on purpose or not."""
    catalog = database.guarded
    held: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in catalog.grants if catalog is not None else ():
        if not one.asked:
            held[one.role, one.rights].append(one.name)
    for (role, rights), names in sorted(held.items()):
        rest = len(names) - NAMED_AT_MOST
        more = f" and {rest} more" if rest > 0 else ""
        yield f'role "{role}" may {", ".join(rights)} on {", ".join(names[:NAMED_AT_MOST])}{more}'


# What went past it --------------------------------------------------------------------------------


def unattributed(using: str) -> list[Unattributed]:
    """Return all that went past triggers outside any session and nobody has acknowledged.

    Raises:
        UnknownDatabase: naming the nearest match.
        Refused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    return read_unattributed(known(using), _home(using), limit=conf.LONGEST)


def acknowledge(using: str, transactions: Collection[int], *, actor: str, reason: str) -> int:
    """Say that somebody knows of these transactions; return how many that were.

    Raises:
        UnknownDatabase: naming the nearest match.
        SessionRefused: for a reason that says too little.
        Refused: where our tables are missing, or this role may not.
    """
    home = _home(using)
    said = stated_reason(reason, what="An acknowledgement")
    if not transactions:
        return 0
    statement = sql.SQL(_ACKNOWLEDGE).format(
        home=sql.Identifier(home),
        transactions=sql.SQL(", ").join(map(sql.Literal, sorted(transactions))),
        actor=sql.Literal(actor),
        reason=sql.Literal(said),
    )
    try:
        ((number,),) = write(using, statement)
    except DatabaseError as error:
        if sqlstate(error) != "42501":
            raise
        raise Refused(
            f'This role may not acknowledge anything on "{using}" ({first_line(error)}): connect '
            'as the tables\' owner, or name it in TRIGGER_OPS["APP_ROLES"] and run manage.py '
            f"pgtrigger guard install{for_pgtrigger(using)}."
        ) from error
    return int(number)


def _postgresql(using: str) -> str:
    if connections[known(using)].vendor != "postgresql":
        raise Refused(f'"{using}" is not PostgreSQL, and has no triggers to guard: leave it out.')
    return using


def _home(using: str) -> str:
    home = guard_home(_postgresql(using))
    if home is None:
        raise Refused(
            f'The tables of sessions are missing on "{using}": run manage.py migrate trigger_ops '
            f"--database {using}."
        )
    return home


# The guard of DDL ---------------------------------------------------------------------------------


def ddl_script(using: str, verb: Verb) -> list[str]:
    """Return the statements that put the guard of DDL in place, or take it away; both or neither.

    Empty for a removal where it is not there.

    Raises:
        UnknownDatabase: naming the nearest match.
        Refused: where our tables are missing.
        DatabaseUnreadable: when the database cannot be asked.
    """
    home = _home(using)
    if verb is Verb.GUARD_INSTALL:
        return ddl.statements(using, home)
    state = guard_to_change(using, home)
    return ddl.removal(using, home) if state is not None and state.ddl else []


def refuse_ordinary_role(using: str) -> None:
    """Refuse to touch event triggers as a role that PostgreSQL would not let.

    Raises:
        UnknownDatabase: naming the nearest match.
        Refused: for a role that is no superuser, and where no PostgreSQL is.
        DatabaseUnreadable: when the database cannot be asked.
    """
    ddl.refuse_ordinary_role(_postgresql(using))


def switch_ddl_guard(using: str, verb: Verb, *, actor: str, reason: str = "") -> None:
    """Put the guard of DDL in place (``guard install``), or take it away (``guard remove``).

    Raises:
        UnknownDatabase: naming the nearest match.
        Refused: where our tables are missing, and for a role that is no superuser.
    """
    texts = ddl_script(using, verb)
    if texts:
        ddl.carry_out(using, _home(using), texts, verb=verb, actor=actor, reason=reason)
