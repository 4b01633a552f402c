"""The JSON documents that scripts rely on. Keys are only ever added."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from typing import Any

from trigger_ops import conf
from trigger_ops.drift import Finding, Listing, Report
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.records import AllowanceRecord
from trigger_ops.rendering.facets import facet_sides
from trigger_ops.rendering.reports import worst_first

Document = dict[str, Any]

LS_SCHEMA = "trigger_ops.ls/1"
DIFF_SCHEMA = "trigger_ops.diff/1"
CHECK_SCHEMA = "trigger_ops.check/1"


def listing_document(listing: Listing) -> Document:
    """Return what ``ls --format json`` prints, as plain values."""
    return {
        "schema": LS_SCHEMA,
        "complete": listing.complete,
        "exit_code": int(listing.exit_code),
        "summary": listing.summary,
        "triggers": [_listed(one) for one in listing.triggers],
    }


def difference_document(listing: Listing) -> Document:
    """Return what ``diff --format json`` prints: only triggers that differ from the code."""
    return {
        "schema": DIFF_SCHEMA,
        "complete": listing.complete,
        "exit_code": int(listing.exit_code),
        "triggers": [_differing(one) for one in listing.differing],
    }


def report_document(report: Report) -> Document:
    """Return what ``check --format json`` prints, worst first. Times are ISO 8601."""
    return {
        "schema": CHECK_SCHEMA,
        "run_id": str(report.run_id),
        "started": report.started.isoformat(),
        "finished": report.finished.isoformat(),
        "complete": report.complete,
        "exit_code": int(report.exit_code),
        "summary": report.summary,
        "targets": [
            {
                "database": target.database,
                "schemas": target.schemas,
                "triggers": target.triggers,
                "status": target.status,
                "ms": target.ms,
                "reason": target.reason,
            }
            for target in report.targets
        ],
        "findings": [found(finding) for finding in worst_first(report.findings)],
        "unrecorded": report.unrecorded or None,
    }


def as_json(document: Document) -> str:
    """Return a document as text that any terminal or pipe can carry (ASCII only)."""
    return json.dumps(document, indent=2)


def _listed(one: InspectedTrigger) -> Document:
    return {
        "uri": one.uri,
        "database": one.database,
        "schema": one.schema,
        "table": one.table,
        "trigger": one.trigger,
        "status": one.status.value,
        "enabled": one.enabled.value,
        "facets": _values(one.facets),
        "registered_hash": one.registered_hash,
        "installed_hash": one.installed_hash,
        "reason": one.reason,
    }


def _differing(one: InspectedTrigger) -> Document:
    return {
        "uri": one.uri,
        "database": one.database,
        "schema": one.schema,
        "table": one.table,
        "trigger": one.trigger,
        "status": one.status.value,
        "facets": _values(one.facets),
        "reason": one.reason,
        "diff": [
            {"facet": facet.value, "registered": registered, "installed": installed}
            for facet, registered, installed in facet_sides(one)
        ],
    }


def found(finding: Finding) -> Document:
    """Return one finding, as every document shows it."""
    return {
        "id": finding.id,
        "level": finding.level.name,
        "uri": finding.uri,
        "database": finding.database,
        "schema": finding.schema,
        "schemas": list(finding.schemas),
        "count": finding.count,
        "table": finding.table,
        "trigger": finding.trigger,
        "status": None if finding.status is None else finding.status.value,
        "enabled": None if finding.enabled is None else finding.enabled.value,
        "facets": _values(finding.facets),
        "message": finding.message,
        "fix": finding.fix,
        "first_seen": _moment(finding.first_seen),
        "digest": finding.digest,
        "runbook": conf.runbook(finding.id),
        "allowance": _allowance(finding.allowance),
    }


def _allowance(one: AllowanceRecord | None) -> Document | None:
    if one is None:
        return None
    return {
        "id": one.id,
        "owner": one.owner,
        "reason": one.reason,
        "since": one.since.isoformat(),
        "expires": one.expires.isoformat(),
    }


def _values(facets: Collection[Any]) -> list[str]:
    return [facet.value for facet in facets]


def _moment(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
