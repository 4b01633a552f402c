"""A compiled trigger taken apart into its comparable facets."""

from __future__ import annotations

import dataclasses
import functools
import re

from pgtrigger.compiler import UpsertTriggerSql

ROW, BEFORE, INSERT, DELETE, UPDATE, TRUNCATE, INSTEAD = 1, 2, 4, 8, 16, 32, 64
"""Bits of ``pg_trigger.tgtype`` (PostgreSQL source, catalog/pg_trigger.h)."""

EVENTS = {"INSERT": INSERT, "DELETE": DELETE, "UPDATE": UPDATE, "TRUNCATE": TRUNCATE}
TIMINGS = {"BEFORE": BEFORE, "AFTER": 0, "INSTEAD OF": INSTEAD}

_IDENTIFIER = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z_\x80-\uffff][\w$\x80-\uffff]*))\s*')
_ARGUMENT = re.compile(r"\s*(?:\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)'|([^,\"'\s]+))\s*(?:,|$)")
_UPDATE_OF = re.compile(r"\bUPDATE\s+OF\b(.*?)(?=\s+OR\s+(?:INSERT|DELETE|TRUNCATE)\b|$)", re.S)
_TRANSITION = re.compile(r"\b(OLD|NEW)\s+TABLE\s+(?:AS\s+)?(\"(?:[^\"]|\"\")*\"|\w+)", re.I)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What the code says one trigger is, facet by facet.

    ``timing``, ``events`` and ``level`` are bits of ``tgtype``; ``table`` is (schema or None,
    name); ``function`` likewise; ``condition`` is the source text beginning with WHEN, or "".
    """

    pgid: str
    hash: str
    table: tuple[str | None, str]
    body: str | None
    timing: int
    events: int
    level: int
    columns: frozenset[str] | None
    is_constraint: bool
    deferrable: bool
    initially_deferred: bool
    old_table: str | None
    new_table: str | None
    function: tuple[str | None, str]
    arguments: tuple[str, ...]
    condition: str
    stand_in_parts: tuple[str, str, str]
    install_sql: str

    @property
    def executes_own_function(self) -> bool:
        """False for built-in functions such as ``tsvector_update_trigger``."""
        return self.function[1] == self.pgid


@functools.lru_cache(maxsize=50_000)
def _definition(
    kwargs: tuple[tuple[str, str], ...], digest: str, text: str, pgid: str
) -> Definition:
    part = dict(kwargs)
    level = part["level"].strip().upper()
    function, arguments = _execute(part["execute"])
    transition = {
        old_or_new.upper(): unquoted(name)
        for old_or_new, name in _TRANSITION.findall(part["referencing"])
    }
    events, columns = _events(part["operation"])
    condition = part["condition"].strip()
    return Definition(
        pgid=pgid,
        hash=digest,
        table=split_table(part["table"]),
        body=_body(text, pgid),
        timing=TIMINGS[" ".join(part["when"].upper().split())],
        events=events,
        level=ROW if level == "ROW" else 0,
        columns=columns,
        is_constraint=bool(part["constraint"].strip()),
        deferrable="DEFERRABLE" in part["timing"].upper(),
        initially_deferred="INITIALLY DEFERRED" in part["timing"].upper(),
        old_table=transition.get("OLD"),
        new_table=transition.get("NEW"),
        function=function,
        arguments=arguments,
        condition=condition,
        stand_in_parts=(
            part["constraint"].strip(),
            f"{part['when']} {part['operation']}",
            f"{part['timing']} {part['referencing']} FOR EACH {level} {condition}",
        ),
        install_sql=text,
    )


def definition_of(compiled: UpsertTriggerSql) -> Definition:
    """Take a compiled trigger apart. Works for those of the code and those in migrations."""
    parts = {**compiled.defaults, **compiled.kwargs}
    return _definition(tuple(sorted(parts.items())), compiled.hash, str(compiled), compiled.pgid)


def _body(text: str, pgid: str) -> str | None:
    """Return the text between the dollar quotes, byte for byte: that is what prosrc holds."""
    start = text.find(f"FUNCTION {pgid}()")
    opened = text.find("$$", start)
    closed = text.find("$$", opened + 2)
    return text[opened + 2 : closed] if -1 not in (start, opened, closed) else None


@functools.lru_cache(maxsize=10_000)
def _events(operation: str) -> tuple[int, frozenset[str] | None]:
    bits = 0
    columns: set[str] = set()
    rest = operation
    for match in _UPDATE_OF.finditer(operation):
        bits |= UPDATE
        columns.update(identifiers(match.group(1)))
        rest = rest.replace(match.group(0), "")
    for word, bit in EVENTS.items():
        if re.search(rf"\b{word}\b", rest.upper()):
            bits |= bit
    return bits, frozenset(columns) or None


def _execute(text: str) -> tuple[tuple[str | None, str], tuple[str, ...]]:
    name, _, arguments = text.strip().partition("(")
    names = identifiers(name, separator=".")
    schema = names[-2] if len(names) > 1 else None
    given = arguments.strip().removesuffix(")").strip()
    values = tuple(
        (quoted or literal or plain).replace('""', '"').replace("''", "'")
        for quoted, literal, plain in _ARGUMENT.findall(given)
    )
    return (schema, names[-1] if names else ""), values


def identifiers(text: str, *, separator: str = ",") -> list[str]:
    """Split a list of SQL identifiers, folding the unquoted ones as PostgreSQL does."""
    found: list[str] = []
    position = 0
    while match := _IDENTIFIER.match(text, position):
        quoted, plain = match.groups()
        found.append(quoted.replace('""', '"') if quoted is not None else plain.lower())
        position = match.end()
        if text[position : position + 1] != separator:
            break
        position += 1
    return found


def unquoted(name: str) -> str:
    """Return the name that one SQL identifier stands for."""
    return (identifiers(name) or [name])[0]


@functools.lru_cache(maxsize=20_000)
def split_table(db_table: str) -> tuple[str | None, str]:
    """Return (schema or None, table) for a model's ``db_table``.

    Users name a schema by closing the quotes inside: ``ledger"."entry``. pgtrigger wraps that in
    quotes unless it begins or ends with one, so this does too.
    """
    wrapped = db_table if db_table.startswith('"') or db_table.endswith('"') else f'"{db_table}"'
    names = identifiers(wrapped, separator=".")
    if "." in wrapped and len(names) == 2:
        return names[0], names[1]
    return None, names[0] if len(names) == 1 and f'"{names[0]}"' == wrapped else db_table
