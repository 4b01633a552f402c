"""Benchmarks: this package beside stock django-pgtrigger, in one run on one machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement: the same work done by stock and by us, in seconds of wall clock.

    ``stock_seconds`` is None where stock has nothing to compare with. ``note`` is what was counted
    beside the time.
    """

    name: str
    stock_seconds: float | None
    ours_seconds: float
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster we are: stock time divided by ours."""
        return None if self.stock_seconds is None else self.stock_seconds / self.ours_seconds


def render(rows: Iterable[Row]) -> str:
    """Return the rows as a text table with a heading: times in seconds, then the ratio, then the notes."""
    cells = [("", "", "stock", "ours", "ratio")]
    for row in rows:
        stock = "-" if row.stock_seconds is None else f"{row.stock_seconds:.3f} s"
        ratio = "-" if row.ratio is None else f"{row.ratio:.1f}x"
        cells.append((row.note, row.name, stock, f"{row.ours_seconds:.3f} s", ratio))
    width = max(len(name) for _, name, *_ in cells)
    return "\n".join(
        f"{name:<{width}}"
        + "".join(f"{number:>12}" for number in numbers)
        + (f"\n    {note}" if note else "")
        for note, name, *numbers in cells
    )
