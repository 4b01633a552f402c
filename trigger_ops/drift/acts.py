"""What was done to the guard itself, or to a trigger, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trigger_ops.records import GuardAct

_SWITCHED = {"INSERT": "on", "DELETE": "off"}
_DONE = {
    "ALWAYS": "made to fire always",
    "CREATE": "created again",
    "DISABLE": "disabled",
    "DROP": "dropped",
    "ENABLE": "enabled",
    "RENAME": "renamed",
    "REPLACE": "replaced",
    "REPLICA": "made to fire for replicas alone",
}


TOLD_AT_MOST = 5
"""How many acts a sentence tells before it counts the rest."""


def told_acts(acts: Iterable[GuardAct]) -> list[str]:
    """Say what was done, each thing once, and no more than a sentence holds."""
    told = list(dict.fromkeys(map(told_act, acts)))
    rest = len(told) - TOLD_AT_MOST
    return [*told[:TOLD_AT_MOST], f"{rest} more"] if rest > 0 else told


def told_act(act: GuardAct) -> str:
    """Say in a few words what was done."""
    if act.kind == "policy":
        return f"policy of {act.name or act.table} {_changed(_mode(act.old), _mode(act.new))}"
    if act.kind == "guard":
        return "; ".join(_guard(act))
    what = f"function of {act.name}" if act.kind == "function" else act.name
    return f"{what} on {act.schema}.{act.table} {_DONE.get(act.op, act.op.lower())}"


def _guard(act: GuardAct) -> Iterator[str]:
    if act.op in _SWITCHED:
        yield f"the guard switched {_SWITCHED[act.op]}"
        return
    old, new = act.old or {}, act.new or {}
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            terms = ("", "") if isinstance(after, Mapping) else (_value(before), _value(after))
            yield f"{name} of the guard {_changed(*terms)}"


def _changed(before: str, after: str) -> str:
    if before and after:
        return f"changed from {before} to {after}"
    if after:
        return f"set to {after}"
    return f"taken away, which was {before}" if before else "changed"


def _mode(row: Mapping[str, Any] | None) -> str:
    if not row:
        return ""
    mode = str(row.get("mode", ""))
    return f"{mode} ({row.get('approvals')})" if mode == "four_eyes" else mode


def _value(value: object) -> str:
    return "no limit" if value is None else str(value)
