"""Two texts beside each other."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

#: Lines of prose are wrapped at this width. Lines of Python output are never that long.
WIDTH = 78


def side_by_side(expected: str, actual: str) -> str:
    """Return both texts in two columns under the headings ``expected`` and ``actual``.

    The lines of the texts are kept, except those longer than ``WIDTH`` characters: they wrap.
    """
    left = ["expected", "--------", *_lines(expected)]
    right = ["actual", "------", *_lines(actual)]
    width = max(map(len, left))
    rows = zip_longest(left, right, fillvalue="")
    return "".join(f"  {one:<{width}} | {two}".rstrip() + "\n" for one, two in rows)


def _lines(text: str) -> list[str]:
    return [part for line in text.splitlines() for part in _wrapped(line)]


def _wrapped(line: str) -> list[str]:
    return [line] if len(line) <= WIDTH else textwrap.wrap(line, WIDTH, subsequent_indent="  ")
