"""SQL text, kept in ``*.sql`` files as named queries.

A query begins with ``-- name --`` on a line of its own, followed by one comment line that says
what it is for.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, TypeAlias

Composable: TypeAlias = Any
"""``sql.Composable`` of psycopg 2 or 3: there is no type that stands for both."""

_HEADER = re.compile(r"^-- (?P<name>[a-z][a-z_]*) --$", re.MULTILINE)


@functools.cache
def load(file: str) -> dict[str, str]:
    """Return the queries of ``sql/<file>.sql`` by name."""
    text = (Path(__file__).parent / f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _HEADER.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
