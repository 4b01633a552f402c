"""Reads and writes our own tables. Nobody else does."""

from __future__ import annotations

from trigger_ops.ledger.forms import remember_conditions, remembered_conditions

__all__ = ["remember_conditions", "remembered_conditions"]
