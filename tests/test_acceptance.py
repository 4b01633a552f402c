"""Every acceptance test of sessions is shown by tests that exist, and that both drivers run."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from pathlib import Path

import pytest

from tests.acceptance import ACCEPTANCE, FLAGGED, WHOLE, selected

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "auditors-guide.md"
CI = ROOT / ".ci" / "run"


@functools.cache
def decorators_in(path: Path) -> dict[str, str]:
    """Return the decorators of each test in a file, by the name of the test."""
    return {
        node.name: " ".join(ast.unparse(one) for one in node.decorator_list)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def fault_of(reference: str) -> str:
    """Return what is wrong with ``tests/file.py::test_name``, or the file of an attack; "" if not."""
    place, _, name = reference.partition("::")
    path = ROOT / place
    if not path.is_file():
        return "there is no such file"
    if not name:
        return "" if path.parent == ROOT / FLAGGED else "it names no test"
    if name not in decorators_in(path):
        return "there is no such test"
    return "it is not run" if re.search(r"skip|xfail", decorators_in(path)[name]) else ""


def test_the_numbers_are_all_there() -> None:
    assert list(ACCEPTANCE) == list(range(1, 29))


@pytest.mark.parametrize("number", ACCEPTANCE)
def test_each_number_is_shown_by_tests_that_exist(number: int) -> None:
    tests = ACCEPTANCE[number].tests
    assert len(set(tests)) == len(tests) > 0
    assert {one: fault_of(one) for one in tests if fault_of(one)} == {}


@pytest.mark.parametrize("number", ACCEPTANCE)
def test_each_number_is_shown_with_both_drivers(number: int) -> None:
    """What CI runs with psycopg 3, on another server, is what that prints."""
    assert 'TESTS="$(.venv-psycopg/bin/python -m tests.acceptance)"' in CI.read_text("utf-8")
    chosen = selected()
    for one in ACCEPTANCE[number].tests:
        assert (
            one in chosen
            or one.startswith(tuple(f"{place}/" for place in chosen))
            or (one.partition("::")[0] in chosen)
        ), one


def test_what_the_second_leg_runs_exists() -> None:
    assert [one for one in WHOLE if not (ROOT / one).exists()] == []
    assert [one for one in selected() if one not in WHOLE and fault_of(one)] == []


def test_what_does_not_exist_is_noticed() -> None:
    assert fault_of("tests/test_nowhere.py::test_a")
    assert fault_of("tests/test_acceptance.py::test_a")
    assert fault_of("tests/test_acceptance.py::fault_of")
    assert fault_of("tests/database")
    assert fault_of("tests/test_acceptance.py")
    assert not fault_of("tests/test_acceptance.py::test_what_does_not_exist_is_noticed")


SHOWN_BY = re.compile(r"<!-- shown by (.+) -->", re.DOTALL)


def test_each_claim_of_the_auditors_guide_names_tests_that_exist() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    _, _, table = text.partition("| Claim | ")
    rows = [line.split("|")[1:-1] for line in table.split("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 10
    for claim, *_, shown in rows:
        references = re.findall(r"`([^`]+)`", shown)
        assert references, claim
        assert {one: fault_of(one) for one in references if fault_of(one)} == {}


def guides_blocks() -> list[str]:
    """Return the guide's paragraphs, lists, tables and references; consoles are tests themselves.

    What ends with a colon goes with what comes after it.
    """
    text = re.sub(r"^```.*?^```$", "", GUIDE.read_text(encoding="utf-8"), flags=re.M | re.S)
    parts = [one.strip() for one in re.split(r"\n\s*\n", text)]
    blocks = [one for one in parts if one and not one.startswith("#")]
    for place in range(len(blocks) - 2, -1, -1):
        if blocks[place].endswith(":") and not SHOWN_BY.fullmatch(blocks[place + 1]):
            blocks[place : place + 2] = [f"{blocks[place]}\n\n{blocks[place + 1]}"]
    return blocks


def guides_references() -> list[str]:
    """Return all tests that the guide names, in its table of claims or below its blocks."""
    text = GUIDE.read_text(encoding="utf-8")
    below = (found[1].split() for one in guides_blocks() if (found := SHOWN_BY.fullmatch(one)))
    return [*re.findall(r"`(tests/[^`]*)`", text), *itertools.chain.from_iterable(below)]


def test_every_block_of_the_auditors_guide_names_tests_that_exist() -> None:
    blocks = guides_blocks()
    assert len(blocks) > 30
    silent = [
        one
        for one, following in itertools.pairwise([*blocks, ""])
        if not SHOWN_BY.fullmatch(one)
        and not SHOWN_BY.fullmatch(following)
        and not one.startswith("| Claim | ")
    ]
    assert silent == []
    assert {one: fault_of(one) for one in guides_references() if fault_of(one)} == {}
