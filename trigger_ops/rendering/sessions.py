"""What the ``session`` verbs print for people."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from collections.abc import Iterator, Sequence
from typing import Any

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.durations import spelled
from trigger_ops.records import (
    ChangeRecord,
    EventRecord,
    ReviewRecord,
    SessionRecord,
    StatementRecord,
)
from trigger_ops.rendering.plans import one_line
from trigger_ops.rendering.session_documents import plain
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.sessions.ending import Revocation
from trigger_ops.sessions.reporting import SessionAccount, SessionReport
from trigger_ops.states import SessionState

SHOWN = 100
"""How many changed rows the text shows; JSON has them all."""


def session_text(account: SessionAccount) -> str:
    """Return one session as text: who and why, reviews, what was done, and what to know of it."""
    return "\n".join(printable(line) for line in _session_lines(account)) + "\n"


def sessions_text(sessions: Sequence[SessionRecord]) -> str:
    """Return a line a session; nothing for none."""
    return "".join(f"{printable(_in_one_line(one))}\n" for one in sessions)


def denials_text(denials: Sequence[EventRecord]) -> str:
    """Return a line for each denial; nothing for none."""
    return "".join(f"{printable(_denied(one))}\n" for one in denials)


def report_text(report: SessionReport) -> str:
    """Return a report: one line, and one for each finding and each note."""
    told = (*report.findings, *(f"note: {one}" for one in report.notes))
    found = "".join(f"  {printable(one)}\n" for one in told)
    return f"{summary(report)}\n{found}"


def summary(report: SessionReport) -> str:
    """Return a report in one sentence."""
    rows = f"{counted(report.rows, 'row')} on record"
    verdict = "clean" if report.clean else counted(len(report.findings), "finding")
    return f"Session {report.session.id} is {report.session.state}: {rows}, {verdict}."


def status(session: SessionRecord) -> str:
    """Return what a session is now, and what comes next, in one sentence."""
    triggers = ", ".join(session.uris)
    if session.state is SessionState.PENDING:
        given = sum(one.verdict == "approve" for one in session.reviews)
        return printable(
            f"Session {session.id} is pending: it has {given} of {session.needs} approvals for "
            f"{triggers}; somebody else runs manage.py pgtrigger session approve {session.id}"
            f"{for_pgtrigger(session.database)} --user NAME."
        )
    if session.state is SessionState.ACTIVE and session.expires is not None:
        return printable(
            f"Session {session.id} is active until {_moment(session.expires)}: {triggers}."
        )
    if session.state in (SessionState.EXPIRED, SessionState.ABANDONED):
        return f"Session {session.id} is {session.state}."
    by = f" by {session.ended_by}" if session.ended_by else ""
    cause = f": {session.end_cause.rstrip('.')}" if session.end_cause else ""
    return printable(f"Session {session.id} was {session.state}{by}{cause}.")


def revocation_text(revocation: Revocation, session: SessionRecord) -> str:
    """Return what came of a revocation, in sentences."""
    parts = [status(session) if not revocation.was_over else already(session)]
    if revocation.stopped:
        parts.append(f"Stopped by themselves: {_pids(revocation.stopped)}.")
    if revocation.ended:
        parts.append(f"Connections ended: {_pids(revocation.ended)}.")
    return " ".join(parts)


def remaining_text(revocation: Revocation) -> str:
    """Return what to do about backends that a revocation could not end."""
    backend = "backend" if len(revocation.remaining) == 1 else "backends"
    return printable(
        f"Session {revocation.session} is revoked and nothing more can be committed in it, but "
        f"{backend} {_pids(revocation.remaining)} could not be ended: have a superuser run GRANT "
        f'pg_signal_backend TO "{revocation.role}", or end them with pg_terminate_backend.'
    )


def already(session: SessionRecord) -> str:
    """Return that a session is over, for whoever wanted to end it."""
    return f"Session {session.id} is {session.state} already."


def _pids(some: Sequence[int]) -> str:
    return ", ".join(map(str, some))


def _in_one_line(one: SessionRecord) -> str:
    until = f" until {_moment(one.expires)}" if one.state is SessionState.ACTIVE else ""
    ticket = f" [{one.ticket}]" if one.ticket else ""
    return (
        f"{one.id} {one.state}{until} opened {_moment(one.opened)} by {one.opened_by}{ticket}: "
        f"{one.reason} ({', '.join(one.uris)})"
    )


def _denied(one: EventRecord) -> str:
    detail = one.detail
    role = f" as role {detail['role']}" if detail.get("role") else ""
    where = f" in session {one.session}" if one.session else ""
    code = f" ({detail['code']})" if detail.get("code") else ""
    message = str(detail.get("message", "")).removeprefix("trigger_ops:").strip().rstrip(".")
    triggers = ", ".join(map(str, detail.get("triggers") or detail.get("pgids") or ()))
    what = detail.get("request") or "a statement"
    parts = [
        f"{_moment(one.at)} {one.actor}{role} was refused {what}{where}{code}: {message}.",
        f"Triggers: {triggers}." if triggers else "",
        f"Reason given: {detail['reason']}" if detail.get("reason") else "",
    ]
    return " ".join(filter(None, parts))


def _session_lines(account: SessionAccount) -> Iterator[str]:
    session = account.session
    yield f"Session {session.id} on {session.database}: {session.state}"
    for name, value in _header(session):
        if value:
            yield f"  {name:<10} {value}"
    yield from _section("Reviews", [_review(one) for one in session.reviews])
    yield from _section("Timeline", _timeline(account))
    yield from _section("Rows", _rows(account.changes))
    yield from _section("Findings", account.report.findings)
    yield from _section("Notes", account.report.notes)
    yield ""
    yield summary(account.report)


def _section(title: str, content: Sequence[str]) -> Iterator[str]:
    if content:
        yield ""
        yield title
        yield from (f"  {line}" for line in content)


def _header(session: SessionRecord) -> Iterator[tuple[str, str]]:
    yield "triggers", ", ".join(session.uris)
    yield "reason", session.reason
    yield "ticket", session.ticket
    yield "opened", f"{_moment(session.opened)} by {session.opened_by} ({session.surface})"
    yield "activated", _moment(session.activated)
    yield "expires", _moment(session.expires)
    by = f" by {session.ended_by}" if session.ended_by else ""
    yield "ended", f"{_moment(session.ended)}{by}" if session.ended else ""
    yield "cause", session.end_cause
    extended = f", extended {session.extensions} of {session.most_extensions} times"
    yield "lasts", f"{spelled(session.lasts)}{extended if session.extensions else ''}"


def _review(one: ReviewRecord) -> str:
    remark = f": {one.remark}" if one.remark else ""
    return f"{_moment(one.at)} {one.verdict} by {one.reviewer}{remark}"


def _timeline(account: SessionAccount) -> list[str]:
    entries: list[tuple[dt.datetime, int, str]] = []
    for number, sent in enumerate(account.statements):
        entries.append((sent.at, number, _sent(sent)))
    for number, event in enumerate(account.events):
        entries.append((event.at, number, _happened(event)))
    return [f"{_moment(at)} {text}" for at, _, text in sorted(entries)]


def _sent(one: StatementRecord) -> str:
    rows = f"{counted(one.rows, 'row')}: " if one.rows is not None else ""
    failed = f"failed with SQLSTATE {one.error}: " if one.error else ""
    return f"{failed}{rows}{one_line(one.template)}"


def _happened(one: EventRecord) -> str:
    by = f" by {one.actor}" if one.actor else ""
    detail = "; ".join(f"{key} {value}" for key, value in plain(one.detail).items() if value)
    return f"{one.kind}{by}{f': {one_line(detail)}' if detail else ''}"


def _rows(changes: Sequence[ChangeRecord]) -> list[str]:
    shown = [_changed(one) for one in changes[:SHOWN]]
    if len(changes) > SHOWN:
        shown.append(f"… and {counted(len(changes) - SHOWN, 'row')} more: --format json has all.")
    return shown


def _changed(one: ChangeRecord) -> str:
    where = f"{one.op} {one.schema}.{one.table}"
    old, new = one.old or {}, one.new or {}
    if one.op == "UPDATE":
        key = f" id={_value(new['id'])}" if "id" in new else ""
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        differing = ", ".join(
            f"{name} {_value(old.get(name))} → {_value(new.get(name))}" for name in names
        )
        return f"{where}{key}: {differing or 'nothing differs'}"
    row = ", ".join(f"{name}={_value(value)}" for name, value in (new or old).items())
    return f"{where}: {row}"


def _value(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        return str(value)
    return json.dumps(plain(value), ensure_ascii=False)


def _moment(moment: dt.datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
