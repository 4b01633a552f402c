"""Two texts beside each other, or one below the other: by lines, then by words in changed lines."""

from __future__ import annotations

import bisect
import dataclasses
import enum
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from trigger_ops.rendering.wording import printable

MOST_LINES = 500
"""Lines of a side, without one that is unique to hold on to, up to which each is compared with each."""

MOST_PAIRS = 10_000
"""Equal pairs among them up to which that is done; beyond, the first is compared with the first."""

MOST_WORDS = 200
"""Words of a line up to which its words are compared; a longer one is changed as a whole."""

MOST_CHARACTERS = 500_000
"""Length of both texts up to which words are compared at all."""

LIKENESS = 0.4
"""How much two lines must share for single words to be marked: less would be confetti."""

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line. ``invisible`` is one whose characters are spelled out to be seen."""

    text: str
    changed: bool = False
    invisible: bool = False


Line: TypeAlias = tuple[Piece, ...]
Block: TypeAlias = tuple[int, int, int, int]
"""From line, to line (not included) of the first text, and the same of the second."""


class Kind(enum.StrEnum):
    """What became of a line between the first text and the second."""

    SAME = "same"
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line on each side, with its number from 1; a side without one has None for both."""

    kind: Kind
    before: Line | None = None
    after: Line | None = None
    before_number: int | None = None
    after_number: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """So many lines that are the same on both sides were left out."""

    lines: int


def side_by_side(before: str, after: str) -> list[Row]:
    """Return the rows of two texts. Lines end at line feeds alone; "" is no text at all."""
    old = before.split("\n") if before else []
    new = after.split("\n") if after else []
    words = len(before) + len(after) <= MOST_CHARACTERS
    return [
        _row(old, new, left, right, words=words)
        for i, i_end, j, j_end in _blocks(old, new)
        for left, right in itertools.zip_longest(range(i, i_end), range(j, j_end))
    ]


def unified(rows: Sequence[Row]) -> list[Row]:
    """Return the rows as a unified diff has them: what was removed, then what was added."""
    found: list[Row] = []
    for same, group in itertools.groupby(rows, key=lambda row: row.kind is Kind.SAME):
        block = list(group)
        if same:
            found += block
            continue
        found += [
            Row(kind=Kind.REMOVED, before=row.before, before_number=row.before_number)
            for row in block
            if row.before is not None
        ]
        found += [
            Row(kind=Kind.ADDED, after=row.after, after_number=row.after_number)
            for row in block
            if row.after is not None
        ]
    return found


def folded(rows: Sequence[Row], *, context: int = 8) -> list[Row | Gap]:
    """Return the rows without those that are further than ``context`` from any change."""
    near: set[int] = set()
    for index, row in enumerate(rows):
        if row.kind is not Kind.SAME:
            near.update(range(index - context, index + context + 1))
    found: list[Row | Gap] = []
    for kept, group in itertools.groupby(enumerate(rows), key=lambda pair: pair[0] in near):
        block = [row for _, row in group]
        # One line is no longer than the sentence that it was left out.
        found += block if kept or len(block) == 1 else [Gap(len(block))]
    return found


def shown(row: Row) -> Row:
    """Return a row in which every invisible character is spelled out."""
    return dataclasses.replace(
        row,
        before=None if row.before is None else spelled(row.before),
        after=None if row.after is None else spelled(row.after),
    )


def spelled(line: Line) -> Line:
    """Return a line in which every invisible character is spelled out, in pieces of their own."""
    if all(_is_plain(piece.text) for piece in line):
        return line
    return tuple(
        Piece(text if plain else printable(text), piece.changed, not plain)
        for piece in line
        for plain, group in itertools.groupby(piece.text, key=_is_plain)
        for text in ["".join(group)]
    )


def _is_plain(text: str) -> bool:
    return text.replace("\t", "").isprintable()


# By lines ----------------------------------------------------------------------------------------


def _blocks(old: Sequence[str], new: Sequence[str]) -> Iterator[Block]:
    """Yield blocks that cover both texts; in each, lines stand beside each other from the top."""
    shorter = min(len(old), len(new))
    head = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    rest = shorter - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    yield 0, head, 0, head
    i, j = head, head
    ends = len(old) - tail, len(new) - tail
    for anchor_i, anchor_j in [*_anchors(old[i : ends[0]], new[j : ends[1]], head), ends]:
        yield from _between(old, new, (i, anchor_i, j, anchor_j))
        i, j = anchor_i, anchor_j
    yield i, len(old), j, len(new)


def _anchors(old: Sequence[str], new: Sequence[str], offset: int) -> list[tuple[int, int]]:
    """Return where lines are that both texts have once, as many as are in one order on both."""
    left, right = Counter(old), Counter(new)
    at = {line: j for j, line in enumerate(new) if right[line] == 1}
    pairs = [(i, at[line]) for i, line in enumerate(old) if left[line] == 1 and line in at]
    lowest: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for index, (_, j) in enumerate(pairs):
        length = bisect.bisect_left(lowest, j)
        lowest[length : length + 1] = [j]
        before.append(ends[length - 1] if length else None)
        ends[length : length + 1] = [index]
    found: list[tuple[int, int]] = []
    last = ends[-1] if ends else None
    while last is not None:
        found.append((pairs[last][0] + offset, pairs[last][1] + offset))
        last = before[last]
    return found[::-1]


def _between(old: Sequence[str], new: Sequence[str], block: Block) -> Iterator[Block]:
    """Yield the blocks of a stretch between two anchors, the first of which it begins with."""
    i, i_end, j, j_end = block
    left, right = old[i:i_end], new[j:j_end]
    in_right = Counter(right)
    pairs = sum(in_right[line] for line in left)
    if max(len(left), len(right)) > MOST_LINES or pairs > MOST_PAIRS:
        yield block
        return
    for _, *part in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        yield part[0] + i, part[1] + i, part[2] + j, part[3] + j


# By words ----------------------------------------------------------------------------------------


def _row(
    old: Sequence[str], new: Sequence[str], i: int | None, j: int | None, *, words: bool
) -> Row:
    if i is None and j is not None:
        return Row(kind=Kind.ADDED, after=_whole(new[j]), after_number=j + 1)
    if i is not None and j is None:
        return Row(kind=Kind.REMOVED, before=_whole(old[i]), before_number=i + 1)
    assert i is not None  # noqa: S101 - zip_longest gives at least one
    assert j is not None  # noqa: S101 - likewise
    before: Line = (Piece(old[i]),)
    after: Line = (Piece(new[j]),)
    kind = Kind.SAME
    if old[i] != new[j]:
        both = old[i], new[j]
        before, after = _by_words(*both) if words else (_whole(both[0]), _whole(both[1]))
        kind = Kind.CHANGED
    return Row(kind=kind, before=before, after=after, before_number=i + 1, after_number=j + 1)


def _whole(line: str) -> Line:
    return (Piece(line, changed=True),)


def _by_words(before: str, after: str) -> tuple[Line, Line]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if not old or not new or max(len(old), len(new)) > MOST_WORDS:
        return _whole(before), _whole(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < LIKENESS:
        return _whole(before), _whole(after)
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        changed = tag != "equal"
        if i < i_end:
            left.append(Piece("".join(old[i:i_end]), changed))
        if j < j_end:
            right.append(Piece("".join(new[j:j_end]), changed))
    return tuple(left), tuple(right)
