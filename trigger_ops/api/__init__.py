"""The public door: inspect, check, plan and apply from Python."""

from __future__ import annotations

from trigger_ops.api.allowing import (
    allow,
    allowances,
    expire_allowance,
    open_findings,
    prune_drift,
    prune_drift_in,
)
from trigger_ops.api.changing import (
    apply,
    apply_file,
    plan,
    read_log,
    restore_leases,
)
from trigger_ops.api.checking import check
from trigger_ops.api.freshness import beat, last_run
from trigger_ops.api.guarding import (
    acknowledge,
    ddl_script,
    guard_status,
    refuse_ordinary_role,
    restore_guard,
    switch_ddl_guard,
    unattributed,
)
from trigger_ops.api.inspecting import (
    inspect,
    postgres_aliases,
    remember,
    remember_database,
    survey,
)
from trigger_ops.api.measuring import measure, measure_recorded
from trigger_ops.api.notifying import deliver, ping_heartbeat, send_test
from trigger_ops.api.reviewing import (
    end_session,
    export_session,
    extend_session,
    find_session,
    list_denials,
    list_sessions,
    open_session,
    review_session,
    revoke_session,
    session_report,
    session_reports,
    show_session,
    time_left,
)
from trigger_ops.api.sessions import RunningSession, is_trigger_error, refusal_code, session

__all__ = [
    "RunningSession",
    "acknowledge",
    "allow",
    "allowances",
    "apply",
    "apply_file",
    "beat",
    "check",
    "ddl_script",
    "deliver",
    "end_session",
    "expire_allowance",
    "export_session",
    "extend_session",
    "find_session",
    "guard_status",
    "inspect",
    "is_trigger_error",
    "last_run",
    "list_denials",
    "list_sessions",
    "measure",
    "measure_recorded",
    "open_findings",
    "open_session",
    "ping_heartbeat",
    "plan",
    "postgres_aliases",
    "prune_drift",
    "prune_drift_in",
    "read_log",
    "refusal_code",
    "refuse_ordinary_role",
    "remember",
    "remember_database",
    "restore_guard",
    "restore_leases",
    "review_session",
    "revoke_session",
    "send_test",
    "session",
    "session_report",
    "session_reports",
    "show_session",
    "survey",
    "switch_ddl_guard",
    "time_left",
    "unattributed",
]
