"""The shared function that every trigger asks whether to stand aside."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from pgtrigger import compiler

from trigger_ops.catalog.snapshot import CatalogTrigger, IgnoreFunction, Snapshot
from trigger_ops.registry import IGNORE_FUNCTION, ignore_function_schema
from trigger_ops.registry.definition import identifiers

_CALL = re.compile(
    rf'((?:"(?:[^"]|"")*"|[A-Za-z_][\w$]*)\s*\.\s*)?{IGNORE_FUNCTION}\s*\(', re.IGNORECASE
)


@functools.cache
def stock_ignore_body() -> str:
    """Return the body that every pgtrigger from 4.15 on gives the shared ignore function.

    Taken from the installed library's own template (``pgtrigger.compiler.UpsertTriggerSql``).
    """
    text = str(
        compiler.UpsertTriggerSql(pgid="x", func="", table="x", when="AFTER", operation="INSERT")
    )
    start = text.index("$$") + 2
    return text[start : text.index("$$", start)]


def called_schemas(
    snapshot: Snapshot,
    functions: Iterable[IgnoreFunction],
    triggers: Iterable[CatalogTrigger] | None = None,
) -> frozenset[str]:
    """Return the schemas whose ignore function installed triggers really call.

    ``triggers`` are those to ask, all of the snapshot if they are not given.
    """
    existing = {one.schema for one in functions}
    path = snapshot.server.search_path
    if "pg_catalog" not in path:  # then PostgreSQL looks there before all others
        path = ("pg_catalog", *path)
    first = next((one for one in path if one in existing), None)
    called: set[str] = set()
    for trigger in snapshot.triggers if triggers is None else triggers:
        if not trigger.name.startswith("pgtrigger_"):
            continue
        for prefix in _call_prefixes(trigger.body):
            schema = identifiers(prefix, separator=".")[0] if prefix else first
            called.add(schema or ignore_function_schema() or "public")
    return frozenset(called)


@functools.lru_cache(maxsize=10_000)
def _call_prefixes(body: str) -> tuple[str, ...]:
    return tuple(_CALL.findall(body)) if IGNORE_FUNCTION in body.lower() else ()


def difference(function: IgnoreFunction, gate: str | None = None) -> str:
    """Say how an ignore function is other than pgtrigger makes it, "" where it is not.

    ``gate`` is the body that it has instead where the guard is on.
    """
    body, language = (stock_ignore_body(), "plpgsql") if gate is None else (gate, "sql")
    if function.body == stock_ignore_body() and gate is not None:
        return "pgtrigger's own is in its place"
    if function.body != body or function.language != language:
        return "its body was changed"
    if function.returns != "boolean":
        return f"it returns {function.returns}"
    if function.security_definer:
        return "it is SECURITY DEFINER"
    if function.has_support:
        return "it has a planner support function, which can replace its calls"
    if function.settings:
        return f"it runs with {', '.join(function.settings)}"
    return ""
