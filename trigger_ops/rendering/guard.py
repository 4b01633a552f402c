"""What ``guard status`` and ``guard acknowledge`` print."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from trigger_ops.aliases import for_migrate
from trigger_ops.drift.acts import told_act, told_acts
from trigger_ops.guard.report import Gate, GuardedTable, GuardReport
from trigger_ops.records import Unattributed
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.rendering.colour import GREEN, LEVEL_COLOURS, painted
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.states import ExitCode, Level, Policy

SCHEMA = "trigger_ops.guard/1"

CAVEAT = (
    "The gate sees a trigger's name alone: a session on it, and its policy, hold for triggers of "
    "that name in every schema of the database."
)

OWNERS = (
    "disabling or dropping a trigger or a witness",
    "replacing the gate or the body of a trigger",
    "switching off what keeps the record from being changed",
)
"""What whoever owns the tables can do: kept from others under *split*, and not under *single*."""

NO_TRACE = (
    "what was put back before anybody looked leaves no trace, nor does what was written, changed "
    "or deleted meanwhile"
)

ASSERTED = (
    "who opens a session",
    "who reviews it, and that it is somebody else",
    "who extends, ends or revokes it, and who acknowledges what went past a trigger",
    "that the statements on record are those that were sent",
    "events that it tells, such as refusals and exports",
    "that a reason says why, and that a ticket is true",
)
"""What the database takes the application's word for, under *split* as well."""

_MEANS = {
    Policy.OPEN: "may be ignored; rows are not told apart from others",
    Policy.RECORD: "may be ignored; outside a session that is recorded and has to be acknowledged",
    Policy.SESSION: "ignored in a session alone",
    Policy.FOUR_EYES: "ignored in a session alone that somebody else approved",
}

_KEPT = {
    Policy.OPEN: "not kept",
    Policy.RECORD: "detected",
    Policy.SESSION: "enforced",
    Policy.FOUR_EYES: "enforced",
}


def as_text(report: GuardReport, *, colour: bool) -> str:
    """Return one block about a database."""
    return "\n".join(_lines(report, colour=colour))


def document(reports: Sequence[GuardReport], unread: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what ``guard status --format json`` prints, as plain values.

    ``unread`` are (alias, sentence) of databases that could not be read.
    """
    return {
        "schema": SCHEMA,
        "complete": not unread and not any(one.unread for one in reports),
        "exit_code": int(exit_code(reports, unread)),
        "databases": [
            *map(_document, reports),
            *({"database": alias, "reason": sentence} for alias, sentence in unread),
        ],
    }


def exit_code(reports: Sequence[GuardReport], unread: Sequence[tuple[str, str]]) -> ExitCode:
    """Return what ``guard status`` exits with: something amiss wins over what was not read."""
    codes = {one.exit_code for one in reports} | ({ExitCode.INCOMPLETE} if unread else set())
    return ExitCode.FINDINGS if ExitCode.FINDINGS in codes else max(codes, default=ExitCode.CLEAN)


def transaction_line(one: Unattributed) -> str:
    """Return one line about what a transaction did past triggers."""
    parts = [
        f"{one.transaction}",
        _moment(one.first),
        "; ".join([*_written(one), *told_acts(one.acts)]),
        f"by {one.role or 'unknown'}",
        f"({', '.join(part for part in (one.application, one.address) if part)})",
    ]
    return printable(" ".join(part for part in parts if part not in ("", "()")))


def _written(one: Unattributed) -> Iterator[str]:
    if one.rows or one.triggers or not one.acts:
        rows = f"{counted(one.rows, 'row')} of {', '.join(one.tables) or 'no table on record'}"
        yield f"{rows} past {', '.join(one.triggers)}" if one.triggers else rows


# Text ---------------------------------------------------------------------------------------------


def _lines(report: GuardReport, *, colour: bool) -> Iterator[str]:
    state = report.state
    if state is None or report.profile is None:
        migrate = f"run manage.py migrate{for_migrate(report.database)}"
        missing = f"; our tables are missing: {migrate}" if report.missing else ""
        yield f"{printable(report.database)}: the guard is off{missing}."
        yield from _past_it(report, colour=colour)
        return
    yield (
        f"{printable(report.database)}: the guard is on since {_moment(state.since)}, "
        f"profile {report.profile.name}, default policy {state.policy.value}, "
        f"DDL guard {'on' if state.ddl else 'off'}."
    )
    yield from _profile(report)
    for gate in report.gates:
        yield _judged(f"  {_piece(gate)}", gate.fault, colour=colour)
    yield from (_bad(f"  {one}", colour=colour) for one in report.differences)
    if state.ddl:
        yield _judged("  DDL guard", report.ddl_fault, colour=colour)
    for table in report.tables:
        yield from _table(table, colour=colour)
    yield from _legend(report)
    yield f"  {CAVEAT}"
    yield f"  asserted by the application, and taken as said: {'; '.join(ASSERTED)}."
    yield from _past_it(report, colour=colour)


def _past_it(report: GuardReport, *, colour: bool) -> Iterator[str]:
    """Say what went past the guard, or was done to it, and nobody has acknowledged."""
    if report.unattributed:
        least = "at least " if report.more else ""
        number = counted(len(report.unattributed), "transaction")
        yield _bad(f"  Outside any session, not acknowledged: {least}{number}", colour=colour)
        yield from (f"    {transaction_line(one)}" for one in report.unattributed[:10])
        yield f"    manage.py pgtrigger guard acknowledge -d {report.database} --reason …"
    if report.last_denied is not None:
        yield (
            f"  Refused so far: {counted(report.denied, 'statement or request', 'statements and requests')}, "
            f"the last one {_moment(report.last_denied)}: "
            f"manage.py pgtrigger session list --denied -d {printable(report.database)}"
        )


def _piece(gate: Gate) -> str:
    if gate.kind == "role":
        return gate.name
    what = "gate" if gate.name == IGNORE_FUNCTION else gate.kind
    return f"{what} {gate.schema}.{gate.name}"


def _profile(report: GuardReport) -> Iterator[str]:
    profile = report.profile
    if profile is None:
        return
    for reason in profile.reasons:
        yield printable(f"  single, because {reason}")
    if profile.reasons:
        yield f"  detected while it lasts, and not prevented: {'; '.join(OWNERS)}."
        yield f"  {NO_TRACE}."
    else:
        roles = printable(", ".join(profile.roles))
        yield f"  kept from {roles} by ownership: {'; '.join(OWNERS)}."
    if report.asker:
        yield printable(f"  but nothing is kept from the role that asks: {report.asker}")
    yield from (printable(f"  besides the owner, {one}") for one in report.writers)


def _table(table: GuardedTable, *, colour: bool) -> Iterator[str]:
    yield printable(f"  {table.schema}.{table.table}")
    if table.unwitnessable:
        text = (
            f"    not witnessable: it is {table.unwitnessable}; no session can name its triggers"
        )
        yield printable(text)
    elif table.faults:
        yield from (_bad(f"    witness: {fault}", colour=colour) for fault in table.faults)
    else:
        yield _judged("    witness", "", colour=colour)
    for one in table.triggers:
        yield printable(f"    {_KEPT[one.policy]} ({one.policy.value}) {one.uri}")


def _legend(report: GuardReport) -> Iterator[str]:
    """Say what the policies mean that some trigger has."""
    present = {trigger.policy for table in report.tables for trigger in table.triggers}
    yield from (f"  {one.value}: {means}." for one, means in _MEANS.items() if one in present)


def _judged(what: str, fault: str, *, colour: bool) -> str:
    if fault:
        return _bad(f"{what} {fault}", colour=colour)
    return f"{printable(what)}: {painted('in place', GREEN if colour else None)}"


def _bad(text: str, *, colour: bool) -> str:
    return painted(printable(text), LEVEL_COLOURS[Level.ERROR] if colour else None)


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


# JSON ---------------------------------------------------------------------------------------------


def _document(report: GuardReport) -> dict[str, Any]:
    state, profile = report.state, report.profile
    return {
        "database": report.database,
        "on": state is not None,
        "tables_missing": report.missing,
        "since": state.since.isoformat() if state else None,
        "home": state.home if state else None,
        "policy": state.policy.value if state else None,
        "profile": profile.name if profile else None,
        "profile_roles": list(profile.roles) if profile else [],
        "profile_reasons": list(profile.reasons) if profile else [],
        "ddl_guard": state.ddl if state else False,
        "ddl_guard_fault": report.ddl_fault,
        "differences": list(report.differences),
        "writers": list(report.writers),
        "role": report.role,
        "role_could": report.asker,
        "asserted": list(ASSERTED),
        "gates": [
            {"schema": one.schema, "function": one.name, "kind": one.kind, "fault": one.fault}
            for one in report.gates
        ],
        "tables": [_table_document(one) for one in report.tables],
        "scope": CAVEAT,
        "unattributed": [_past(one) for one in report.unattributed],
        "unattributed_complete": not report.more and not report.unread,
        "denied": report.denied,
        "last_denied": report.last_denied.isoformat() if report.last_denied else None,
    }


def _table_document(table: GuardedTable) -> dict[str, Any]:
    return {
        "schema": table.schema,
        "table": table.table,
        "witnessable": not table.unwitnessable,
        "faults": list(table.faults),
        "triggers": [
            {
                "uri": one.uri,
                "trigger": one.trigger,
                "policy": one.policy.value,
                "approvals": one.approvals,
                "enforced": one.is_enforced,
            }
            for one in table.triggers
        ],
    }


def _past(one: Unattributed) -> dict[str, Any]:
    return {
        "transaction": one.transaction,
        "rows": one.rows,
        "tables": list(one.tables),
        "triggers": list(one.triggers),
        "causes": list(one.causes),
        "acts": [told_act(act) for act in one.acts],
        "role": one.role,
        "application": one.application,
        "address": one.address,
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
    }
