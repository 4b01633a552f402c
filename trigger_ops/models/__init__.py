"""Our own tables."""

from __future__ import annotations

from trigger_ops.models.clocks import ClockTime, TransactionTime
from trigger_ops.models.evidence import (
    Acknowledgement,
    Change,
    Decision,
    SessionEvent,
    SessionStatement,
    SessionTransaction,
)
from trigger_ops.models.ledger import CanonicalForm, LedgerEntry, RunLease, TriggerLease
from trigger_ops.models.sessions import Guard, Policy, Review, Session

__all__ = [
    "Acknowledgement",
    "CanonicalForm",
    "Change",
    "ClockTime",
    "Decision",
    "Guard",
    "LedgerEntry",
    "Policy",
    "Review",
    "RunLease",
    "Session",
    "SessionEvent",
    "SessionStatement",
    "SessionTransaction",
    "TransactionTime",
    "TriggerLease",
]
