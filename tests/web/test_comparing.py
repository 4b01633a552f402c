"""Comparisons of two texts: nothing is lost, only what differs is marked, and none takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trigger_ops.web.comparing import (
    Gap,
    Kind,
    Line,
    Piece,
    Row,
    folded,
    side_by_side,
    spelled,
    unified,
)

# Few different lines, so that some are equal; then any text that PostgreSQL can hold, and more.
FEW = st.lists(st.sampled_from(["a", "b", "a b", "b  a", "", " ", "\t", "a;", "\r"])).map(
    "\n".join
)
TEXTS = st.one_of(FEW, st.text())


def text_of(line: Line) -> str:
    return "".join(piece.text for piece in line)


def before_of(rows: list[Row]) -> str:
    return "\n".join(text_of(row.before) for row in rows if row.before is not None)


def after_of(rows: list[Row]) -> str:
    return "\n".join(text_of(row.after) for row in rows if row.after is not None)


@given(TEXTS, TEXTS)
@example("", "\n")
@example("a\nb\nc", "c\nb\na")
@example("x\r\ny", "x\ny")
def test_both_sides_can_be_read_back(before: str, after: str) -> None:
    rows = side_by_side(before, after)
    assert (before_of(rows), after_of(rows)) == (before, after)
    below = unified(rows)
    assert (before_of(below), after_of(below)) == (before, after)
    assert all(row.kind is Kind.SAME for row in rows) == (before == after)
    for number in ("before_number", "after_number"):
        numbers = [getattr(row, number) for row in rows if getattr(row, number) is not None]
        assert numbers == list(range(1, len(numbers) + 1))


@given(TEXTS, TEXTS)
def test_a_row_is_what_it_says(before: str, after: str) -> None:
    for row in side_by_side(before, after):
        same = row.before is not None and row.after is not None
        equal = same and text_of(row.before or ()) == text_of(row.after or ())
        assert {
            Kind.SAME: equal,
            Kind.CHANGED: same and not equal,
            Kind.REMOVED: row.after is None and row.after_number is None,
            Kind.ADDED: row.before is None and row.before_number is None,
        }[row.kind]
        marked = any(piece.changed for side in (row.before, row.after) for piece in side or ())
        assert marked == (row.kind is not Kind.SAME)
        for side in (row.before, row.after):
            assert side is None or all(piece.text for piece in side) or text_of(side) == ""


@given(TEXTS, TEXTS, st.integers(0, 3))
def test_what_is_folded_away_is_the_same_on_both_sides(
    before: str, after: str, context: int
) -> None:
    rows = side_by_side(before, after)
    found = folded(rows, context=context)
    shown = [one for one in found if isinstance(one, Row)]
    assert [row for row in rows if row.kind is not Kind.SAME] == [
        row for row in shown if row.kind is not Kind.SAME
    ]
    gaps = [one.lines for one in found if isinstance(one, Gap)]
    assert len(shown) + sum(gaps) == len(rows)
    assert all(lines > 1 for lines in gaps)


def test_only_the_words_that_differ_are_marked() -> None:
    (row,) = side_by_side("IF OLD.total > 10 THEN", "IF OLD.total > 99 THEN")
    assert row.before == (Piece("IF OLD.total > "), Piece("10", changed=True), Piece(" THEN"))
    assert row.after == (Piece("IF OLD.total > "), Piece("99", changed=True), Piece(" THEN"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RAISE EXCEPTION 'no'", "x := y;"),
        ("a " * 500, "a " * 499 + "b "),
        ("", "x"),
    ],
)
def test_lines_with_little_in_common_are_marked_whole(before: str, after: str) -> None:
    rows = side_by_side(f"1\n{before}\n2", f"1\n{after}\n2")
    assert [row.kind for row in rows] == [Kind.SAME, Kind.CHANGED, Kind.SAME]
    assert rows[1].before == (Piece(before, changed=True),)
    assert rows[1].after == (Piece(after, changed=True),)


def test_a_line_that_was_put_in_moves_nothing_else() -> None:
    old = [f"line {number}" for number in range(50)]
    rows = side_by_side("\n".join(old), "\n".join([*old[:20], "new", *old[20:]]))
    (added,) = [row for row in rows if row.kind is not Kind.SAME]
    assert (added.kind, added.after_number) == (Kind.ADDED, 21)


def test_removed_comes_before_added() -> None:
    kinds = [row.kind for row in unified(side_by_side("a\nx 1\nx 2\nb", "a\nx 3\nx 4\nb"))]
    assert kinds == [Kind.SAME, *[Kind.REMOVED] * 2, *[Kind.ADDED] * 2, Kind.SAME]


def test_far_from_a_change_nothing_is_shown() -> None:
    lines = [str(number) for number in range(100)]
    rows = side_by_side("\n".join(lines), "\n".join([*lines[:50], "new", *lines[51:]]))
    found = folded(rows, context=3)
    assert [one.lines if isinstance(one, Gap) else one.before_number for one in found] == [
        *[47, 48, 49, 50, 51, 52, 53, 54],
        46,
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a\tb", [("a\tb", False)]),
        ("a\x1b[2J", [("a", False), ("\\x1b", True), ("[2J", False)]),
        ("x\r", [("x", False), ("\\r", True)]),
        ("\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}", [("\\u200b\\u202e", True)]),
        ("a\N{NO-BREAK SPACE}b", [("a", False), ("\\xa0", True), ("b", False)]),
    ],
)
def test_invisible_characters_are_spelled_out(text: str, parts: list[tuple[str, bool]]) -> None:
    found = spelled((Piece(text, changed=True),))
    assert [(piece.text, piece.invisible) for piece in found] == parts
    assert all(piece.changed for piece in found)


def test_what_is_spelled_out_is_told_from_its_spelling() -> None:
    (row,) = side_by_side("a \\x1b", "a \x1b")
    assert row.kind is Kind.CHANGED
    assert spelled(row.before or ()) != spelled(row.after or ())


LONG = 5_000
MANY = {
    "one line differs": (
        [f"  x := {number};" for number in range(LONG)],
        [f"  x := {number if number != 2500 else 'y'};" for number in range(LONG)],
    ),
    "every second line differs": (
        [f"  x := {number};" for number in range(LONG)],
        [f"  x := {number if number % 2 else -number - 1};" for number in range(LONG)],
    ),
    "all lines are alike": (["  NULL;"] * LONG, ["  NULL;"] * (LONG - 7) + ["x"] * 9),
    "lines repeat": (
        [f"x{number % 100}" for number in range(LONG)],
        [f"x{number * 7 % 100}" for number in range(LONG)],
    ),
    "lines come twice": (
        [f"x{number // 2}" for number in range(LONG)],
        [f"x{number // 2 if number % 3 else 'y'}" for number in range(LONG)],
    ),
    "the other way round": (
        [str(number) for number in range(LONG)],
        [str(number) for number in reversed(range(LONG))],
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_long_functions_take_no_time_to_speak_of(name: str) -> None:
    before, after = ("\n".join(lines) for lines in MANY[name])
    began = time.process_time()
    rows = side_by_side(before, after)
    assert time.process_time() - began < 5
    assert (before_of(rows), after_of(rows)) == (before, after)
