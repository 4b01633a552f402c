"""What a finding is about, and what exactly was observed: two digests."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from trigger_ops.catalog.reading import split_search_path
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.drift import Finding
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.states import Facet

ONE_A_DATABASE = frozenset({"trigger_ops.C002", "trigger_ops.C006", "trigger_ops.C007"})
"""IDs of which a database has one finding, whatever its fix says at the moment."""


def digest_of(*parts: Any) -> str:
    """Return a SHA-256 of plain values, in hexadecimal."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_of(finding: Finding) -> str:
    """Digest what a finding is about: database, ID, table and trigger.

    A finding about no table is known by what would end it: two roles with a bad setting are two
    things, the same missing function in two thousand schemas is one.
    """
    about: tuple[str, ...] = (finding.table or "", finding.trigger or "")
    if finding.table is None:
        about = () if finding.id in ONE_A_DATABASE else (finding.uri or "", _cure(finding))
    return digest_of(finding.database, finding.id, *about)


def observed(trigger: InspectedTrigger, facets: Collection[Facet], message: str) -> str:
    """Digest what the database has of these facets, the same in every schema.

    Where no facet says what is wrong, it is the message that does.
    """
    live = trigger.installed
    if live is None or not facets:
        return digest_of(without_schema(message, trigger.schema))
    return digest_of(
        [[facet.value, _OBSERVED[facet](live, trigger)] for facet in Facet if facet in facets]
    )


def without_schema(text: str, schema: str | None) -> str:
    """Return a text that reads the same for each schema that shows the same thing.

    A schema may be called as any word of the text is, so it goes only where it stands as one:
    before the name of something inside it, or after the word "schema".
    """
    return _naming(schema).sub("", text) if schema else text


@functools.lru_cache(maxsize=10_000)
def _naming(schema: str) -> re.Pattern[str]:
    quoted = '"{}"'.format(schema.replace('"', '""'))
    name = f"(?:{re.escape(quoted)}|{re.escape(schema)})"
    return re.compile(
        rf'(?<![\w$".]){name}\.(?=[\w"$])|(?<=\bschema ){name}(?![\w$"])'
        rf"|(?<=\bfunctions in ){name}(?= are\b)"
    )


def _cure(finding: Finding) -> str:
    """Return a finding's fix as it would be in any schema, or on a search_path that has it."""
    return without_schema(finding.fix.partition(" -s ")[0], finding.schema)


def _own(schema: str, live: CatalogTrigger) -> str:
    return "" if schema == live.schema else schema


def _setting(setting: str, live: CatalogTrigger) -> Any:
    """Return a setting of a function; its own schema on a search_path is none in particular."""
    name, _, value = setting.partition("=")
    if name != "search_path":
        return setting
    return [name, [_own(one, live) for one in split_search_path(value, role="$user")]]


_OBSERVED: Mapping[Facet, Callable[[CatalogTrigger, InspectedTrigger], Any]] = {
    Facet.BODY: lambda live, _: live.body,
    Facet.CONDITION: lambda _, trigger: without_schema(
        trigger.live_condition or "", trigger.schema
    ),
    Facet.TIMING: lambda live, _: live.type_bits,
    Facet.EVENTS: lambda live, _: [live.type_bits, [one.type_bits for one in live.clones]],
    Facet.LEVEL: lambda live, _: live.type_bits,
    Facet.COLUMNS: lambda live, _: live.columns,
    Facet.ARGUMENTS: lambda live, _: live.arguments,
    Facet.DEFERRAL: lambda live, _: [
        live.is_constraint,
        live.deferrable,
        live.initially_deferred,
    ],
    Facet.TRANSITION: lambda live, _: [live.old_table, live.new_table],
    Facet.FUNCTION: lambda live, _: [
        _own(live.function_schema, live),
        live.function,
        live.language,
        live.body,
    ],
    Facet.SECURITY: lambda live, _: [
        live.security_definer,
        live.volatility,
        [_setting(one, live) for one in live.function_settings],
    ],
    Facet.OWNER: lambda live, _: live.function_owner,
    Facet.ENABLED: lambda live, _: [
        live.enabled,
        live.has_triggers,
        sorted(
            (one.table, one.enabled, one.has_triggers)
            for one in live.clones
            if one.enabled != live.enabled or not one.has_triggers
        ),
    ],
    Facet.COMMENT: lambda live, _: live.comment,
}
