"""What ``allow`` prints: who answers for what, and what nobody answers for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.rendering import documents
from trigger_ops.rendering.colour import LEVEL_COLOURS, painted
from trigger_ops.rendering.wording import place, printable

ALLOWANCES_SCHEMA = "trigger_ops.allowances/1"


def as_json(allowances: Sequence[AllowanceRecord]) -> str:
    """Return allowances, the oldest first. ``ended`` is null for one that runs its time."""
    return documents.as_json(
        {
            "schema": ALLOWANCES_SCHEMA,
            "allowances": [
                {
                    "id": one.id,
                    "finding": one.code,
                    "database": one.database,
                    "uri": one.uri or None,
                    "digest": one.digest,
                    "count": one.count or None,
                    "message": one.message,
                    "owner": one.owner,
                    "reason": one.reason,
                    "since": one.since.isoformat(),
                    "expires": one.expires.isoformat(),
                    "ended": one.ended.isoformat() if one.ended else None,
                    "ended_by": one.ended_by or None,
                }
                for one in allowances
            ],
        }
    )


def as_text(
    allowances: Sequence[AllowanceRecord],
    unanswered: Sequence[FindingRecord],
    now: dt.datetime,
    *,
    colour: bool,
) -> str:
    """Return a line for each allowance, then one for each open finding without."""
    lines = [_line(one, now) for one in allowances] or ["Nobody answers for any finding."]
    if unanswered:
        lines.append("Open findings without an allowance, by number:")
        lines += [_open(one, colour=colour) for one in unanswered]
    return "\n".join(lines)


def made(allowance: AllowanceRecord) -> str:
    """Return a sentence about a new allowance."""
    most = f", in fewer than {2 * allowance.count:,} places" if allowance.count > 1 else ""
    return printable(
        f"Allowance {allowance.id}: {allowance.owner} answers for {subject(allowance)} until "
        f"{allowance.expires:%Y-%m-%d %H:%M:%SZ}, as long as it stays as it is{most}."
    )


def ended(allowance: AllowanceRecord) -> str:
    """Return a sentence about an allowance that was ended."""
    return printable(
        f"Allowance {allowance.id} is over: the next recorded check tells of {subject(allowance)}."
    )


def subject(allowance: AllowanceRecord) -> str:
    """Return what an allowance is about: ``trigger_ops.C001 shop.Order:no_del (default)``."""
    about = f"{allowance.uri} ({allowance.database})" if allowance.uri else allowance.database
    return f"{allowance.code} {about}"


def _line(one: AllowanceRecord, now: dt.datetime) -> str:
    until = f"{one.expires:%Y-%m-%d %H:%M:%SZ}"
    if one.ended is not None:
        state = f"ended {one.ended:%Y-%m-%d %H:%M:%SZ} by {one.ended_by}"
    else:
        state = f"until {until}" if one.is_live(now) else f"over since {until}"
    return printable(f"{one.id} {subject(one)} {state}, {one.owner}: {one.reason}")


def _open(one: FindingRecord, *, colour: bool) -> str:
    level = painted(one.level.name, LEVEL_COLOURS[one.level] if colour else None)
    where = place(one.database, one.schema or None, one.table or None)
    about = f"{one.uri} ({where})" if one.uri else where
    return f"{one.id} {level} {one.code} {printable(about)}"
