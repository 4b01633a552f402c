"""Checks of databases: the server, what waits for a migration, and drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.core import checks
from django.db import connections
from django.db.utils import Error as DatabaseLayerError

from trigger_ops import api
from trigger_ops.drift import Finding, Report
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.rendering.reports import page_of, subject
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.states import Level

OLDEST_SERVER = 15
_NAMED_AT_MOST = 3

_MESSAGES: Mapping[Level, Callable[..., checks.CheckMessage]] = {
    Level.INFO: checks.Info,
    Level.WARNING: checks.Warning,
    Level.ERROR: checks.Error,
    Level.CRITICAL: checks.Critical,
}
# What may wait for a migration; advice is left to `pgtrigger check`.
_PENDING = frozenset({"trigger_ops.I001", "trigger_ops.I006"})


def check_before_migrating(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Return Info and Warnings about the databases named; ``migrate`` runs this first."""
    return [
        message
        for alias in _postgres(databases)
        for message in (*_version_messages(alias), *_drift_in_brief(alias))
    ]


def check_drift(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return every finding about the databases named, with its own ID and level."""
    messages: list[checks.CheckMessage] = []
    for alias in _postgres(databases):
        report, unread = _report(alias, checks.Error)
        messages += unread
        if report is not None:
            messages += [_finding_message(finding) for finding in report.findings]
    return messages


def _postgres(databases: Sequence[str] | None) -> list[str]:
    return [alias for alias in databases or () if connections[alias].vendor == "postgresql"]


def _version_messages(alias: str) -> Iterator[checks.CheckMessage]:
    try:
        version = int(connections[alias].pg_version)  # type: ignore[attr-defined]  # of the PostgreSQL backend alone
    except DatabaseLayerError:
        return  # told as S022
    if version // 10_000 < OLDEST_SERVER:
        yield checks.Warning(
            f'The server of "{alias}" is PostgreSQL {version // 10_000}.',
            hint=f"trigger_ops is tested with PostgreSQL {OLDEST_SERVER} and newer.",
            id="trigger_ops.S020",
        )


def _drift_in_brief(alias: str) -> list[checks.CheckMessage]:
    """Return one message for each kind of finding, and one for all that is serious."""
    report, messages = _report(alias, checks.Warning)
    if report is None:
        return messages
    kinds: defaultdict[tuple[str, Level], list[Finding]] = defaultdict(list)
    # A database that was never migrated is about to be: every one of its triggers is pending.
    missing = {
        one.uri for database in report.databases for one in database.triggers if one.table_missing
    }
    for finding in report.findings:
        if finding.id in _PENDING and finding.uri in missing:
            continue
        if finding.level is Level.WARNING or finding.id in _PENDING:
            kinds[finding.id, finding.level].append(finding)
    messages += [_brief(alias, found) for found in kinds.values()]
    serious = [finding for finding in report.findings if finding.level >= Level.ERROR]
    if serious:
        messages.append(
            checks.Warning(
                f'{counted(len(serious), "serious finding")} on "{alias}": {_named(serious)}.',
                hint=f"manage.py pgtrigger check -d {alias}",
                id="trigger_ops.S021",
            )
        )
    return messages


def _report(
    alias: str, kind: Callable[..., checks.CheckMessage]
) -> tuple[Report | None, list[checks.CheckMessage]]:
    """Return the report of a database, and a message of this kind where it could not be read."""
    try:
        report = api.check(databases=[alias])
    except (TriggerOpsError, DatabaseLayerError) as error:
        return None, [_unread(str(error), kind)]
    states = ("unreachable", "incomplete")
    unread = [_unread(one.reason, kind) for one in report.targets if one.status in states]
    return report, unread


def _unread(reason: str, kind: Callable[..., checks.CheckMessage]) -> checks.CheckMessage:
    return kind(
        printable(f"Triggers could not be checked: {reason}"),
        hint="manage.py pgtrigger check",
        id="trigger_ops.S022",
    )


def _brief(alias: str, found: Sequence[Finding]) -> checks.CheckMessage:
    first = found[0]
    message = f'{first.message} On "{alias}": {_named(found)}.'
    return _MESSAGES[first.level](printable(message), hint=_hint(first), id=first.id)


def _named(found: Sequence[Finding]) -> str:
    names = [finding.uri or finding.id for finding in found]
    more = len(names) - _NAMED_AT_MOST
    tail = f" and {more} more" if more > 0 else ""
    return printable(", ".join(names[:_NAMED_AT_MOST])) + tail


def _hint(finding: Finding) -> str:
    """Return what ends a finding, and where its page is."""
    page = f"see {page_of(finding)}"
    return f"{printable(finding.fix)} ({page})" if finding.fix else page


def _finding_message(finding: Finding) -> checks.CheckMessage:
    message = _MESSAGES[finding.level]
    return message(
        printable(finding.message),
        hint=_hint(finding),
        obj=subject(finding),
        id=finding.id,
    )
