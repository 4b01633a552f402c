"""The functions that we put into a database: their statements, and the bodies they should have."""

from __future__ import annotations

import dataclasses
import re

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.sql import Composable, load

_NAME = re.compile(r"^CREATE OR REPLACE FUNCTION \{(?:home|schema)\}\.(?P<name>\w+)", re.MULTILINE)
_BODY = re.compile(r"\$body\$(?P<body>.*)\$body\$", re.DOTALL)
_DEFINER = re.compile(r"\bSECURITY DEFINER\b")
_PINNED = re.compile(r"\bSET search_path\b")
_LANGUAGE = re.compile(r"\bLANGUAGE (?P<language>\w+)")

PREFIX = "trigger_ops_"
"""What the names of our functions, tables and triggers begin with."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedFunction:
    """One function of ours as it should be. ``body`` is its text between the dollar quotes.

    ``settings`` is what ``pg_proc.proconfig`` should hold.
    """

    name: str
    statement: Composable
    body: str
    language: str
    security_definer: bool
    settings: tuple[str, ...]


def expected_functions(file: str, *, home: str, schema: str = "") -> list[ExpectedFunction]:
    """Return the functions of ``sql/<file>.sql`` in the order in which they are to be made.

    ``home`` is the schema of our tables; ``schema`` is where the ignore function goes, which is
    left out without one.
    """
    names = {"home": home, **({"schema": schema} if schema else {})}
    return [
        _expected(text, names)
        for text in load(file).values()
        if schema or "{schema}" not in text.replace("{home}", "")
    ]


def _expected(text: str, names: dict[str, str]) -> ExpectedFunction:
    head, body = text.partition("$body$")[0], _BODY.search(text)
    name, language = _NAME.search(text), _LANGUAGE.search(text)
    if body is None or name is None or language is None:
        raise ValueError(f"no function: {text[:80]}")
    identifiers = {key: sql.Identifier(value) for key, value in names.items()}
    quoted = {key: '"{}"'.format(value.replace('"', '""')) for key, value in names.items()}
    return ExpectedFunction(
        name=name["name"],
        statement=sql.SQL(text).format(**identifiers),
        body=body["body"].format(**quoted),
        language=language["language"],
        security_definer=bool(_DEFINER.search(head)),
        settings=("search_path=pg_catalog, pg_temp",) if _PINNED.search(head) else (),
    )
