"""The functions that we put into a database: their statements, and the bodies they should have."""

from __future__ import annotations

import dataclasses
import re

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.sql import Composable, load

_NAME = re.compile(r"^CREATE OR REPLACE FUNCTION \{(?:home|schema)\}\.(?P<name>\w+)", re.MULTILINE)
_BODY = re.compile(r"\$body\$(?P<body>.*)\$body\$", re.DOTALL)
_DEFINER = re.compile(r"\bSECURITY DEFINER\b")
_SETTING = re.compile(r"\bSET (?P<name>\w+) = (?P<value>.+?)(?= SET | AS |$)")
_LANGUAGE = re.compile(r"\bLANGUAGE (?P<language>\w+)")
_ARGUMENTS = re.compile(r"FUNCTION \{(?:home|schema)\}\.\w+\((?P<arguments>[^)]*)\)")
_DEFAULT = re.compile(r"\s+DEFAULT\s+\w+")

PUBLIC = frozenset({"trigger_ops_gate", "trigger_ops_enter"})
"""What everybody may execute: they judge whoever calls. The rest is for the owner and APP_ROLES."""

PREFIX = "trigger_ops_"
"""What the names of our functions, tables and triggers begin with."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedFunction:
    """One function of ours as it should be. ``body`` is its text between the dollar quotes.

    ``settings`` is what ``pg_proc.proconfig`` should hold; ``types`` are those of the arguments
    that are given, by which the function is told from others of its name; ``is_of_guard`` tells
    what the guard alone needs from what sessions do.
    """

    name: str
    arguments: str
    types: str
    returns: str
    statement: Composable
    body: str
    language: str
    security_definer: bool
    settings: tuple[str, ...]
    volatility: str
    is_of_guard: bool

    @property
    def number(self) -> int:
        """How many arguments are given."""
        return len(self.types.split(", ")) if self.types else 0

    @property
    def is_public(self) -> bool:
        """True where everybody may execute it."""
        return self.name in PUBLIC


def expected_functions(file: str, *, home: str, schema: str = "") -> list[ExpectedFunction]:
    """Return the functions of ``sql/<file>.sql`` in the order in which they are to be made.

    ``home`` is the schema of our tables; ``schema`` is where the ignore function goes, which is
    left out without one.
    """
    names = {"home": home, **({"schema": schema} if schema else {})}
    return [
        _expected(text, names, is_of_guard=file == "guard")
        for text in load(file).values()
        if schema or "{schema}" not in text.replace("{home}", "")
    ]


def _expected(text: str, names: dict[str, str], *, is_of_guard: bool) -> ExpectedFunction:
    head, body = text.partition("$body$")[0], _BODY.search(text)
    name, language = _NAME.search(text), _LANGUAGE.search(text)
    arguments = _ARGUMENTS.search(text)
    if body is None or name is None or language is None or arguments is None:
        raise ValueError(f"no function: {text[:80]}")
    plain = _DEFAULT.sub("", arguments["arguments"])
    identifiers = {key: sql.Identifier(value) for key, value in names.items()}
    quoted = {key: '"{}"'.format(value.replace('"', '""')) for key, value in names.items()}
    return ExpectedFunction(
        name=name["name"],
        arguments=plain,
        types=", ".join(
            one.partition(" ")[2] for one in plain.split(", ") if not one.startswith("OUT ")
        ),
        returns="trigger" if "RETURNS trigger" in head else "",
        statement=sql.SQL(text).format(**identifiers),
        body=body["body"].format(**quoted),
        language=language["language"],
        security_definer=bool(_DEFINER.search(head)),
        settings=tuple(f"{one['name']}={one['value']}" for one in _SETTING.finditer(head)),
        is_of_guard=is_of_guard,
        volatility="i" if "IMMUTABLE" in head else "s" if " STABLE" in head else "v",
    )
