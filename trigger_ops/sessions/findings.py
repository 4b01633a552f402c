"""What does not agree in the evidence of a session, or has to be known: sentences for people."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from trigger_ops.ledger.reconciling import Evidence, Sent, Written
from trigger_ops.records import DecisionRecord, SessionRecord
from trigger_ops.registry import RegisteredName
from trigger_ops.sessions import statements
from trigger_ops.sessions.recording import REFUSED
from trigger_ops.sessions.scopes import HISTORY
from trigger_ops.sessions.witnessed import Table, Witnessed
from trigger_ops.sessions.workers import reviewers_at_work
from trigger_ops.states import SessionState

SOFT_DELETE = "SoftDelete"
"""The class of pgtrigger's triggers that turn a DELETE into an UPDATE."""

UNKNOWN_STATE = "?????"
"""What stands for the SQLSTATE of an error that has none, such as a connection that was lost."""

NAMED = 5
"""How many transactions a sentence names before it counts the rest."""

_NAME = r'"(?:[^"]|"")+"|[^\W\d][\w$]*'
_WRITES = re.compile(
    rf"(?:insert\s+into|update(?:\s+only)?|delete\s+from(?:\s+only)?)\s+({_NAME})(?:\s*\.\s*({_NAME}))?",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Matter:
    """One session with what was done in its transactions, whosever it was."""

    session: SessionRecord
    evidence: Evidence
    witnessed: Witnessed
    registered: Mapping[str, RegisteredName]

    @property
    def own(self) -> list[Written]:
        """The rows that belong to the session."""
        return [one for one in self.evidence.written if one.session == self.session.id]

    @property
    def decisions(self) -> list[DecisionRecord]:
        """When triggers stood aside for the session."""
        return [one for one in self.evidence.decisions if one.session == self.session.id]

    @property
    def transactions(self) -> set[int]:
        """The transactions that entered the session."""
        entered = self.evidence.transactions
        return {one.transaction for one in entered if one.session == self.session.id}

    def called(self, pgid: str) -> str:
        """Return the URI of a trigger, its name in the database where the code has none."""
        known = dict(zip(self.session.triggers, self.session.uris, strict=False))
        registered = self.registered.get(pgid)
        return (registered.uri if registered else None) or known.get(pgid) or pgid

    def is_kind(self, pgid: str, kind: str) -> bool:
        """Tell whether the class of a trigger, or a base of it, has a name."""
        registered = self.registered.get(pgid)
        return registered is not None and kind in registered.kinds


def findings(matter: Matter, *, at_work: bool = False) -> Iterator[str]:
    """Yield what does not agree, or has to be known; nothing means that the session is clean.

    ``at_work`` says that the session goes on for a reason that is known to whoever asks.
    """
    yield from _other_names(matter)
    yield from reviewers_at_work(matter.session, matter.evidence.events)
    yield from _about_its_end(matter, at_work=at_work)
    yield from _too_many_rows(matter)
    yield from _aside_without_rows(matter)
    yield from _rows_without_statements(matter)
    yield from _fewer_rows_than_told(matter)
    yield from _of_no_session(matter)
    yield from _emptied(matter)
    yield from _hard_deletes(matter)
    yield from _silenced_history(matter)
    yield from _not_carried_out(matter)


def _about_its_end(matter: Matter, *, at_work: bool) -> Iterator[str]:
    session = matter.session
    if session.state is SessionState.ACTIVE and not at_work:
        yield "The session is active still: end it when its work is done, and report again."
    if session.state is SessionState.ABANDONED:
        yield "Nobody ended the session: the process that opened it has gone away."
    late = sum(one.late for one in matter.own)
    if late:
        yield f"{_rows(late)} {_were(late)} written after the session's end."
    recorded = sum(
        one.late for one in matter.evidence.sent if one.session == session.id and not one.error
    )
    if recorded:
        number = _counted(recorded, "statement")
        yield f"{number} {_were(recorded)} put on record after the session's end."


def _other_names(matter: Matter) -> Iterator[str]:
    """Whoever approved a session read its URIs; what stands aside is a trigger by its name."""
    declared = {one.uri: pgid for pgid, one in matter.registered.items()}
    for pgid, uri in zip(matter.session.triggers, matter.session.uris, strict=False):
        known = matter.registered.get(pgid)
        if (known is not None and known.uri != uri) or declared.get(uri, pgid) != pgid:
            means = f", which is {known.uri}" if known is not None else ""
            yield f"The session was asked for as {uri}, and is about {pgid}{means}."


def _too_many_rows(matter: Matter) -> Iterator[str]:
    rows = sum(one.rows for one in matter.own)
    if rows > matter.session.most_rows:
        yield (
            f"{_rows(rows)} {_were(rows)} written, and {matter.session.most_rows:,} allowed at most."
        )


def _aside_without_rows(matter: Matter) -> Iterator[str]:
    """A trigger that stood aside for a row leaves that row, unless it was let off too late."""
    told = _told(matter)
    written = {(one.transaction, (one.schema, one.table)) for one in matter.evidence.written}
    anything = {one.transaction for one in matter.evidence.written}
    empty: defaultdict[str, list[int]] = defaultdict(list)
    for one in matter.decisions:
        tables = matter.witnessed.tables_of(one.trigger)
        if tables and any((one.transaction, table) in written for table in tables):
            continue
        if not tables and one.transaction in anything:
            continue
        if not _is_explained(matter, one, told.get(one.transaction, ())):
            empty[one.trigger].append(one.transaction)
    for trigger, transactions in empty.items():
        yield (
            f"{matter.called(trigger)} stood aside in {_transactions(transactions)}, and no row "
            "of it is on record: it was let off too late for that, or no row was written."
        )


def _is_explained(matter: Matter, one: DecisionRecord, told: Sequence[tuple[Table, Sent]]) -> bool:
    """Tell whether a trigger may have been asked although nothing was written on its table."""
    places = [place for place in matter.witnessed.places if place.trigger == one.trigger]
    if any(place.is_sure for place in places):
        return False
    tables = {place.table for place in places}
    about = [sent for table, sent in told if table in tables]
    if places and not any(place.for_rows for place in places):
        return not any(sent.rows for sent in about)
    return bool(about) and all(sent.told and not sent.rows for sent in about)


def _rows_without_statements(matter: Matter) -> Iterator[str]:
    sent = {one.transaction for one in matter.evidence.sent}
    silent = [one for one in matter.own if one.transaction not in sent]
    if silent:
        transactions = list(dict.fromkeys(one.transaction for one in silent))
        number = sum(one.rows for one in silent)
        yield (
            f"{_rows(number)} {_were(number)} written in "
            f"{_transactions(transactions)} without a statement on record: past Django's cursors."
        )


def _fewer_rows_than_told(matter: Matter) -> Iterator[str]:
    """Triggers and foreign keys may write more rows than a statement tells of, but never fewer."""
    found: Counter[tuple[int, Table]] = Counter()
    for one in matter.evidence.written:
        found[one.transaction, (one.schema, one.table)] += one.rows
    for transaction, some in sorted(_told(matter).items()):
        told: Counter[Table] = Counter()
        for table, sent in some:
            told[table] += sent.rows
        for (schema, name), rows in sorted(told.items()):
            kept = found[transaction, (schema, name)]
            if kept < rows:
                yield (
                    f"Statements of transaction {transaction} wrote {_rows(rows)} of "
                    f"{schema}.{name}, and {kept:,} are on record."
                )


def _told(matter: Matter) -> dict[int, list[tuple[Table, Sent]]]:
    """Return what the statements of each transaction tell of witnessed tables.

    Where something was rolled back to a savepoint, nobody can tell which of them still count.
    """
    found: defaultdict[int, list[tuple[Table, Sent]]] = defaultdict(list)
    taken_back: set[int] = set()
    ours = matter.transactions
    for one in matter.evidence.sent:
        if one.transaction is None or one.transaction not in ours or one.error:
            continue
        start = statements.beginning(one.template)
        if statements.rolls_back(start):
            taken_back.add(one.transaction)
        table = _table_of(start, matter.witnessed)
        if table is not None:
            found[one.transaction].append((table, one))
    return {key: some for key, some in found.items() if key not in taken_back}


def _table_of(start: str, witnessed: Witnessed) -> Table | None:
    """Return the witnessed table that one simple statement writes; None for anything else."""
    match = _WRITES.match(start)
    if match is None or ";" in start.rstrip("; \n"):
        return None
    names = [_unquoted(name) for name in match.groups() if name]
    return witnessed.counted.get("\0".join(names))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _of_no_session(matter: Matter) -> Iterator[str]:
    ours = matter.transactions
    rows = [
        one for one in matter.evidence.written if one.session is None and one.transaction in ours
    ]
    if rows:
        transactions = list(dict.fromkeys(one.transaction for one in rows))
        yield (
            f"{_rows(sum(one.rows for one in rows))} written in {_transactions(transactions)} of "
            "the session belong to none: they are unattributed."
        )
    strays = {one.trigger for one in matter.evidence.strays if one.transaction in ours}
    if strays:
        names = ", ".join(sorted(matter.called(trigger) for trigger in strays))
        yield (
            f"{names} stood aside in the session's transactions without being named by it: "
            "pgtrigger.ignore was set."
        )


def _emptied(matter: Matter) -> Iterator[str]:
    for schema, name in sorted({(w.schema, w.table) for w in matter.own if w.op == "TRUNCATE"}):
        yield f"TRUNCATE of {schema}.{name}: its rows are not on record."


def _hard_deletes(matter: Matter) -> Iterator[str]:
    aside = {one.trigger for one in matter.decisions}
    for trigger in matter.session.triggers:
        if trigger not in aside or not matter.is_kind(trigger, SOFT_DELETE):
            continue
        deleted: Counter[Table] = Counter()
        for one in matter.own:
            table = (one.schema, one.table)
            if one.op == "DELETE" and table in matter.witnessed.tables_of(trigger):
                deleted[table] += one.rows
        for (schema, name), rows in sorted(deleted.items()):
            yield (
                f"Hard delete of {_rows(rows)} of {schema}.{name}: {matter.called(trigger)}, "
                "which only marks them, stood aside."
            )


def _silenced_history(matter: Matter) -> Iterator[str]:
    silent: defaultdict[str, list[int]] = defaultdict(list)
    for one in matter.decisions:
        if matter.is_kind(one.trigger, HISTORY):
            silent[one.trigger].append(one.transaction)
    for trigger, transactions in silent.items():
        yield f"{matter.called(trigger)} wrote no history in {_transactions(transactions)}."


def _not_carried_out(matter: Matter) -> Iterator[str]:
    failed: Counter[str] = Counter()
    for one in matter.evidence.sent:
        if one.session == matter.session.id and one.error:
            failed[one.error] += one.times
    for state, times in sorted(failed.items()):
        how = "without an SQLSTATE" if state == UNKNOWN_STATE else f"with SQLSTATE {state}"
        yield f"{_counted(times, 'statement')} failed {how}."
    refused = Counter(
        str(one.detail.get("code", "")) or "no code"
        for one in matter.evidence.events
        if one.session == matter.session.id and one.kind == REFUSED
    )
    for code, times in sorted(refused.items()):
        yield f"{_counted(times, 'statement')} {_were(times)} refused ({code})."


def _rows(number: int) -> str:
    return _counted(number, "row")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _transactions(some: Sequence[int]) -> str:
    named = ", ".join(str(one) for one in some[:NAMED])
    more = f" and {len(some) - NAMED:,} more" if len(some) > NAMED else ""
    return f"transaction{'' if len(some) == 1 else 's'} {named}{more}"
