"""Words shared by everything that is printed for people."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str, *, keep: str = "") -> str:
    """Return ``text`` with every invisible character spelled out, except those in ``keep``.

    Names and bodies come from a database that somebody may have tampered with: an escape
    sequence in one must not clear a terminal or fake a line of output.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _spelled(char) for char in text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 trigger`` or ``3 triggers``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def place(database: str, schema: str | None, table: str | None) -> str:
    """Return where something is: ``default public.shop_order``, as far as it is known."""
    relation = ".".join(part for part in (schema, table) if part)
    return " ".join(part for part in (database, relation) if part)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines whose columns line up, without blanks at the ends."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
