"""Where the shapes of our charts are. The template draws them; the table twin says the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from trigger_ops.states import Level

WORST_FIRST = tuple(sorted(Level, reverse=True))

CELL = 22
"""How wide a day is, its gap included."""

LEFT = 44
HIGH = 160
"""How high the highest bar is."""

_TICKS = 4
_LABEL_EVERY = 5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """What was recorded on one day.

    ``runs`` is how many checks ended, ``unread`` how many databases they could not read, and
    ``worst`` the worst level that any of them found. ``levels`` is how many findings there were
    of each level when each database was last read that day.
    """

    date: dt.date
    runs: int = 0
    read: int = 0
    unread: int = 0
    worst: Level | None = None
    levels: Mapping[Level, int] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What the day was: a level, ``clean``, ``unread``, or ``none`` where nothing ran."""
        if self.worst is not None:
            return self.worst.name.lower()
        if not self.runs:
            return "none"
        return "clean" if self.read and not self.unread else "unread"

    @property
    def total(self) -> int:
        """How many findings there were at last."""
        return sum(self.levels.values())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A day in the strip: a square at ``x``, and the middle of it."""

    day: Day
    x: int
    middle: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A part of a bar."""

    day: Day
    level: Level
    count: int
    x: int
    y: int
    height: int

    @property
    def kind(self) -> str:
        """The level as the style sheet knows it."""
        return self.level.name.lower()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A line across the bars, and the number that it stands for."""

    y: int
    number: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A date below a day."""

    x: int
    date: dt.date


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """The strip and the bars of some days, as whole numbers of a drawing ``width`` wide."""

    width: int
    cells: Sequence[Cell]
    segments: Sequence[Segment]
    ticks: Sequence[Tick]
    labels: Sequence[Label]

    cell: int = CELL - 4
    left: int = LEFT
    base: int = HIGH + 10
    height: int = HIGH + 34


def charted(days: Sequence[Day]) -> Chart:
    """Return the chart of some days, the oldest first."""
    top = ceiling(max((day.total for day in days), default=0))
    return Chart(
        width=LEFT + CELL * len(days),
        cells=[
            Cell(day=day, x=_x(index), middle=_x(index) + (CELL - 4) // 2)
            for index, day in enumerate(days)
        ],
        segments=[one for index, day in enumerate(days) for one in _bar(day, _x(index), top)],
        ticks=[
            Tick(y=_y(top * step // _TICKS, top), number=top * step // _TICKS)
            for step in range(_TICKS + 1)
        ],
        labels=[
            Label(x=_x(index) + (CELL - 4) // 2, date=day.date)
            for index, day in enumerate(days)
            if (len(days) - 1 - index) % _LABEL_EVERY == 0
        ],
    )


def ceiling(most: int) -> int:
    """Return where the scale ends: a round number, at least as much as there is, and at least 4."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if _TICKS * factor * step >= most:
                return _TICKS * factor * step
        step *= 10


def _bar(day: Day, x: int, top: int) -> Iterator[Segment]:
    """Yield the parts of a day's bar, the worst at the bottom, where they can be compared."""
    below = 0
    for level in WORST_FIRST:
        count = day.levels.get(level, 0)
        if count:
            upper, lower = _y(below + count, top), _y(below, top)
            # What is there is seen: a finding among hundreds is a line at least.
            height = max(lower - upper, 1)
            yield Segment(day=day, level=level, count=count, x=x, y=upper, height=height)
        below += count


def _x(index: int) -> int:
    return LEFT + CELL * index


def _y(number: int, top: int) -> int:
    return HIGH + 10 - round(HIGH * number / top)
