"""Findings about the guard: gates and witnesses as they should be, and what went past them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.drift import Finding
from trigger_ops.drift.acts import told_acts
from trigger_ops.drift.databases import about_database
from trigger_ops.drift.digests import digest_of
from trigger_ops.durations import spelled
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.guarding import WITNESS, gate_faults, witness_faults
from trigger_ops.inspection.own_objects import Fault
from trigger_ops.records import GuardState, Limits, Unattributed
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.sql.functions import expected_functions
from trigger_ops.states import Policy

_NAMED_AT_MOST = 3

NO_ROW = "no row on record"
"""What is said where a trigger stood aside so late that nobody saw the rows."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Guarding:
    """The guard of one database, which is on, and what nobody has acknowledged yet.

    ``ddl_fault`` says what is wrong with the event trigger of the DDL guard, where it should be
    there; ``more`` tells that not all unattributed transactions were read, ``unread`` why none
    could be. ``is_known`` is false where the guard's own rows could not be read either: nobody knows
    its policies then. ``wanted`` is the guard as the settings want it, None where that is not to be
    compared.
    ``is_on`` is false where no run of ours switched it off: then only what was done to it is told.
    """

    database: str
    state: GuardState
    is_on: bool = True
    is_known: bool = True
    unattributed: tuple[Unattributed, ...] = ()
    more: bool = False
    ddl_fault: str = ""
    unread: str = ""
    wanted: GuardState | None = None


def own_bodies(guard: Guarding | None) -> frozenset[str]:
    """Return the bodies of all functions that the guard has, none where it is off.

    Whoever has a function with such a body has ours, wherever it lives.
    """
    if guard is None or not guard.is_on:
        return frozenset()
    home = guard.state.home
    return frozenset(
        one.body
        for file in ("guard", "sessions", "ledger")
        for one in expected_functions(file, home=home, schema="public")
    )


def without_witnesses(database: InspectedDatabase, guard: Guarding | None) -> InspectedDatabase:
    """Return a database without our witnesses, which neither guard a table nor are strangers."""
    snapshot, own = database.snapshot, own_bodies(guard)
    if snapshot is None or not own:
        return database
    triggers = tuple(
        one for one in snapshot.triggers if not (one.name.startswith(WITNESS) and one.body in own)
    )
    return dataclasses.replace(database, snapshot=dataclasses.replace(snapshot, triggers=triggers))


def about_guard(database: InspectedDatabase, guard: Guarding) -> Iterator[Finding]:
    """Yield what is wrong with a guard that is on, and what went past it."""
    if guard.is_on:
        yield from _about_its_parts(database, guard)
    if guard.unattributed:
        finding = about_database(
            database,
            "C007",
            told(guard.unattributed, more=guard.more),
            _command(database, "acknowledge --reason …"),
        )
        # More of the same is no other finding: its count grows.
        yield dataclasses.replace(
            finding, count=len(guard.unattributed), digest=_kinds_of(guard.unattributed)
        )


def _about_its_parts(database: InspectedDatabase, guard: Guarding) -> Iterator[Finding]:
    fix = _command(database, "install")
    yield from _gates(database, guard, fix)
    for message in policy_differences(guard.state, guard.wanted):
        yield about_database(database, "C006", message, fix, schema=guard.state.home)
    if guard.state.ddl and guard.ddl_fault:
        message = f"The guard watches DDL, but its event trigger {guard.ddl_fault}."
        yield about_database(database, "C006", message, f"{fix} --ddl-guard")
    yield from _witnesses(database, guard, fix)


def _gates(database: InspectedDatabase, guard: Guarding, fix: str) -> Iterator[Finding]:
    """Yield one finding for each gate, and one for all of ours that is behind them."""
    behind: list[str] = []
    strangers: list[Fault] = []
    for fault in gate_faults(database, guard.state):
        if fault.fix:
            strangers.append(fault)
            continue
        if fault.name != IGNORE_FUNCTION:
            behind.append(f"{fault.label} {fault.what}")
            continue
        message = f"The guard is on, but {fault.schema}.{fault.name} {fault.what}."
        yield about_database(database, "C006", message, fix, schema=fault.schema)
    if behind:
        home = guard.state.home
        message = (
            f"The guard is on, but not all that it needs in {home} is as it should be: "
            f"{'; '.join(behind)}."
        )
        yield about_database(database, "C006", message, fix, schema=home)
    if strangers:
        home = guard.state.home
        said = "; ".join(f"{one.label} {one.what}" for one in strangers)
        message = (
            f"The guard is on, but tables in {home} have what is none of its, and may keep "
            f"evidence from being written or read: {said}."
        )
        cures = "; ".join(one.fix for one in strangers)
        yield about_database(database, "C006", message, cures, schema=home)


def policy_differences(present: GuardState, wanted: GuardState | None) -> Iterator[str]:
    """Say in one sentence what policies and limits the database has that the settings do not."""
    if wanted is None:
        return
    found = []
    default = (wanted.policy, _approvals(wanted.policy, wanted.approvals))
    if (present.policy, _approvals(present.policy, present.approvals)) != default:
        found.append(f"by default {_policy(present)} and not {_policy(wanted)}")
    for trigger in sorted(present.policies.keys() | wanted.policies.keys()):
        here, there = present.policies.get(trigger), wanted.policies.get(trigger)
        if (here or ())[1:] != (there or ())[1:]:
            uri = (there or here or ("",))[0]
            found.append(f"{uri} {_policy(present, here)} and not {_policy(wanted, there)}")
    names = [field.name for field in dataclasses.fields(Limits)]
    found += [
        f"for sessions {name} {_limit(getattr(present.limits, name))} and not "
        f"{_limit(getattr(wanted.limits, name))}"
        for name in names
        if getattr(present.limits, name) != getattr(wanted.limits, name)
    ]
    if found:
        yield f"The guard's rows say other than the settings: {'; '.join(found)}."


def _policy(guard: GuardState, own: tuple[str, Policy, int] | None = None) -> str:
    _, policy, approvals = own or ("", guard.policy, guard.approvals)
    needed = _approvals(policy, approvals)
    return f"{policy.value} ({needed})" if needed else policy.value


def _approvals(policy: Policy, approvals: int) -> int:
    """Return how many approvals a policy takes."""
    return max(1, approvals) if policy is Policy.FOUR_EYES else 0


def _limit(value: dt.timedelta | int | None) -> str:
    if isinstance(value, dt.timedelta):
        return spelled(value)
    return "without a limit" if value is None else f"{value:,}"


def _witnesses(database: InspectedDatabase, guard: Guarding, fix: str) -> Iterator[Finding]:
    """Yield one finding for each table that lacks something."""
    tables = defaultdict(list)
    for fault in witness_faults(database, guard.state):
        tables[fault.schema, fault.table].append(f"{fault.name} {fault.what}")
    for (schema, table), faults in tables.items():
        message = (
            f"Rows of {schema}.{table} that are written while a trigger is ignored may go "
            f"unrecorded: {'; '.join(faults)}."
        )
        finding = about_database(database, "W006", message, fix, schema=schema)
        yield dataclasses.replace(finding, table=table)


def _kinds_of(transactions: Sequence[Unattributed]) -> str:
    """Digest which tables were written past which triggers by which roles, and what was done."""
    return digest_of(
        sorted({table for one in transactions for table in one.tables}),
        sorted({trigger for one in transactions for trigger in one.triggers}),
        sorted({one.role for one in transactions}),
        sorted({(act.kind, act.op, act.name) for one in transactions for act in one.acts}),
    )


def told(transactions: Sequence[Unattributed], *, more: bool = False) -> str:
    """Say in one sentence what went past triggers, and what was done to the guard: by whom, when."""
    rows = sum(one.rows for one in transactions)
    tables = _some({table for one in transactions for table in one.tables})
    triggers = _some({trigger for one in transactions for trigger in one.triggers})
    roles = _some({f'"{one.role}"' for one in transactions if one.role})
    first = min(one.first for one in transactions)
    last = max(one.last for one in transactions)
    least = "at least " if more else ""
    count = f"{least}{len(transactions):,} transaction{'s' * (len(transactions) != 1)}"
    parts = told_acts(act for one in reversed(transactions) for act in one.acts)
    if rows or triggers or not parts:
        what = f"{rows:,} row{'s' * (rows != 1)} of {tables} changed" if rows else NO_ROW
        parts.insert(0, f"{what}, past {triggers}" if triggers else what)
    when = f"{first:%Y-%m-%d %H:%M:%SZ}"
    if last != first:
        when = f"{when} to {last:%Y-%m-%d %H:%M:%SZ}"
    what = "; ".join(parts)
    return f"Outside any session, in {count}: {what}, by role {roles or 'unknown'}, {when}."


def _some(names: set[str]) -> str:
    ordered = sorted(names)
    rest = len(ordered) - _NAMED_AT_MOST
    return ", ".join(ordered[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _command(database: InspectedDatabase, verb: str) -> str:
    return f"manage.py pgtrigger guard {verb}{for_pgtrigger(database.alias)}"
