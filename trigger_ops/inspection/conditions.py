"""Knows, or has the server say, how it spells each condition; each one is asked for once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping

from trigger_ops.catalog.conditions import StandIn, condition_text, is_plain, spell
from trigger_ops.catalog.snapshot import CatalogTrigger, Server
from trigger_ops.registry.definition import Definition

_LITERALS = re.compile(r"'(?:[^']|'')*'")
_QUALIFIED = re.compile(r'(?:(?<![\w$"])(?!old\.|new\.)[^\W\d][\w$]*|"(?:[^"]|"")+")\.(?=[^\s\d])')


@dataclasses.dataclass(kw_only=True)
class CanonicalConditions:
    """Canonical conditions of one database, by key.

    ``known`` starts with what earlier runs remembered; ``minted`` is what this one had to add. A
    condition that names something of any schema is kept for its table's schema alone, because
    another schema's search_path may lead elsewhere; every other one serves all schemas whose
    tables have the same columns.
    """

    alias: str
    server: Server
    statement_timeout: int
    lock_timeout: int
    known: dict[str, str]
    remembered: Mapping[str, str] = dataclasses.field(default_factory=dict)
    minted: dict[str, str] = dataclasses.field(default_factory=dict)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    failed_for_all: bool = False
    _wanted: dict[str, tuple[Definition, CatalogTrigger]] = dataclasses.field(default_factory=dict)
    _bound: set[str] = dataclasses.field(default_factory=set)
    _bases: dict[tuple[str | None, tuple[str, ...]], str] = dataclasses.field(default_factory=dict)

    def want(self, definition: Definition, live: CatalogTrigger) -> None:
        """Ask for a condition as it would read on the live trigger's table."""
        if definition.condition and self._lookup(definition, live) is None:
            self._wanted.setdefault(self._open_key(definition, live), (definition, live))

    def spell_wanted(self) -> bool:
        """Have the server spell out all that is wanted and unknown; True if it was asked."""
        wanted, self._wanted = self._wanted, {}
        wanted = {key: one for key, one in wanted.items() if key not in self.failures}
        if not wanted:
            return False
        if reason := self._cannot_create():
            self.failures.update(dict.fromkeys(wanted, reason))
            self.failed_for_all = True
            return False
        stand_ins = [self._stand_in(key, *one) for key, one in wanted.items()]
        spelled = spell(
            self.alias,
            stand_ins,
            statement_timeout=self.statement_timeout,
            lock_timeout=self.lock_timeout,
        )
        self.failures.update(spelled.failures)
        self.failed_for_all = self.failed_for_all or bool(spelled.refused)
        for key, text in spelled.conditions.items():
            self._keep(key, text, *wanted[key])
        return True

    def of(self, definition: Definition, live: CatalogTrigger) -> str | None:
        """Return the canonical condition, "" for none, None where it could not be had."""
        return self._lookup(definition, live) if definition.condition else ""

    def failure(self, definition: Definition, live: CatalogTrigger) -> str:
        """Say why :meth:`of` gave None."""
        base = self._base(definition, live)
        return self.failures.get(_bound_key(base, live.schema), self.failures.get(base, ""))

    def _lookup(self, definition: Definition, live: CatalogTrigger) -> str | None:
        base = self._base(definition, live)
        found = self.known.get(_bound_key(base, live.schema))
        return self.known.get(base) if found is None else found

    def _open_key(self, definition: Definition, live: CatalogTrigger) -> str:
        base = self._base(definition, live)
        return _bound_key(base, live.schema) if base in self._bound else base

    def _keep(self, key: str, text: str, definition: Definition, live: CatalogTrigger) -> None:
        if _names_a_schema(text):
            base = self._base(definition, live)
            self._bound.add(base)
            key = key_of(base, live.schema, text)
        self.known[key] = text
        self.minted[key] = text

    def _base(self, definition: Definition, live: CatalogTrigger) -> str:
        source = (live.columns_digest, definition.stand_in_parts)
        base = self._bases.get(source)
        if base is None:
            base = self._bases[source] = base_key(definition, live.columns_digest, self.server)
        return base

    def _stand_in(self, key: str, definition: Definition, live: CatalogTrigger) -> StandIn:
        path = self.server.search_path
        if live.schema not in path:
            path = (live.schema, *path)
        return StandIn(
            key=key, table_oid=live.table_oid, parts=definition.stand_in_parts, path=path
        )

    def _cannot_create(self) -> str:
        if self.server.in_recovery:
            return "the server is a standby, where no stand-in can be made"
        if not self.server.may_create_temporary:
            return (
                f'role "{self.server.role}" may not make temporary tables: '
                f'GRANT TEMPORARY ON DATABASE "{self.server.database}" TO "{self.server.role}"'
            )
        return ""


def base_key(definition: Definition, columns_digest: str | None, server: Server) -> str:
    """Return the key of a condition that reads alike in every schema."""
    parts = (str(server.major), columns_digest or "", *definition.stand_in_parts)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def key_of(base: str, schema: str, text: str) -> str:
    """Return the key that a canonical condition is remembered under, by what it names."""
    return _bound_key(base, schema) if _names_a_schema(text) else base


def _names_a_schema(text: str) -> bool:
    """Tell whether a canonical condition names more than columns and PostgreSQL's own."""
    return "\nuses " in text or _QUALIFIED.search(_LITERALS.sub("''", text)) is not None


@functools.lru_cache(maxsize=50_000)
def _bound_key(base: str, schema: str) -> str:
    return hashlib.sha256(f"{base}\0{schema}".encode()).hexdigest()


def live_condition(live: CatalogTrigger) -> str | None:
    """Return the live trigger's canonical condition, "" for none, None if it was locked away."""
    if not live.has_condition:
        return ""
    if live.definition is None:
        return None
    plain = is_plain(live.schema, live.table, live.name, *(live.columns or ()))
    return condition_text(live.definition, live.uses, plain=plain)
