"""Our own tables."""

from __future__ import annotations

from trigger_ops.models.clocks import ClockTime, ThisTransaction, TransactionTime
from trigger_ops.models.drift import (
    Allowance,
    DriftFinding,
    DriftRun,
    DriftTarget,
    FindingEvent,
    Notice,
)
from trigger_ops.models.evidence import (
    Acknowledgement,
    Change,
    Decision,
    GuardChange,
    SessionEvent,
    SessionStatement,
    SessionTransaction,
)
from trigger_ops.models.ledger import CanonicalForm, LedgerEntry, RunLease, TriggerLease
from trigger_ops.models.sessions import Guard, Policy, Review, Session
from trigger_ops.models.trigger import Trigger

__all__ = [
    "Acknowledgement",
    "Allowance",
    "CanonicalForm",
    "Change",
    "ClockTime",
    "Decision",
    "DriftFinding",
    "DriftRun",
    "DriftTarget",
    "FindingEvent",
    "Guard",
    "GuardChange",
    "LedgerEntry",
    "Notice",
    "Policy",
    "Review",
    "RunLease",
    "Session",
    "SessionEvent",
    "SessionStatement",
    "SessionTransaction",
    "ThisTransaction",
    "TransactionTime",
    "Trigger",
    "TriggerLease",
]
