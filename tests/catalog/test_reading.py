"""The small parts of reading: the search path, conditions, and the named queries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql as psycopg_sql
from hypothesis import given
from hypothesis import strategies as st

import trigger_ops
from tests.damage import pgid, run
from trigger_ops.catalog.conditions import condition_text
from trigger_ops.catalog.reading import read_snapshot, split_search_path
from trigger_ops.catalog.snapshot import Extent, Surroundings
from trigger_ops.registry import project_tables
from trigger_ops.sql import load

PACKAGE = Path(trigger_ops.__path__[0])
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ('"$user", public', ("me", "public")),
        ("", ()),
        ('""', ()),
        ("Public", ("public",)),
        ('"Tenant1", public', ("Tenant1", "public")),
        ('"a,b", "c""d"', ("a,b", 'c"d')),
        (' "x" ,y', ("x", "y")),
    ],
)
def test_a_search_path_is_split_as_postgresql_does(
    setting: str, expected: tuple[str, ...]
) -> None:
    assert split_search_path(setting, role="me") == expected


@pytest.mark.django_db
@pytest.mark.parametrize("names", [("Tenant1", "public"), ('c"d', "a,b"), ("with space",)])
def test_what_postgresql_says_of_a_path_reads_back(names: tuple[str, ...]) -> None:
    path = psycopg_sql.SQL(", ").join(map(psycopg_sql.Identifier, names))
    with connection.cursor() as cursor:
        cursor.execute(psycopg_sql.SQL("SET LOCAL search_path = {}").format(path))
        cursor.execute("SHOW search_path")
        assert split_search_path(cursor.fetchone()[0], role="me") == names


@given(st.lists(NAMES.filter(lambda name: name != "$user")))
def test_any_quoted_path_reads_back(names: list[str]) -> None:
    setting = ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)
    assert split_search_path(setting, role="me") == tuple(names)


@pytest.mark.parametrize(
    ("definition", "condition"),
    [
        (
            "CREATE TRIGGER t BEFORE UPDATE ON public.x FOR EACH ROW WHEN ((old.a > 1)) EXECUTE FUNCTION f()",
            "((old.a > 1))",
        ),
        ("CREATE TRIGGER t BEFORE UPDATE ON public.x FOR EACH ROW EXECUTE FUNCTION f()", ""),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON public.\"a WHEN (b\" FOR EACH ROW WHEN ((old.a = ' EXECUTE FUNCTION '::text)) EXECUTE FUNCTION f()",
            "((old.a = ' EXECUTE FUNCTION '::text))",
        ),
    ],
)
def test_the_condition_is_cut_out_whatever_the_names(definition: str, condition: str) -> None:
    assert condition_text(definition, (), plain=False) == condition


def test_what_a_condition_depends_on_is_part_of_it() -> None:
    text = "CREATE TRIGGER t BEFORE UPDATE ON x FOR EACH ROW WHEN (true) EXECUTE FUNCTION f()"
    assert condition_text(text, ["operator b", "operator a"], plain=True) == (
        "(true)\nuses operator a\nuses operator b"
    )


@pytest.mark.django_db
def test_what_a_plan_reads_of_the_surroundings_is_what_a_check_reads() -> None:
    orphan = pgid("past.Receipt:append_only")
    run("DROP TRIGGER {trigger} ON past_receipt", trigger=orphan)
    nothing, changeable, everything = (_surroundings(extent) for extent in Extent)
    assert nothing is None
    assert everything is not None
    assert everything.ignore_functions
    assert everything.partitions
    assert orphan in [one.name for one in everything.orphan_functions]
    assert everything.settings
    assert changeable == Surroundings(
        ignore_functions=everything.ignore_functions,
        partitions=everything.partitions,
        orphan_functions=everything.orphan_functions,
    )


def _surroundings(extent: Extent) -> Surroundings | None:
    return read_snapshot(
        "default",
        tables=[name for _, name in project_tables()],
        surroundings=extent,
        statement_timeout=30_000,
        lock_timeout=2_000,
    ).surroundings


def test_every_named_query_is_used_and_says_what_it_is_for() -> None:
    """By its name, or because its whole file is put into a database."""
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for file in PACKAGE.glob("sql/*.sql"):
        queries = load(file.stem)
        assert queries
        whole = rf"""expected_functions\(["']{file.stem}["']|load\(["']{file.stem}["']\)\.(values|items)"""
        installed = re.search(whole, code) is not None
        for name, text in queries.items():
            assert text.startswith("-- "), name
            assert installed or f'["{name}"]' in code, name
