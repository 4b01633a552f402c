"""Reports on sessions: what their statements, decisions and rows say together."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from trigger_ops.ledger.evidence import (
    read_changes,
    read_decisions,
    read_statements,
    read_transactions,
)
from trigger_ops.ledger.reconciling import read_evidence
from trigger_ops.ledger.sessions import read_events
from trigger_ops.records import (
    ChangeRecord,
    DecisionRecord,
    EventRecord,
    SessionRecord,
    StatementRecord,
    TransactionRecord,
)
from trigger_ops.registry import registered_names
from trigger_ops.sessions.findings import Matter, findings
from trigger_ops.sessions.witnessed import read_witnessed
from trigger_ops.sessions.workers import others_at_work

_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionReport:
    """A session, how many rows of it are on record, and what has to be known: sentences.

    ``notes`` are sentences too, of what is in order: they make no session less clean.
    """

    session: SessionRecord
    rows: int
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """True where everything agrees and nothing has to be known."""
        return not self.findings


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionAccount:
    """A session with its report and all its evidence."""

    report: SessionReport
    transactions: tuple[TransactionRecord, ...]
    statements: tuple[StatementRecord, ...]
    decisions: tuple[DecisionRecord, ...]
    changes: tuple[ChangeRecord, ...]
    events: tuple[EventRecord, ...]

    @property
    def session(self) -> SessionRecord:
        """The session itself."""
        return self.report.session


def reports_on(
    alias: str, home: str, sessions: Sequence[SessionRecord], *, at_work: bool = False
) -> list[SessionReport]:
    """Return reports on sessions, in their order, from a fixed number of queries.

    ``at_work`` says that a session that is active still is none to speak of.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    if not sessions:
        return []
    evidence = read_evidence(alias, home, [one.id for one in sessions])
    witnessed = read_witnessed(alias, {pgid for one in sessions for pgid in one.triggers})
    registered = {one.pgid: one for one in registered_names() if one.pgid}
    matters = [
        Matter(session=one, evidence=evidence, witnessed=witnessed, registered=registered)
        for one in sessions
    ]
    return [
        SessionReport(
            session=one.session,
            rows=sum(written.rows for written in one.own),
            findings=tuple(findings(one, at_work=at_work)),
            notes=tuple(others_at_work(one.session, evidence.events)),
        )
        for one in matters
    ]


def account_of(alias: str, home: str, session: SessionRecord) -> SessionAccount:
    """Return a session with its report and all its evidence.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    (report,) = reports_on(alias, home, [session])
    changes = tuple(read_changes(alias, home, session.id))
    return SessionAccount(
        report=report,
        transactions=tuple(read_transactions(alias, home, [session.id])),
        statements=tuple(_counted(read_statements(alias, home, session.id), changes)),
        decisions=tuple(read_decisions(alias, home, [session.id])),
        changes=changes,
        events=tuple(read_events(alias, home, [session.id])),
    )


def _counted(
    statements: Sequence[StatementRecord], changes: Sequence[ChangeRecord]
) -> Iterator[StatementRecord]:
    """Yield statements with the rows of those that were put on record before they ran.

    One that a transaction of its own was made for wrote what that transaction did.
    """
    alone = Counter(one.transaction for one in statements if not one.error)
    written = Counter(one.transaction for one in changes)
    for one in statements:
        is_whole = one.rows is None and not one.error and alone[one.transaction] == 1
        if is_whole and (written[one.transaction or 0] or _WRITES.match(one.template)):
            yield dataclasses.replace(one, rows=written[one.transaction or 0])
        else:
            yield one
