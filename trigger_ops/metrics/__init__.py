"""What is measured: the one vocabulary of the text file, the view, the alert rules, the dashboard."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from trigger_ops.states import SessionState, TargetState

FINAL_STATES = tuple(
    one for one in TargetState if one not in (TargetState.WAITING, TargetState.RUNNING)
)
"""What can have become of the check of one database."""

LOOKED = (TargetState.OK, TargetState.INCOMPLETE)
"""Of a database in one of these states a zero is what was seen; of others nothing is known."""

OPEN_SESSIONS = (SessionState.PENDING, SessionState.ACTIVE)
"""The states of a session that is not over."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One gauge: its name, what it says, and the labels that each of its samples has."""

    name: str
    help: str
    type: str = "gauge"
    labels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A metric with its samples, each by the values of its labels in their order."""

    metric: Metric
    samples: Mapping[tuple[str, ...], float]


TRIGGERS = Metric(
    name="trigger_ops_triggers",
    help="Triggers by database and status, as the last check saw them.",
    labels=("database", "status"),
)
FINDINGS = Metric(
    name="trigger_ops_findings",
    help="Findings that nobody answers for, by database, id and level.",
    labels=("database", "id", "level"),
)
FINDINGS_BY_LEVEL = Metric(
    name="trigger_ops_findings_by_level",
    help="Findings that nobody answers for, by database and level.",
    labels=("database", "level"),
)
FINDINGS_ALLOWED = Metric(
    name="trigger_ops_findings_allowed",
    help="Findings that somebody answers for, until a date, by database.",
    labels=("database",),
)
TARGET_STATE = Metric(
    name="trigger_ops_target_state",
    help="1 for what became of the last check of a database, 0 for what did not.",
    labels=("database", "state"),
)
LAST_OK = Metric(
    name="trigger_ops_last_ok_timestamp_seconds",
    help="When a check last read all of a database, in seconds since the epoch.",
    labels=("database",),
)
CHECK_COMPLETE = Metric(
    name="trigger_ops_check_complete",
    help="1 if the last check could read everything it was asked for, else 0.",
)
CHECK_DURATION = Metric(
    name="trigger_ops_check_duration_seconds",
    help="How long the last check took, in seconds.",
)
LAST_CHECK = Metric(
    name="trigger_ops_last_check_timestamp_seconds",
    help="When the last check finished, in seconds since the epoch.",
)
LAST_COMPLETE_RUN = Metric(
    name="trigger_ops_last_complete_run_timestamp_seconds",
    help="By when every database had last been read in full, in seconds since the epoch.",
)
SESSIONS_OPEN = Metric(
    name="trigger_ops_sessions_open",
    help="Sessions that are pending or active now, by database and state.",
    labels=("database", "state"),
)
UNATTRIBUTED_ROWS = Metric(
    name="trigger_ops_unattributed_rows",
    help="Rows changed past triggers outside any session, and not acknowledged.",
    labels=("database",),
)
NOTICES_WAITING = Metric(
    name="trigger_ops_notices_waiting",
    help="Notices that are still to be delivered.",
)
NOTICES_GIVEN_UP = Metric(
    name="trigger_ops_notices_given_up",
    help="Notices that could not be delivered, and that nobody tries any more.",
)

METRICS = (
    *(TRIGGERS, FINDINGS, FINDINGS_BY_LEVEL, FINDINGS_ALLOWED, TARGET_STATE, LAST_OK),
    *(CHECK_COMPLETE, CHECK_DURATION, LAST_CHECK, LAST_COMPLETE_RUN),
    *(SESSIONS_OPEN, UNATTRIBUTED_ROWS, NOTICES_WAITING, NOTICES_GIVEN_UP),
)
"""All there are, in the order in which they are written."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What :func:`as_text` is, in the words of HTTP."""

_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def as_text(families: Iterable[Family]) -> str:
    """Return samples in Prometheus' text format. A metric of which nothing is known is left out."""
    return "".join(_block(family) for family in families if family.samples)


def _block(family: Family) -> str:
    metric = family.metric
    lines = [
        f"# HELP {metric.name} {metric.help.translate(_IN_HELP)}",
        f"# TYPE {metric.name} {metric.type}",
    ]
    for values, number in family.samples.items():
        inside = ",".join(
            f'{label}="{value.translate(_IN_LABEL)}"'
            for label, value in zip(metric.labels, values, strict=True)
        )
        lines.append(f"{metric.name}{{{inside}}}" if inside else metric.name)
        lines[-1] += f" {number}" if isinstance(number, int) else f" {number:.3f}"
    return "\n".join(lines) + "\n"
