"""The JSON documents of sessions. Keys are only ever added."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trigger_ops.durations import spelled
from trigger_ops.records import ChangeRecord, EventRecord, SessionRecord, StatementRecord
from trigger_ops.rendering.documents import Document
from trigger_ops.sessions.ending import Revocation
from trigger_ops.sessions.recording import REFUSED
from trigger_ops.sessions.reporting import SessionAccount, SessionReport
from trigger_ops.states import ExitCode

SESSION_SCHEMA = "trigger_ops.session/1"
SESSIONS_SCHEMA = "trigger_ops.sessions/1"
REPORT_SCHEMA = "trigger_ops.session_report/1"
EXPORT_SCHEMA = "trigger_ops.session_export/1"


def session_document(
    account: SessionAccount,
    *,
    revocation: Revocation | None = None,
    exit_code: int = ExitCode.CLEAN,
) -> Document:
    """Return one session with all its evidence, as plain values. Times are ISO 8601."""
    document = {
        "schema": SESSION_SCHEMA,
        "exit_code": int(exit_code),
        **_described(account.session),
        "statements": [*map(_statement, account.statements), *_refusals(account.events)],
        "changes": [_change(one) for one in account.changes],
        "findings": list(account.report.findings),
        "notes": list(account.report.notes),
        "rows": account.report.rows,
        "clean": account.report.clean,
        "decisions": [plain(one) for one in account.decisions],
        "transactions": [plain(one) for one in account.transactions],
        "events": [plain(one) for one in account.events],
    }
    if revocation is not None:
        document["revocation"] = plain(revocation)
    return document


def sessions_document(reports: Sequence[SessionReport]) -> Document:
    """Return sessions without their evidence, in the order they come."""
    return {
        "schema": SESSIONS_SCHEMA,
        "exit_code": int(ExitCode.CLEAN),
        "sessions": [
            {**_described(one.session), "findings": list(one.findings), "notes": list(one.notes)}
            | {"rows": one.rows}
            for one in reports
        ],
    }


def denials_document(denials: Sequence[EventRecord]) -> Document:
    """Return what was denied to whom, in the order it comes: no sessions."""
    return {
        "schema": SESSIONS_SCHEMA,
        "exit_code": int(ExitCode.CLEAN),
        "sessions": [],
        "denied": [
            {"kind": one.kind, "actor": one.actor, "at": plain(one.at), "session": one.session}
            | {"id": one.id, **_denied(one)}
            for one in denials
        ],
    }


def _denied(one: EventRecord) -> Document:
    """Return the detail of a denial, with every key that one may have."""
    detail = plain(one.detail)
    texts = ("code", "message", "request", "reason", "template", "role", "application")
    return {
        **{name: str(detail.get(name, "")) for name in texts},
        **{name: list(detail.get(name) or ()) for name in ("triggers", "pgids")},
    }


def report_document(report: SessionReport, *, exit_code: int = ExitCode.CLEAN) -> Document:
    """Return what a session's evidence says together."""
    return {
        "schema": REPORT_SCHEMA,
        "exit_code": int(exit_code),
        "id": report.session.id,
        "database": report.session.database,
        "state": report.session.state.value,
        "clean": report.clean,
        "rows": report.rows,
        "findings": list(report.findings),
        "notes": list(report.notes),
    }


def lines(account: SessionAccount) -> Iterator[str]:
    """Yield one JSON document a line: the session, then its evidence kind after kind, its report.

    Each stands under the name of its kind.
    """
    session = account.session
    kinds: tuple[tuple[str, Sequence[Any]], ...] = (
        ("review", session.reviews),
        ("event", account.events),
        ("transaction", account.transactions),
        ("statement", account.statements),
        ("decision", account.decisions),
        ("change", account.changes),
    )
    yield _line(session, "session", _described(session))
    for kind, some in kinds:
        for one in some:
            yield _line(session, kind, plain(one))
    report = account.report
    sentences = {"findings": list(report.findings), "notes": list(report.notes)}
    yield _line(session, "report", {"clean": report.clean, "rows": report.rows, **sentences})


def plain(value: Any) -> Any:
    """Return a record, or what is in one, as JSON knows it.

    A number with a fraction that a double cannot hold becomes a text with all its digits.
    """
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return spelled(value)
    if isinstance(value, decimal.Decimal):
        return float(value) if decimal.Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _line(session: SessionRecord, kind: str, document: Document) -> str:
    place = {"id": session.id, "database": session.database}
    return json.dumps({"schema": EXPORT_SCHEMA, "kind": kind, **place, kind: document})


def _described(session: SessionRecord) -> Document:
    document: Document = plain(session)
    names = ("id", "state", "uris", "reason", "ticket", "opened_by", "reviews")
    times = ("opened", "expires", "ended", "end_cause")
    first = {name: document.pop(name) for name in (*names, *times)}
    first = {("triggers" if name == "uris" else name): one for name, one in first.items()}
    return {**first, "pgids": document.pop("triggers"), **document}


def _statement(one: StatementRecord) -> Document:
    return {
        "template": one.template,
        "rows": one.rows,
        "at": plain(one.at),
        "error": one.error,
        "code": "",
        "transaction": one.transaction,
        "took_ms": one.took_ms,
    }


def _refusals(events: Sequence[EventRecord]) -> Iterator[Document]:
    for one in events:
        if one.kind == REFUSED:
            yield {
                "template": str(one.detail.get("template", "")),
                "rows": None,
                "at": plain(one.at),
                "error": "42501",
                "code": str(one.detail.get("code", "")),
                "transaction": None,
                "took_ms": None,
            }


def _change(one: ChangeRecord) -> Document:
    return {
        "table": one.table,
        "op": one.op,
        "old": plain(one.old),
        "new": plain(one.new),
        "transaction": one.transaction,
        "at": plain(one.at),
        "schema": one.schema,
        "number": one.number,
        "cause": one.cause,
    }
