"""What people read: a subject, and a paragraph for each change."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from trigger_ops import conf
from trigger_ops.records import FindingChange, FindingRecord, Message
from trigger_ops.states import EventKind

PREFIX = "[trigger_ops] "
TEST = "a test: this destination can be told"

_CALM = (EventKind.RESOLVED, EventKind.ALLOWED)
_SUBJECT_AT_MOST = 200
_TOLD_AT_MOST = 100


def printable(text: str) -> str:
    """Return ``text`` with every invisible character spelled out: names are not to be trusted."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _spelled(char) for char in text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def worst_first(changes: tuple[FindingChange, ...]) -> tuple[FindingChange, ...]:
    """Return changes in the order they are told: what is over comes last."""
    return tuple(sorted(changes, key=lambda one: (one.kind in _CALM, -one.finding.level, one.id)))


def subject(message: Message, *, prefix: str = PREFIX) -> str:
    """Return one line: ``2 opened, 1 resolved: CRITICAL trigger_ops.C001 shop.Order:no_del on …``."""
    if not message.changes:
        return f"{prefix}{TEST}"
    kinds = Counter(one.kind for one in message.changes)
    told = ", ".join(f"{kinds[kind]} {kind.value}" for kind in EventKind if kinds[kind])
    line = f"{prefix}{told}: {_title(message.changes[0].finding)}"
    return line if len(line) <= _SUBJECT_AT_MOST else f"{line[: _SUBJECT_AT_MOST - 1]}…"


def text(message: Message, *, at_most: int = _TOLD_AT_MOST) -> str:
    """Return a paragraph for each change, for so many of them; how many more there are."""
    if not message.changes:
        return (
            f'"{printable(message.destination)}" is told of findings of trigger_ops. All is well.'
        )
    parts = [_paragraph(one) for one in message.changes[:at_most]]
    if more := len(message.changes) - at_most:
        parts += [f"And {more} more: manage.py pgtrigger check"] if more > 0 else []
    return "\n\n".join(parts)


def _paragraph(change: FindingChange) -> str:
    finding = change.finding
    lines = [
        f"{change.kind.value.upper()} {_title(finding)}",
        *([f"  where: {place}"] if (place := _place(finding)) else []),
        f"  {'was' if _is_over(change) else 'what'}: {printable(finding.message)}",
        *([f"  fix: {printable(finding.fix)}"] if finding.fix and not _is_over(change) else []),
        f"  first seen: {_moment(finding.first_seen)}; {_end(change)}",
        f"  see: {printable(conf.runbook(finding.code))}",
    ]
    return "\n".join(lines)


def _title(finding: FindingRecord) -> str:
    named = f"{finding.uri} " if finding.uri else ""
    return printable(f"{finding.level.name} {finding.code} {named}on {finding.database}")


def _place(finding: FindingRecord) -> str:
    relation = ".".join(part for part in (finding.schema, finding.table) if part)
    return printable(" and ".join([*filter(None, [relation]), *_more(finding)]))


def _more(finding: FindingRecord) -> list[str]:
    more = finding.count - 1
    return [f"{more} more {'place' if more == 1 else 'places'}"] if more > 0 else []


def _is_over(change: FindingChange) -> bool:
    return change.finding.resolved is not None


def _end(change: FindingChange) -> str:
    if change.finding.resolved is not None:
        return f"resolved: {_moment(change.finding.resolved)}"
    if change.finding.allowed:
        return f"{change.kind.value}: {_moment(change.at)}; somebody answers for it"
    return f"{change.kind.value}: {_moment(change.at)}"


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%SZ}"
