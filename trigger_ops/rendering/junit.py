"""``check`` as JUnit XML: a test case a finding, a passing one for each clean database."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from trigger_ops.drift import Finding, Report
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.rendering.reports import page_of, subject, worst_first
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Status

# What XML 1.0 cannot hold, escaped or not (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: Report) -> str:
    """Return an XML document. What fails the check fails its case; the unread is an error."""
    cases = [_finding_case(finding, report) for finding in worst_first(report.findings)]
    cases += [
        _database_case(database) for database in report.databases if _has_case(database, report)
    ]
    seconds = (report.finished - report.started).total_seconds()
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "time": f"{seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "trigger_ops", **counts})
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": "trigger_ops.check", "timestamp": report.started.isoformat(), **counts},
    )
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _finding_case(finding: Finding, report: Report) -> ET.Element:
    case = _case(finding.database, f"{finding.id} {subject(finding)}")
    text = printable(finding.message)
    if finding.fix:
        text += f"\nfix: {printable(finding.fix)}"
    text += f"\nsee: {page_of(finding)}"
    if finding in report.failing:
        _outcome(case, "failure", finding.level.name, finding.message, text)
    elif finding.status is Status.UNKNOWN:
        _outcome(case, "error", "INCOMPLETE", finding.message, text)
    else:
        ET.SubElement(case, "system-out").text = legal(f"{finding.level.name}: {text}")
    return case


def _has_case(database: InspectedDatabase, report: Report) -> bool:
    found = any(finding.database == database.alias for finding in report.findings)
    return not database.complete or not found


def _database_case(database: InspectedDatabase) -> ET.Element:
    case = _case(database.alias, f"{database.alias}: triggers are as registered")
    case.set("time", f"{database.ms / 1000:.3f}")
    if not database.complete:
        reason = database.unread or database.reason or "Some triggers could not be verified."
        _outcome(case, "error", "INCOMPLETE", reason, reason)
    return case


def _case(database: str, name: str) -> ET.Element:
    return ET.Element(
        "testcase", {"classname": legal(f"trigger_ops.{database}"), "name": legal(name)}
    )


def _outcome(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    outcome = ET.SubElement(case, tag, {"type": kind, "message": legal(message)})
    outcome.text = legal(text)


def legal(text: str) -> str:
    """Return ``text`` with every character that XML cannot hold spelled out."""
    return _FORBIDDEN.sub(
        lambda match: match.group().encode("unicode_escape").decode("ascii"), text
    )
