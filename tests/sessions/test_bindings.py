"""Who puts parameters into statements makes a difference: what must not fail is tested with both.

psycopg 3 does it itself or has the server do it (``server_side_binding``), psycopg 2 does it itself.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.sessions.conftest import BINDINGS
from trigger_ops.sessions.statements import binds_on_server

WEAKNESSES = range(1, 17)
"""G1 to G16: where the library's own ``ignore()`` fails."""

BOUND = {"bound", "everywhere", "no_copies", "pool_of_one"}
"""Fixtures that a test with each binding asks for."""

WITHOUT_A_STATEMENT = {"test_g5_generators_are_refused"}


def by_weakness() -> dict[int, dict[str, set[str]]]:
    """Return the tests of each weakness, with the fixtures that each of them asks for."""
    found: dict[int, dict[str, set[str]]] = {number: {} for number in WEAKNESSES}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_g"):
                continue
            used = " ".join(map(ast.unparse, node.decorator_list))
            fixtures = {one.arg for one in node.args.args} | set(re.findall(r"'(\w+)'", used))
            for number in re.findall(r"(?<=_)g(\d+)(?=_)", node.name):
                found[int(number)][node.name] = fixtures
    return found


@pytest.mark.parametrize("number", WEAKNESSES)
def test_each_weakness_is_tested_with_each_binding(number: int) -> None:
    tests = by_weakness()[number]
    assert tests
    alone = {name for name, fixtures in tests.items() if not fixtures & BOUND}
    assert alone <= WITHOUT_A_STATEMENT


def test_the_bindings_are_what_they_are_called(
    bound: BaseDatabaseWrapper, request: pytest.FixtureRequest
) -> None:
    assert set(BINDINGS) == ({"client", "server"} if is_psycopg3 else {"client"})
    with connection.cursor() as cursor:
        on_server = binds_on_server(cursor.cursor)
    assert on_server is (request.node.callspec.params["bound"] == "server")
