"""``check`` in Prometheus' text format, for node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from trigger_ops.drift import Report
from trigger_ops.states import Status

Samples = Mapping[tuple[tuple[str, str], ...], float]
"""Values by their labels, as (name, value) pairs."""

_IN_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def as_prometheus(report: Report) -> str:
    """Return the metrics of one check. Every status of a database has a sample, be it zero."""
    seconds = (report.finished - report.started).total_seconds()
    families: tuple[tuple[str, str, Samples], ...] = (
        ("trigger_ops_triggers", "Triggers by database and status.", _triggers(report)),
        (
            "trigger_ops_findings",
            "Findings of the last check by database, id and level.",
            _findings(report),
        ),
        (
            "trigger_ops_check_complete",
            "1 if everything asked for could be read, else 0.",
            {(): int(report.complete)},
        ),
        (
            "trigger_ops_check_duration_seconds",
            "How long the last check took, in seconds.",
            {(): seconds},
        ),
        (
            "trigger_ops_last_check_timestamp_seconds",
            "When the last check finished, in seconds since the epoch.",
            {(): report.finished.timestamp()},
        ),
    )
    return "\n".join(line for family in families for line in _lines(*family))


def _triggers(report: Report) -> Samples:
    samples: dict[tuple[tuple[str, str], ...], float] = {}
    for database in report.databases:
        counts = Counter(one.status for one in database.triggers)
        for status in Status:
            samples[("database", database.alias), ("status", status.value)] = counts[status]
    return samples


def _findings(report: Report) -> Samples:
    return Counter(
        (("database", one.database), ("id", one.id), ("level", one.level.name))
        for one in report.findings
    )


def _lines(name: str, description: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples.items():
        inside = ",".join(f'{key}="{text.translate(_IN_LABEL)}"' for key, text in labels)
        yield f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
