"""A plan as plain values: what ``--format json`` prints and ``--out`` writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.utils.duration import duration_iso_string

from trigger_ops.durations import spelled
from trigger_ops.planner import Plan, Request, Statement, Step

SCHEMA = "trigger_ops.plan/1"

Document = dict[str, Any]


def document(plan: Plan) -> Document:
    """Return a plan as plain values. ``checksum`` covers all the rest."""
    written: Document = {
        "schema": SCHEMA,
        "verb": plan.request.verb.value,
        "created": plan.created.isoformat(),
        "expires": plan.expires.isoformat(),
        "server": {
            one.alias: {
                "database": one.database,
                "version": one.version,
                "identifier": one.identifier,
            }
            for one in plan.servers
        },
        "fingerprint": plan.fingerprint,
        "exit_code": int(plan.exit_code),
        "statements": [_stated(plan, step, one) for step, one in plan.statements],
        "leases": [_leased(step) for step in plan.work if step.opens_lease or step.ends_lease],
        "hazards": {hazard.value: sentence for hazard, sentence in plan.hazards.items()},
        "obstacles": list(plan.obstacles),
        "warnings": list(plan.warnings),
        "request": asked(plan.request),
    }
    return {**written, "checksum": checksum(written)}


def text(plan: Plan) -> str:
    """Return what a plan file holds: ASCII, so that any terminal or pipe can carry it."""
    return json.dumps(document(plan), indent=2) + "\n"


def checksum(written: Mapping[str, Any]) -> str:
    """Return the digest of a document. It shows an accident, not a forger: nobody signs it."""
    rest = {key: value for key, value in written.items() if key != "checksum"}
    return hashlib.sha256(canonical(rest).encode("ascii")).hexdigest()


def _stated(plan: Plan, step: Step, one: Statement) -> Document:
    return {
        "sql": one.sql,
        "database": step.database,
        "schema": step.schema,
        "table": step.table,
        "uri": step.uri,
        "lock": one.lock.value,
        "timeout": spelled(plan.request.lock_timeout),
        "hazards": [hazard.value for hazard in one.hazards],
        "undo": one.undo,
        "reason": one.reason,
        "trigger": step.trigger,
        "path": None if step.path is None else list(step.path),
    }


def _leased(step: Step) -> Document:
    return {
        "uri": step.uri,
        "database": step.database,
        "schema": step.schema,
        "table": step.table,
        "trigger": step.trigger,
        "opens": None if step.opens_lease is None else step.opens_lease.value,
        "ends": step.ends_lease,
    }


def asked(request: Request) -> Document:
    """Return all that a request says. Lengths are ISO 8601, as moments are."""
    scope = request.scope
    return {
        "verb": request.verb.value,
        "databases": list(request.databases),
        "selectors": list(request.selectors),
        "named": list(request.named),
        "path": None if scope.path is None else list(scope.path),
        "glob": scope.glob,
        "mode": None if request.mode is None else request.mode.value,
        "lasts": None if request.lasts is None else duration_iso_string(request.lasts),
        "expired": request.expired,
        "functions": request.functions,
        "lock_timeout": duration_iso_string(request.lock_timeout),
    }


def canonical(value: object) -> str:
    """Return the one spelling of a value that is digested and counted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
