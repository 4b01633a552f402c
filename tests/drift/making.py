"""Makes findings, records of them and allowances, as checks and the ledger do."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from trigger_ops.drift import Finding
from trigger_ops.drift.digests import digest_of, key_of
from trigger_ops.drift.life import Step
from trigger_ops.records import AllowanceRecord, FindingRecord
from trigger_ops.states import Enabled, Facet, Level, Status

NOW = dt.datetime(2026, 11, 23, 2, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def make_finding(seen: str = "one thing", **changes: Any) -> Finding:
    """Make a finding about a trigger in which ``seen`` was observed."""
    finding = Finding(
        id="trigger_ops.C001",
        level=Level.CRITICAL,
        uri="past.Invoice:protect_deletes",
        database="default",
        schema="public",
        schemas=("public",),
        table="past_invoice",
        trigger="pgtrigger_protect_deletes_4ee25",
        status=Status.TAMPERED,
        enabled=Enabled.ENABLED,
        facets=(Facet.BODY,),
        message="The function's body is not what the code says.",
        fix="manage.py pgtrigger install past.Invoice:protect_deletes",
        digest=digest_of(seen),
    )
    return dataclasses.replace(finding, **changes)


def in_tenants(number: int, seen: str = "one thing", **changes: Any) -> Finding:
    """Make one finding that a number of tenants show."""
    schemas = tuple(f"tenant_{one:04}" for one in range(number))
    return make_finding(seen, schema=schemas[0], schemas=schemas, count=number, **changes)


def record_of(finding: Finding, **changes: Any) -> FindingRecord:
    """Make what the ledger has of a finding that people were told of."""
    record = FindingRecord(
        id=1,
        key=key_of(finding),
        digest=finding.digest,
        code=finding.id,
        level=finding.level,
        database=finding.database,
        uri=finding.uri or "",
        schema=finding.schema or "",
        schemas=finding.schemas,
        table=finding.table or "",
        trigger=finding.trigger or "",
        status=str(finding.status or ""),
        enabled=str(finding.enabled or ""),
        facets=tuple(finding.facets),
        count=finding.count,
        told_count=finding.count,
        message=finding.message,
        fix=finding.fix,
        allowed=False,
        first_seen=NOW - HOUR,
        last_seen=NOW - HOUR,
        resolved=None,
        places=finding.places,
    )
    return dataclasses.replace(record, **changes)


def allowance_of(finding: Finding, **changes: Any) -> AllowanceRecord:
    """Make an allowance of a finding, as it is, for an hour."""
    allowance = AllowanceRecord(
        id=1,
        key=key_of(finding),
        digest=finding.digest,
        code=finding.id,
        database=finding.database,
        uri=finding.uri or "",
        message=finding.message,
        owner="ann",
        reason="INC-12: known",
        since=NOW - HOUR,
        expires=NOW + HOUR,
        count=finding.count,
    )
    return dataclasses.replace(allowance, **changes)


def kept(step: Step) -> FindingRecord | None:
    """Return what the ledger has after a step, None where the finding is over."""
    if step.after is None:
        return None
    told = step.count if step.told else step.before.told_count if step.before else 0
    return record_of(
        step.after,
        key=step.key,
        allowed=step.allowed,
        told_count=told,
        count=step.count,
        schemas=step.schemas,
    )
