"""``check`` as GitHub Actions workflow commands: annotations on the run."""

from __future__ import annotations

from trigger_ops.drift import Finding, Report
from trigger_ops.rendering.reports import page_of, subject, summary_line, unread, worst_first
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Level

_COMMANDS = {
    Level.CRITICAL: "error",
    Level.ERROR: "error",
    Level.WARNING: "warning",
    Level.INFO: "notice",
}
# As in actions/toolkit, packages/core/src/command.ts.
_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def as_github(report: Report) -> str:
    """Return one annotation a finding, one for all that could not be read, and the summary."""
    lines = [_annotation(finding) for finding in worst_first(report.findings)]
    lines += [_command("error", "Incomplete", sentence) for sentence in unread(report)]
    return "\n".join([*lines, summary_line(report)])


def _annotation(finding: Finding) -> str:
    title = f"{finding.id} {subject(finding)}"
    message = f"{finding.message}\nfix: {finding.fix}" if finding.fix else finding.message
    message = printable(f"{message}\nsee: {page_of(finding)}", keep="\r\n")
    return _command(_COMMANDS[finding.level], title, message)


def _command(command: str, title: str, message: str) -> str:
    return f"::{command} title={title.translate(_IN_PROPERTY)}::{message.translate(_IN_MESSAGE)}"
