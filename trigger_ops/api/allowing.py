"""Allows findings for a while, and lets records go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.utils.translation import gettext_noop as _

from trigger_ops.api.inspecting import known, postgres_aliases
from trigger_ops.drift.vouching import scope_words
from trigger_ops.exceptions import Sentence, UnknownFinding, nearest
from trigger_ops.inspection import Scope
from trigger_ops.ledger.allowances import end_allowance, read_allowances, write_allowance
from trigger_ops.ledger.findings import prune_records, prune_scope, read_open_findings
from trigger_ops.ledger.recording import reading_records, recording
from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.sessions.requests import stated_reason

LONGEST = dt.timedelta(days=366)
_AT_MOST = 5


def allow(
    finding: str,
    uri: str | None = None,
    *,
    database: str | None = None,
    owner: str,
    reason: str,
    lasts: dt.timedelta,
) -> AllowanceRecord:
    """Answer for one open recorded finding, exactly as it is now, for a while.

    ``finding`` is its number or its ID (``C001``); with an ID, ``uri`` and ``database`` tell which
    one is meant, if there are several. When it changes, or the time is up, it is told again.

    Raises:
        UnknownFinding: when none or several are meant.
        UnknownDatabase: naming the nearest match.
        SessionRefused: when the reason says nothing.
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    if database is not None:
        known(database)
    said = stated_reason(reason, what=Sentence(_("An allowance")))
    with recording() as book:
        found = read_open_findings(book, postgres_aliases())
        record = _meant(found, finding, uri, database)
        return write_allowance(book, record, owner=owner, reason=said, lasts=lasts)


def allowances(
    *, databases: Sequence[str] | None = None, every: bool = False
) -> tuple[list[AllowanceRecord], dt.datetime]:
    """Return the live allowances, or ``every`` one there was, and what time it is.

    Raises:
        UnknownDatabase: naming the nearest match.
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    for alias in databases or ():
        known(alias)
    with reading_records() as book:
        return read_allowances(book, databases, live=not every), book.now


def expire_allowance(number: int, *, by: str) -> AllowanceRecord:
    """End a live allowance now.

    Raises:
        UnknownFinding: when there is none of that number.
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    with recording() as book:
        ended = end_allowance(book, number, by=by)
    if ended is None:
        raise UnknownFinding(
            _(
                "No live allowance has the number %(number)s: manage.py pgtrigger allow list shows "
                "those there are."
            ),
            number=number,
        )
    return ended


def open_findings(databases: Sequence[str] | None = None) -> list[FindingRecord]:
    """Return the findings that recorded checks left open, the worst first.

    Without ``databases`` they are those of all PostgreSQL databases that the settings have.

    Raises:
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    with reading_records() as book:
        found = read_open_findings(book, postgres_aliases() if databases is None else databases)
    return sorted(found, key=lambda one: -one.level)


def prune_drift(older_than: dt.timedelta) -> dict[str, int]:
    """Delete runs and findings that are over for longer; return how many, by what they are.

    Raises:
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    with recording(deletes=True) as book:
        return prune_records(book, older_than, postgres_aliases())


def prune_drift_in(scope: Scope, older_than: dt.timedelta) -> int:
    """Delete the runs of checks of some schemas, if they are over for longer; return how many.

    Nothing is then expected to have been read as widely as they were. Findings stay.

    Raises:
        NotRecorded, BadSettings: when the recording database cannot be used.
    """
    with recording(deletes=True) as book:
        return prune_scope(book, older_than, scope_words(scope))


def _meant(
    found: Sequence[FindingRecord], finding: str, uri: str | None, database: str | None
) -> FindingRecord:
    if finding.isdecimal():
        for one in found:
            if one.id == int(finding):
                return one
        raise UnknownFinding(
            _(
                "No open finding has the number %(number)s: manage.py pgtrigger check --record "
                "finds out what there is."
            ),
            number=finding,
        )
    code = finding.removeprefix("trigger_ops.").upper()
    of_code = [one for one in found if one.code == f"trigger_ops.{code}"]
    if not of_code:
        codes = sorted({one.code.removeprefix("trigger_ops.") for one in found})
        raise UnknownFinding(f"No open finding has the ID {code}: {nearest(code, codes)}")
    meant = [
        one
        for one in of_code
        if uri in (None, one.uri, one.trigger, f"{one.table}:{one.trigger}")
        and database in (None, one.database)
    ]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        uris = sorted({one.uri or one.database for one in of_code})
        raise UnknownFinding(
            f'No open {code} is about "{uri or database}": {nearest(uri or "", uris)}'
        )
    some = "; ".join(
        f"{one.id}: {one.uri or one.message} on {one.database}" for one in meant[:_AT_MOST]
    )
    more = f" and {len(meant) - _AT_MOST} more" if len(meant) > _AT_MOST else ""
    raise UnknownFinding(
        f"{len(meant)} open findings are {code}: name one by its number ({some}{more})."
    )
