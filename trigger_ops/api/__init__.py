"""The public door: inspect, check, plan and apply from Python."""

from __future__ import annotations

from trigger_ops.api.changing import (
    apply,
    apply_file,
    plan,
    read_log,
    restore_leases,
)
from trigger_ops.api.inspecting import (
    check,
    inspect,
    postgres_aliases,
    remember,
    remember_database,
    survey,
)

__all__ = [
    "apply",
    "apply_file",
    "check",
    "inspect",
    "plan",
    "postgres_aliases",
    "read_log",
    "remember",
    "remember_database",
    "restore_leases",
    "survey",
]
